/** The research: what is done with the lent tools, and what could not be. Knows nothing of A2A. */
import type { CallToolResult, Client, Tool } from '@modelcontextprotocol/client';
import { reasonOf } from '../hosting/tool-result.ts';
import { answerFrom } from './answer.ts';
import { sourcesIn, structureIn, textIn, type Source } from './sources.ts';
import { argumentsFor, toolFor, type Role } from './tool-roles.ts';

/** What came of it. */
export interface Report {
  question: string;
  answer?: string;
  sources: { title: string; uri?: string }[];
  /** Question, answer and sources in one text: what was remembered and signed. */
  finding?: string;
  remembered: boolean;
  /** What the signing tool answered about `finding`. */
  signature?: Record<string, unknown>;
  /** What could not be done, each with its reason. */
  undone: string[];
}

/** So many of the results are read. */
const mostSources = 3;

/** Lent tools, and who hears of progress. */
export interface Researching {
  client: Pick<Client, 'callTool' | 'listTools'>;
  signal: AbortSignal;
  tell: (progress: string) => void;
}

/** A step that could not be done. Its message is a sentence for people. */
class UndoneError extends Error {}

/** See the file comment. */
export class Research {
  readonly #question: string;
  readonly #with: Researching;
  readonly report: Report;
  #tools: readonly Tool[] = [];

  constructor(question: string, researching: Researching) {
    this.#question = question;
    this.#with = researching;
    this.report = { question, sources: [], remembered: false, undone: [] };
  }

  /** Does what can be done; never throws but when it is stopped. */
  async run(): Promise<Report> {
    const { report } = this;
    await this.#step('look at the lent tools', async () => {
      this.#tools = (await this.#with.client.listTools(undefined, this.#options())).tools;
    });
    await this.#step('search', () => this.#search());
    const { answer, sources } = report;
    if (answer === undefined) return report;
    const from = sources.map(({ title, uri }) => uri ?? title).join(', ');
    const finding = `${this.#question} ${answer} (${from})`;
    report.finding = finding;
    await this.#step('remember the finding', async () => {
      await this.#call('remember', finding);
      report.remembered = true;
    });
    // Signing is extra: nobody is told that a tool for it was not lent.
    if (toolFor('sign', this.#tools) !== undefined) {
      await this.#step('have it signed', async () => {
        report.signature = structureIn(await this.#call('sign', finding));
      });
    }
    return report;
  }

  async #search(): Promise<void> {
    const { report } = this;
    const found = sourcesIn(await this.#call('search', this.#question)).slice(0, mostSources);
    const read: Source[] = [];
    for (const source of found) read.push(await this.#read(source));
    const result = answerFrom(this.#question, read);
    if (result === undefined) throw new UndoneError('nothing that was found answers the question');
    report.answer = result.answer;
    report.sources = result.used.map(({ title, uri }) => ({ title, ...(uri && { uri }) }));
  }

  /** A source in full, where it can be read; what the search said of it otherwise. */
  async #read(source: Source): Promise<Source> {
    if (source.uri === undefined || toolFor('read', this.#tools) === undefined) return source;
    const { uri } = source;
    let text = '';
    await this.#step(`read "${source.title}"`, async () => {
      text = textIn(await this.#call('read', uri));
    });
    return text === '' ? source : { ...source, text };
  }

  async #call(role: Role, value: string): Promise<CallToolResult> {
    const tool = toolFor(role, this.#tools);
    const title = this.#question;
    const args = tool && argumentsFor(role, tool, { value, title });
    if (tool === undefined || args === undefined) {
      throw new UndoneError('no tool that could was lent');
    }
    this.#with.tell(`Calling ${tool.name}.`);
    const call = { name: tool.name, arguments: args };
    const answer = await this.#with.client.callTool(call, this.#options());
    if (answer.isError === true) throw new UndoneError(`the tool said: ${textIn(answer)}`);
    return answer;
  }

  async #step(what: string, act: () => Promise<void>): Promise<void> {
    const { signal } = this.#with;
    try {
      await act();
    } catch (error) {
      signal.throwIfAborted();
      const why = error instanceof UndoneError ? error.message : reasonOf(error);
      this.report.undone.push(`I could not ${what}: ${why}`);
    }
  }

  #options(): { signal: AbortSignal } {
    return { signal: this.#with.signal };
  }
}
