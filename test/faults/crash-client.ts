/**
 * One client of the crash test: starts work on either face, answers what it is asked, cancels, and
 * writes down what it was promised. A broken connection is no answer; it asks again later.
 */
import { pause } from './child.ts';
import { attempt, LOST, RefusedError, seenTask } from './crash-faces.ts';
import type { A2aFace, McpFace } from './crash-faces.ts';
import type { CrashLedger, Promised, Seen } from './crash-ledger.ts';
import type { Random } from './random.ts';

/** What a client works with. */
export interface CrashClientOptions {
  name: string;
  mcp: McpFace;
  a2a: A2aFace;
  ledger: CrashLedger;
  random: Random;
  stopped(): boolean;
  /** For how long the gateway has served without a break (ms); 0 while it is away. */
  upFor(): number;
}

/** What a client does when its task waits. */
type React = (seen: Seen) => Promise<void>;

/** Without a change for so long, while the gateway serves, a task is stuck. */
const stuckMs = 10_000;
/** A cancel that has shown no effect for so long is repeated. */
const cancelAgainMs = 1500;

/** See the file comment. */
export class CrashClient {
  readonly #options: CrashClientOptions;
  #count = 0;

  constructor(options: CrashClientOptions) {
    this.#options = options;
  }

  /** Works until it is told to stop, and then finishes what it has begun. */
  async run(scenarios: readonly Scenario[]): Promise<void> {
    const { random, stopped, ledger, name } = this.#options;
    while (!stopped()) {
      const scenario = random.pick(scenarios);
      const key = `${name}-${(this.#count += 1)}`;
      const { kind, face } = scenario;
      try {
        await scenario.play(this, key);
      } catch (error) {
        ledger.fault({ kind, face, key }, String(error));
      }
      await pause(random.between(5, 40));
    }
  }

  /** Calls a skill of the agent. */
  async callAgent(kind: string, key: string, message: string): Promise<Promised | undefined> {
    const { mcp, ledger } = this.#options;
    const id = await attempt(() => mcp.call(kind, { message }));
    ledger.count(id === LOST ? 'calls cut' : 'calls answered');
    if (id === LOST) {
      await pause(100);
      return undefined;
    }
    return ledger.promise({ id, face: 'mcp', kind, key });
  }

  /** Calls a tool of the server. */
  async callTool(
    kind: string,
    key: string,
    args: object,
    returnImmediately = this.#options.random.next() < 0.5,
  ): Promise<Promised | undefined> {
    const { a2a, ledger } = this.#options;
    const parts = [{ data: { tool: kind, arguments: { ...args, key } } }];
    const task = await attempt(() => a2a.send({ parts, returnImmediately }));
    ledger.count(task === LOST ? 'calls cut' : 'calls answered');
    if (task === LOST) {
      await pause(100);
      return undefined;
    }
    const promised = ledger.promise({ id: task.id, face: 'a2a', kind, key });
    ledger.saw(promised, seenTask(task));
    return promised;
  }

  /** Calls a tool with a stream and reads it for as long as it goes. */
  async streamTool(kind: string, key: string, args: object): Promise<Promised | undefined> {
    const { a2a, ledger } = this.#options;
    let promised: Promised | undefined;
    const parts = [{ data: { tool: kind, arguments: { ...args, key } } }];
    const read = async (): Promise<void> => {
      for await (const event of a2a.stream({ parts })) {
        const { task } = event as { task?: Parameters<typeof seenTask>[0] };
        if (task === undefined) continue;
        promised ??= ledger.promise({ id: task.id, face: 'a2a', kind, key });
        ledger.saw(promised, seenTask(task));
      }
    };
    if ((await attempt(read)) === LOST) ledger.count('streams cut');
    return promised;
  }

