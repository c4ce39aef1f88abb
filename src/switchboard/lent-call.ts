/**
 * One call of a lent tool on its way: to the peer that has it, as its lender. What the peer asks
 * meanwhile goes to the lender's caller, as part of the task that the tool was lent for; what it
 * answers is an MCP tool result, whatever it speaks.
 */
import type { Artifact, TaskState } from '../model/a2a.ts';
import { isInterrupted, isTerminal } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import type { MintId } from '../model/ids.ts';
import type { JsonObject } from '../model/json.ts';
import type { CallToolResult } from '../model/mcp.ts';
import type { LentTool } from '../ports/leases.ts';
import type {
  OpenQuestion,
  Peer,
  PeerContext,
  PeerEvent,
  PeerQuestion,
  PeerTurn,
} from '../ports/peer.ts';
import { messageFromResponses } from '../translate/questions.ts';
import { toolResultFromMessage, toolResultFromTask } from '../translate/results.ts';
import { messageFromArguments, skillOfTool } from '../translate/skills.ts';
import { readResource } from './lent-catalogue.ts';

/** What a call needs. */
export interface LentCallParts {
  readonly target: Peer;
  readonly tool: LentTool;
  readonly arguments: JsonObject;
  /** As the peer is called. */
  readonly context: PeerContext;
  /** Asks the lender's caller. Rejects where nobody can be asked. */
  readonly ask: (question: PeerQuestion, signal: AbortSignal) => Promise<JsonObject>;
  readonly mintId: MintId;
}

type Events = AsyncGenerator<PeerEvent, void, undefined>;

/** Parts of an artifact of this size stand in the result: the borrower can read no link of ours. */
const inlineBytes = 8 * 1024 * 1024;

/** How long a peer may take to hear that it should stop (ms). */
const cancelPatienceMs = 10_000;

/** See the file comment. Positions are the target's own. */
export class RoutedCall {
  readonly #parts: LentCallParts;
  readonly #artifacts = new Map<string, Artifact>();
  #position: JsonObject | undefined;

  constructor(parts: LentCallParts, position?: JsonObject) {
    this.#parts = parts;
    this.#position = position;
  }

  get tool(): LentTool {
    return this.#parts.tool;
  }

  get arguments(): JsonObject {
    return this.#parts.arguments;
  }

