/** The two faces of the gateway, as the clients of the crash test use them: one way for both. */
import type { WireClient } from '../support/wire-client.ts';
import { A2aWireError, textOf } from './a2a-wire.ts';
import type { A2aWire, WireMessage, WireTask } from './a2a-wire.ts';
import type { Seen } from './crash-ledger.ts';

/** The connection broke or never came to be: whether the request had an effect is not known. */
export const LOST = 'lost';

/** The gateway answered, and it was an error. */
export class RefusedError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RefusedError';
  }
}

/** Runs a request whose connection may break. An answer that came is never `LOST`. */
export async function attempt<T>(request: () => Promise<T>): Promise<T | typeof LOST> {
  try {
    return await request();
  } catch (error) {
    if (error instanceof A2aWireError) throw new RefusedError(error.message);
    if (error instanceof RefusedError || isTimeout(error)) throw error;
    return LOST;
  }
}

/** The MCP face, with the Tasks extension. */
export class McpFace {
  readonly #client: WireClient;

  constructor(client: WireClient) {
    this.#client = client;
  }

  /** The id of the task that the call became; also when it was done before it could be promised. */
  async call(tool: string, args: Record<string, unknown>): Promise<string> {
    const result = await this.#request('tools/call', { name: tool, arguments: args });
    const { structuredContent } = result as { structuredContent?: { taskId?: string } };
    const id = result['resultType'] === 'task' ? result['taskId'] : structuredContent?.taskId;
    if (typeof id === 'string' && result['isError'] !== true) return id;
    throw new RefusedError(`answered without a task: ${JSON.stringify(result)}`);
  }

  async get(taskId: string): Promise<Seen & { requests: Record<string, McpQuestion> }> {
    const task = await this.#request('tasks/get', { taskId });
    const { status: state, statusMessage = '' } = task as {
      status: string;
      statusMessage?: string;
    };
    const requests = (task['inputRequests'] ?? {}) as Record<string, McpQuestion>;
    const digest = JSON.stringify([state, statusMessage, task['result'], task['error']]);
    return {
      phase: state === 'working' ? 'running' : state === 'input_required' ? 'waiting' : 'ended',
      state: state === 'completed' && failedText(task) !== undefined ? 'failed' : state,
      digest,
      questions: Object.keys(requests),
      text: failedText(task) ?? resultText(task) ?? statusMessage,
      requests,
    };
  }

  async answer(taskId: string, inputResponses: Record<string, unknown>): Promise<void> {
    await this.#request('tasks/update', { taskId, inputResponses });
  }

  async cancel(taskId: string): Promise<void> {
    await this.#request('tasks/cancel', { taskId });
  }

  async #request(method: string, params: Record<string, unknown>) {
    const signal = AbortSignal.timeout(hangMs);
    const { result, error, status } = await this.#client.request(method, params, { signal });
    if (result !== undefined) return result;
    if (error === undefined) throw new Error(`${method}: the answer was cut off (${status})`);
    throw new RefusedError(`${method}: ${error.code} ${error.message}`);
  }
}

/** A question of the MCP face. */
export interface McpQuestion {
  method: string;
  params: { mode?: string; message: string; url?: string };
}

/** The A2A face. */
export class A2aFace {
  readonly #client: A2aWire;

  constructor(client: A2aWire) {
    this.#client = client;
  }

  async send(message: WireMessage): Promise<WireTask> {
    return this.#client.send(message, AbortSignal.timeout(hangMs));
  }

  stream(message: WireMessage): AsyncGenerator<Record<string, unknown>> {
    return this.#client.stream(message);
  }

  async get(id: string): Promise<Seen> {
    return seenTask(await this.#client.get(id, AbortSignal.timeout(hangMs)));
  }

  async cancel(id: string): Promise<void> {
    await this.#client.cancel(id, AbortSignal.timeout(hangMs));
  }
}

/** A request that takes longer than this hangs. */
const hangMs = 15_000;

/** An A2A task as its client sees it. */
export function seenTask(task: WireTask): Seen {
  const { state, message } = task.status;
  const waits = state === 'TASK_STATE_INPUT_REQUIRED' || state === 'TASK_STATE_AUTH_REQUIRED';
  const runs = state === 'TASK_STATE_SUBMITTED' || state === 'TASK_STATE_WORKING';
  const questions = (message?.parts ?? []).flatMap(({ data }) => {
    const { key } = (data ?? {}) as { key?: string };
    return key === undefined ? [] : [key];
  });
  return {
    phase: waits ? 'waiting' : runs ? 'running' : 'ended',
    state,
    digest: JSON.stringify([task.status, task.artifacts, task.history]),
    questions,
    text: textOf(message?.parts),
  };
}

function failedText(task: Record<string, unknown>): string | undefined {
  const { result, error } = task as {
    result?: { isError?: boolean; content?: { text?: string }[] };
    error?: { message: string };
  };
  if (error !== undefined) return error.message;
  if (result?.isError !== true) return undefined;
  return (result.content ?? []).map(({ text }) => text ?? '').join('\n');
}

function resultText(task: Record<string, unknown>): string | undefined {
  const { result } = task as { result?: { content?: { text?: string }[] } };
  return result?.content?.map(({ text }) => text ?? '').join('\n');
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError';
}