  /** Follows a task to its end. */
  async finish(task: Promised | undefined, react?: React): Promise<void> {
    if (task === undefined) return;
    const { ledger, random, upFor } = this.#options;
    let changedAt = performance.now();
    let last = '';
    for (;;) {
      const seen = await attempt(() => this.#get(task));
      if (seen !== LOST) {
        ledger.saw(task, seen);
        if (seen.phase === 'ended') break;
        if (seen.phase === 'waiting') {
          if (react === undefined) throw new Error(`asked without a reason: ${seen.text}`);
          await react(seen);
        }
        if (seen.digest !== last || seen.phase === 'waiting') changedAt = performance.now();
        last = seen.digest;
      }
      if (Math.min(performance.now() - changedAt, upFor()) > stuckMs) {
        ledger.fault(task, `stuck in ${last}`);
        return;
      }
      await pause(random.between(20, 70));
    }
    task.done = true;
  }

  /** Answers a form on the MCP face; each try has a text of its own. */
  answerAgent(task: Promised): React {
    const { mcp } = this.#options;
    return this.#answering(task, async (seen, text) => {
      const [key = ''] = seen.questions;
      await mcp.answer(task.id, { [key]: { action: 'accept', content: { answer: text } } });
    });
  }

  /** Answers a form on the A2A face; `field` is where the text goes, or true. */
  answerTool(task: Promised, content: (text: string) => object): React {
    const { a2a } = this.#options;
    return this.#answering(task, async (seen, text) => {
      const [key = ''] = seen.questions;
      const response = { action: 'accept', content: content(text) };
      const parts = [{ data: { key, response } }];
      await a2a.send({ parts, taskId: task.id, messageId: text, returnImmediately: true });
    });
  }

  /** Opens the page of the gateway, goes on to the agent's and authorizes there, in either order. */
  authorize(task: Promised): React {
    const { mcp, random } = this.#options;
    let target: string | undefined;
    const authorized = async (): Promise<void> => {
      if (target !== undefined) await fetch(target, { method: 'POST' });
    };
    return async (seen) => {
      const { requests } = seen as Awaited<ReturnType<McpFace['get']>>;
      const [key = '', question] = Object.entries(requests)[0] ?? [];
      const url = question?.params.url;
      if (url === undefined) throw new Error(`no link in ${seen.digest}`);
      const page = await attempt(async () => (await fetch(url)).text());
      if (page === LOST) return;
      target = /href="(http[^"]+)"/.exec(page)?.[1];
      const opened = (): Promise<void> => mcp.answer(task.id, { [key]: { action: 'accept' } });
      if (random.next() < 0.5) {
        await authorized();
        await attemptAt(opened);
      } else {
        await attemptAt(opened);
        await authorized();
      }
    };
  }

  /** Cancels after a while, and again as long as that shows no effect. */
  async cancel(task: Promised | undefined): Promise<void> {
    if (task === undefined) return;
    const { mcp, a2a, ledger, random } = this.#options;
    await pause(random.between(0, 300));
    for (let accepted = 0; ;) {
      if (accepted === 5) throw new Error(`cannot be canceled: ${task.id}`);
      const done = await attemptAt(() => (task.face === 'mcp' ? mcp : a2a).cancel(task.id));
      if (done !== LOST) {
        ledger.count('cancels accepted');
        accepted += 1;
      }
      const end = performance.now() + (done === LOST ? 100 : cancelAgainMs);
      while (performance.now() < end) {
        const seen = await attempt(() => this.#get(task));
        if (seen !== LOST) {
          ledger.saw(task, seen);
          if (seen.phase === 'ended') {
            task.done = true;
            return;
          }
        }
        await pause(50);
      }
    }
  }

  /** Leaves a task waiting, until the end of the test. */
  async leave(task: Promised | undefined): Promise<void> {
    if (task === undefined) return;
    const { ledger } = this.#options;
    await this.finish(task, async (seen) => {
      task.waitingKey ??= seen.questions[0];
      throw leaving;
    }).catch((error: unknown) => {
      if (error !== leaving) throw error;
      ledger.count('left waiting');
    });
  }

  #get(task: Promised): Promise<Seen> {
    const { mcp, a2a } = this.#options;
    return task.face === 'mcp' ? mcp.get(task.id) : a2a.get(task.id);
  }

  #answering(task: Promised, send: (seen: Seen, text: string) => Promise<void>): React {
    const { ledger } = this.#options;
    const answered = new Set<string>();
    let tries = 0;
    return async (seen) => {
      const again = seen.questions.find((key) => answered.has(key));
      if (again !== undefined) ledger.fault(task, `asks again under the answered key ${again}`);
      if (seen.questions.length === 0) throw new Error(`waits without a question: ${seen.digest}`);
      if (tries === 25) throw new Error(`takes no answer: ${task.id} ${seen.digest}`);
      const text = `${task.key}.a${(tries += 1)}`;
      if ((await attemptAt(() => send(seen, text))) === LOST) {
        ledger.count('answers cut');
        return;
      }
      ledger.count('answers accepted');
      task.accepted.push(text);
      for (const key of seen.questions) answered.add(key);
    };
  }
}