  /** Asks the peer to stop, where it has said what the call is there. */
  async cancel(): Promise<void> {
    const { target, context } = this.#parts;
    const signal = AbortSignal.timeout(cancelPatienceMs);
    if (this.#position !== undefined) await target.cancel(this.#position, { ...context, signal });
  }

  /** Makes the call. */
  async *start(): Events {
    const { target, tool, context } = this.#parts;
    if (target.protocol === 'mcp' && tool.own === readResource && !(await this.#hasTool())) {
      yield this.#completed(await this.#resource());
      return;
    }
    yield* this.#run(target.start(await this.#turn(), context));
  }

  /** Picks a call up that was made. */
  async *resume(): Events {
    const { target, context } = this.#parts;
    const sending = { kind: 'start' as const, turn: await this.#turn() };
    const wasTold = this.#position !== undefined;
    yield* this.#run(target.resume(this.#position, context, wasTold ? undefined : sending));
  }

  async *#run(first: AsyncIterable<PeerEvent>): Events {
    let source = first;
    for (;;) {
      const asked = yield* this.#read(source);
      if (asked === undefined) return;
      const { target, context } = this.#parts;
      const answers = asked.answers ?? (await this.#answers(asked.questions, context.signal));
      const message = messageFromResponses(answers, this.#parts.mintId());
      source = target.followUp(this.#position ?? {}, { message, open: asked.questions }, context);
    }
  }

  /** Reads to the end of the call, or to questions that have to be answered before it goes on. */
  async *#read(source: AsyncIterable<PeerEvent>): AsyncGenerator<PeerEvent, Asked | undefined> {
    const iterator = source[Symbol.asyncIterator]();
    let link: AbortController | undefined;
    let refused: Promise<Asked> | undefined;
    try {
      for (;;) {
        const reading = iterator.next();
        // Nobody waits for it any more when a refusal comes first.
        reading.catch(() => {});
        const next = await (refused === undefined ? reading : Promise.race([reading, refused]));
        if ('questions' in next) return next;
        if (next.done === true) return undefined;
        const event = next.value;
        if (event.kind !== 'status' || !isInterrupted(event.state)) {
          if (event.kind === 'status') {
            link?.abort();
            refused = undefined;
          }
          yield* this.#shown(event);
          if (event.kind === 'message') return undefined;
          if (event.kind === 'status' && isTerminal(event.state)) return undefined;
          continue;
        }
        const questions = (event.questions ?? []).map(withKey);
        const isLink =
          questions.length > 0 && questions.every(({ answerAs }) => answerAs === 'none');
        const isAgent = this.#parts.target.protocol === 'a2a';
        if (event.state !== 'TASK_STATE_AUTH_REQUIRED' || !(isAgent || isLink)) {
          return { questions };
        }
        // It goes on by itself when the page was visited: nothing is sent, and it is watched.
        link?.abort();
        link = new AbortController();
        refused = this.#refusal(questions, link.signal);
      }
    } finally {
      link?.abort();
      void Promise.resolve(iterator.return?.()).catch(() => {});
    }
  }

  /**
   * Shows links that nobody waits for an answer to. Settles only where that ends a server's call: a
   * person refuses the consent that it needs, or nobody can be asked for it.
   */
  #refusal(questions: Questions, signal: AbortSignal): Promise<Asked> {
    const both = AbortSignal.any([signal, this.#parts.context.signal]);
    const { promise, resolve, reject } = Promise.withResolvers<Asked>();
    promise.catch(() => {});
    const isConsent = this.#parts.target.protocol === 'mcp';
    this.#answers(questions, both).then(
      (answers) => {
        const isRefused = Object.values(answers).some(({ action }) => action !== 'accept');
        if (isConsent && isRefused) resolve({ questions, answers });
      },
      (error: unknown) => {
        if (isConsent && !both.aborted) reject(error);
      },
    );
    return promise;
  }

  *#shown(event: PeerEvent): Generator<PeerEvent> {
    switch (event.kind) {
      case 'position':
        this.#position = event.position;
        yield event;
        return;
      case 'progress':
      case 'log':
        yield event;
        return;
      case 'artifact': {
        this.#keep(event);
        return;
      }
      case 'message':
        yield this.#completed(toolResultFromMessage(event.message, { inlineBytes }));
        return;
      case 'status':
        yield this.#status(event);
        return;
      case 'context':
      case 'history':
      case 'metadata':
        // The lender's conversation with its peer is none of the borrower's.
        return;
      default:
        event satisfies never;
    }
  }

  #status(event: PeerEvent & { kind: 'status' }): PeerEvent {
    const { state, message, outcome } = event;
    if (!isTerminal(state)) return { kind: 'status', state: 'TASK_STATE_WORKING' };
    if (outcome !== undefined) {
      return { kind: 'status', state, outcome, ...(message !== undefined && { message }) };
    }
    const result = this.#resultOf(state, event);
    return { kind: 'status', state, outcome: { result: result as unknown as JsonObject } };
  }

  /** What an agent's task came to, as a tool result without the task. */
  #resultOf(state: TaskState, { message }: PeerEvent & { kind: 'status' }): CallToolResult {
    const id = this.#parts.context.task ?? '';
    const view = {
      task: {
        id,
        contextId: '',
        status: { state, ...(message !== undefined && { message }) },
        artifacts: [...this.#artifacts.values()],
        history: [],
      },
      peerId: this.#parts.target.id,
      seq: 1,
      questions: [],
      createdAt: 0,
      updatedAt: 0,
      ttlMs: 0,
      peerTask: true,
      committed: false,
    };
    const result = toolResultFromTask(view, { inlineBytes });
    const { structuredContent, ...rest } = result;
    const { taskId: _task, contextId: _context, ...said } = (structuredContent ?? {}) as JsonObject;
    return { ...rest, structuredContent: said };
  }

  #completed(result: CallToolResult): PeerEvent {
    const { structuredContent, ...rest } = result;
    const { contextId: _context, ...said } = (structuredContent ?? {}) as JsonObject;
    const shown = Object.keys(said).length === 0 ? rest : { ...rest, structuredContent: said };
    return {
      kind: 'status',
      state: 'TASK_STATE_COMPLETED',
      outcome: { result: shown as unknown as JsonObject },
    };
  }

  #keep({ artifact, append }: PeerEvent & { kind: 'artifact' }): void {
    const known = append ? this.#artifacts.get(artifact.artifactId) : undefined;
    const parts = [...(known?.parts ?? []), ...artifact.parts];
    this.#artifacts.set(artifact.artifactId, { ...known, ...artifact, parts });
  }

  async #answers(asked: Questions, signal: AbortSignal): Promise<Record<string, JsonObject>> {
    const answers = await Promise.all(
      asked.map(async (one) => [one.key, await this.#parts.ask(one, signal)] as const),
    );
    return Object.fromEntries(answers);
  }

  async #turn(): Promise<PeerTurn> {
    const { target, tool, arguments: args, context, mintId } = this.#parts;
    if (target.protocol === 'a2a') {
      const card = await target.card({ signal: context.signal });
      const skill = skillOfTool(card, tool.own);
      const id = card.skills.find(({ id: own }) => own === tool.own)?.id ?? skillId(skill);
      return { message: messageFromArguments(args, id, mintId()) };
    }
    return {
      message: {
        messageId: mintId(),
        role: 'ROLE_USER',
        parts: [{ data: { tool: tool.own, arguments: args } }],
      },
      call: { name: tool.own, arguments: args },
    };
  }

  async #hasTool(): Promise<boolean> {
    const { target, context } = this.#parts;
    if (target.protocol !== 'mcp') return false;
    const { tools } = await target.catalogue(context);
    return tools.some(({ name }) => name === readResource);
  }

  async #resource(): Promise<CallToolResult> {
    const { target, arguments: args, context } = this.#parts;
    const { uri } = args;
    if (target.protocol !== 'mcp' || typeof uri !== 'string') {
      throw new GatewayError('invalid-params', 'uri: must be the URI of a resource');
    }
    const { contents } = await target.request('resources/read', { uri }, context);
    const resources = Array.isArray(contents) ? contents : [];
    return {
      content: resources.map((resource) => ({ type: 'resource', resource })) as never,
    };
  }
}

type Questions = OpenQuestion[];

/** Where the call waits, and what was answered already. */
interface Asked {
  readonly questions: Questions;
  readonly answers?: Record<string, JsonObject>;
}

function withKey(question: PeerQuestion, index: number): OpenQuestion {
  return { ...question, key: question.peerKey ?? `q${index + 1}` };
}

function skillId(skill: ReturnType<typeof skillOfTool>): string | undefined {
  return typeof skill === 'object' ? skill.id : undefined;
}