const leaving = new Error('left waiting');

/** Like `attempt`, where the task may have moved on meanwhile: a refusal is no fault. */
async function attemptAt(request: () => Promise<unknown>): Promise<'done' | typeof LOST> {
  try {
    return (await attempt(request)) === LOST ? LOST : 'done';
  } catch (error) {
    if (error instanceof RefusedError) return LOST;
    throw error;
  }
}

/** What a client can do, by name. */
export interface Scenario {
  kind: string;
  face: 'mcp' | 'a2a';
  play(client: CrashClient, key: string): Promise<void>;
}

/** Work of an MCP client at an A2A agent. */
export const agentScenarios: readonly Scenario[] = [
  skill('slow', (client, key) => client.callAgent('slow', key, `slow 300 ${key}`)),
  skill('stream', (client, key) => client.callAgent('stream', key, `stream 6 50 ${key}`)),
  {
    kind: 'ask',
    face: 'mcp',
    play: async (client, key) => {
      const task = await client.callAgent('ask', key, `ask ${key}`);
      if (task !== undefined) await client.finish(task, client.answerAgent(task));
    },
  },
  {
    kind: 'auth',
    face: 'mcp',
    play: async (client, key) => {
      const task = await client.callAgent('auth', key, `auth ${key}`);
      if (task !== undefined) await client.finish(task, client.authorize(task));
    },
  },
  {
    kind: 'cancelable',
    face: 'mcp',
    play: async (client, key) =>
      client.cancel(await client.callAgent('cancelable', key, `cancelable ${key}`)),
  },
];

/** Work of an A2A client at an MCP server. */
export const toolScenarios: readonly Scenario[] = [
  tool('slow_compute', (client, key) => client.callTool('slow_compute', key, { seconds: 0.3 })),
  tool('report_progress', (client, key) =>
    client.streamTool('report_progress', key, { steps: 5, stepMs: 60 }),
  ),
  asking('confirm_delete', { filename: 'old' }, () => ({ confirm: true })),
  asking('ask_rounds', { rounds: 2 }, (text) => ({ answer: text })),
  asking('test_tool_with_task', {}, (text) => ({ name: text })),
  {
    kind: 'hanging_job',
    face: 'a2a',
    // Nothing but a kill would end a call that waits for it.
    play: async (client, key) => client.cancel(await client.callTool('hanging_job', key, {}, true)),
  },
];

/** Work that is left waiting. */
export const leftScenarios: readonly Scenario[] = [
  {
    kind: 'ask',
    face: 'mcp',
    play: async (client, key) => client.leave(await client.callAgent('ask', key, `ask ${key}`)),
  },
  {
    kind: 'confirm_delete',
    face: 'a2a',
    play: async (client, key) =>
      client.leave(await client.callTool('confirm_delete', key, { filename: 'old' })),
  },
];

function skill(
  kind: string,
  call: (client: CrashClient, key: string) => Promise<Promised | undefined>,
): Scenario {
  return { kind, face: 'mcp', play: async (client, key) => client.finish(await call(client, key)) };
}

function tool(
  kind: string,
  call: (client: CrashClient, key: string) => Promise<Promised | undefined>,
): Scenario {
  return { kind, face: 'a2a', play: async (client, key) => client.finish(await call(client, key)) };
}

function asking(kind: string, args: object, content: (text: string) => object): Scenario {
  return {
    kind,
    face: 'a2a',
    play: async (client, key) => {
      const task = await client.callTool(kind, key, args);
      if (task !== undefined) await client.finish(task, client.answerTool(task, content));
    },
  };
}
