/**
 * A2A tasks and messages → MCP tool results, and MCP results and errors → A2A states.
 *
 * Differs: an MCP tool result has two outcomes (content, or content with `isError`), A2A four ways
 * to end. A tool that declares an output schema must always return that structure, also while a
 * task is still open.
 * Kept: the state in `structuredContent.state`; artifact ids, names and metadata in each block's
 * `_meta` (`isthmus/artifact`); task metadata in `_meta` (`isthmus/metadata`).
 * Lost towards MCP: the task's history, unless the answer stands nowhere else, and where chunks of
 * a text began (not flagged: always so); what `content.ts` lists. Lost towards A2A: the detail of
 * JSON-RPC errors after work has started. Flagged: `isthmus/loss` in the result's `_meta`, in the
 * artifact's metadata.
 */
import type { Artifact, Message, Part, TaskState } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import type { Json, JsonObject } from '../model/json.ts';
import { isObject } from '../model/json.ts';
import type { CallToolResult, ContentBlock, RpcError } from '../model/mcp.ts';
import type { TaskView } from '../ports/tasks.ts';
import { artifactUri, withoutChunks } from './artifacts.ts';
import type { FileLink } from './content.ts';
import { contentFromParts, partsFromContent, textOfParts } from './content.ts';
import { describedAnswer, describedQuestions } from './describe-question.ts';
import { isHttpUrl } from './http-url.ts';
import { lossOf, withLoss, withoutKeys } from './loss.ts';
import { plainText, shortened } from './plain-text.ts';

/** How much of a result may stand in the reply itself. */
export interface ResultOptions {
  /** Parts above this many bytes are linked as resources. */
  inlineBytes: number;
}

/** How a person reaches the page of a URL question. */
export interface AskOptions {
  connectUrlOf?: (key: string) => string;
}

/**
 * The tool result of a task as it stands: outputs once it has ended, what it waits for or that it
 * works until then. A task at an MCP server gives back that server's own result.
 *
 * Spec: MCP 2026-07-28 server/tools "Tool Result", "Output Schema"
 */
export function toolResultFromTask(view: TaskView, options: ResultOptions): CallToolResult {
  const { state } = view.task.status;
  switch (state) {
    case 'TASK_STATE_SUBMITTED':
    case 'TASK_STATE_WORKING':
      return toolResultPending(view);
    case 'TASK_STATE_INPUT_REQUIRED':
    case 'TASK_STATE_AUTH_REQUIRED':
      return toolResultNeedingInput(view);
    case 'TASK_STATE_COMPLETED':
      return rawResult(view) ?? completedResult(view, options);
    case 'TASK_STATE_FAILED':
    case 'TASK_STATE_REJECTED':
    case 'TASK_STATE_CANCELED':
      return rawResult(view) ?? endedResult(view, state, options);
    default:
      state satisfies never;
      throw new GatewayError('peer-protocol', 'The task is in a state that A2A does not define.');
  }
}

/** The tool result of an agent that answered with a message and no task. */
export function toolResultFromMessage(message: Message, options: ResultOptions): CallToolResult {
  const rendered = contentFromParts(message.parts, { inlineBytes: options.inlineBytes });
  const structured: JsonObject = { text: textOfParts(message.parts) };
  if (message.contextId !== undefined) structured['contextId'] = message.contextId;
  const meta = metaOf(message.metadata, rendered.loss);
  return result(rendered.content, { ...structured, ...extras(rendered) }, meta);
}

/**
 * For a client that cannot be asked: a complete result that says what the task waits for, and how
 * to go on. With `connectUrlOf`, links of URL questions are given in the text.
 */
export function toolResultNeedingInput(view: TaskView, options: AskOptions = {}): CallToolResult {
  const text = needText(view, options);
  const asked = view.questions.map((question) => askedData(question, options));
  const structured = taskFacts(view, text);
  if (asked.length > 0) structured['data'] = asked;
  const loss = view.questions.flatMap((question) => question.loss ?? []);
  return result([{ type: 'text', text }], structured, metaOf(view.task.metadata, loss));
}

/**
 * For a call that was held as long as possible: the task works on, `get_task` shows how it ended.
 * `connectUrl` is the page of a task that waits until its user has been there.
 */
export function toolResultPending(
  view: TaskView,
  options: { connectUrl?: string } = {},
): CallToolResult {
  const said = textOfParts(view.task.status.message?.parts);
  const { connectUrl } = options;
  const waits =
    connectUrl === undefined
      ? 'The agent is still working.'
      : `The agent waits until its user has been at ${connectUrl}.`;
  const text = [
    said,
    `${waits} Call get_task with {"taskId": ${JSON.stringify(view.task.id)}} to see how it went, or cancel_task to stop it.`,
  ]
    .filter((line) => line !== '')
    .join('\n\n');
  return result([{ type: 'text', text }], taskFacts(view, text), metaOf(view.task.metadata, []));
}

/**
 * The state that a tool result of an MCP server means. A tool that reports an error has failed;
 * its content becomes the status message.
 *
 * Spec: MCP 2026-07-28 server/tools "Error Handling"; A2A 1.0 §4.1.3
 */
export function stateFromResult(toolResult: CallToolResult): {
  state: 'TASK_STATE_COMPLETED' | 'TASK_STATE_FAILED';
  message?: Part[];
} {
  const type: unknown = toolResult.resultType ?? 'complete';
  if (type !== 'complete') {
    throw new GatewayError(
      'peer-protocol',
      `The MCP server answered with a result type that MCP does not define: ${shortened(JSON.stringify(type) ?? 'none', 60)}.`,
      { facts: { field: 'resultType' } },
    );
  }
  if (toolResult.isError !== true) return { state: 'TASK_STATE_COMPLETED' };
  const { parts } = partsFromContent(toolResult.content, toolResult.structuredContent);
  return {
    state: 'TASK_STATE_FAILED',
    message: parts.length === 0 ? [{ text: 'The tool failed without saying why.' }] : parts,
  };
}

/** JSON-RPC codes whose message tells the caller what to change. */
const callerErrors: readonly number[] = [-32600, -32601, -32602, -32002, -32021];

/**
 * The state that a JSON-RPC error of an MCP server means. Before work started the call was
 * rejected, and a reason that the caller can act on is passed on; afterwards it failed and the
 * detail stays here.
 */
export function stateFromRpcError(
  error: RpcError,
  started: boolean,
): { state: 'TASK_STATE_REJECTED' | 'TASK_STATE_FAILED'; text: string } {
  if (started) {
    return {
      state: 'TASK_STATE_FAILED',
      text: `The tool server stopped the call with an error (JSON-RPC ${error.code}).`,
    };
  }
  const reason = callerErrors.includes(error.code) ? firstLine(error.message) : '';
  return {
    state: 'TASK_STATE_REJECTED',
    text:
      reason === ''
        ? `The tool server refused the call (JSON-RPC ${error.code}).`
        : `The tool server refused the call: ${reason}`,
  };
}

// ── pieces ──────────────────────────────────────────────────────────────────

/** The raw result of an MCP server, complete. */
function rawResult(view: TaskView): CallToolResult | undefined {
  if (view.outcome === undefined || !('result' in view.outcome)) return undefined;
  const raw = view.outcome.result;
  if (!Array.isArray(raw['content'])) return undefined;
  return { ...raw, resultType: 'complete' } as unknown as CallToolResult;
}

function completedResult(view: TaskView, options: ResultOptions): CallToolResult {
  const outputs = renderArtifacts(view, options);
  const said = lastWords(view, outputs.text !== '' || outputs.content.length > 0);
  const spoken = contentFromParts(said, { inlineBytes: options.inlineBytes });
  const content = [...outputs.content, ...unrepeated(spoken.content, outputs.content)];
  const spokenText = textOfParts(said);
  const texts = [outputs.text, outputs.text === spokenText ? '' : spokenText];
  const text = texts.filter((line) => line !== '').join('\n\n');
  return result(
    content.length === 0
      ? [{ type: 'text', text: 'The agent finished without any output.' }]
      : content,
    {
      ...taskFacts(view, text),
      ...extras({
        structured: [...outputs.structured, ...spoken.structured],
        files: [...outputs.files, ...spoken.files],
      }),
    },
    metaOf(view.task.metadata, [...outputs.loss, ...spoken.loss]),
  );
}

const endings = {
  TASK_STATE_FAILED: 'The task failed',
  TASK_STATE_REJECTED: 'The agent rejected the task',
  TASK_STATE_CANCELED: 'The task was canceled',
} as const;

function endedResult(
  view: TaskView,
  state: keyof typeof endings,
  options: ResultOptions,
): CallToolResult {
  const said = view.task.status.message?.parts ?? [];
  const spoken = contentFromParts(
    said.filter((part) => part.text === undefined),
    {
      inlineBytes: options.inlineBytes,
    },
  );
  const outputs = renderArtifacts(view, options);
  const reason = textOfParts(said);
  const text = reason === '' ? `${endings[state]}.` : `${endings[state]}: ${reason}`;
  return {
    ...result(
      [{ type: 'text', text }, ...spoken.content, ...outputs.content],
      {
        ...taskFacts(view, text),
        ...extras({
          structured: [...spoken.structured, ...outputs.structured],
          files: [...spoken.files, ...outputs.files],
        }),
      },
      metaOf(view.task.metadata, [...spoken.loss, ...outputs.loss]),
    ),
    isError: true,
  };
}

function renderArtifacts(view: TaskView, options: ResultOptions) {
  const all = {
    content: [] as ContentBlock[],
    structured: [] as Json[],
    files: [] as FileLink[],
    loss: [] as string[],
    text: '',
  };
  const texts: string[] = [];
  for (const stored of view.task.artifacts ?? []) {
    const artifact = withoutChunks(stored, view.chunked);
    const rendered = contentFromParts(artifact.parts, {
      inlineBytes: options.inlineBytes,
      resourceUri: artifactUri(view.peerId, view.task.id, artifact.artifactId),
      resourceName: artifact.name || artifact.artifactId,
    });
    const about = { 'isthmus/artifact': aboutArtifact(artifact) };
    all.content.push(
      ...rendered.content.map((block) => ({ ...block, _meta: { ...block._meta, ...about } })),
    );
    all.structured.push(...rendered.structured);
    all.files.push(...rendered.files);
    all.loss.push(...rendered.loss, ...lossOf(artifact.metadata));
    texts.push(textOfBlocks(rendered.content, artifact.parts));
  }
  all.text = texts.filter((text) => text !== '').join('\n\n');
  return all;
}

/** The text that was inlined: a text that is only linked is not repeated beside its link. */
function textOfBlocks(content: readonly ContentBlock[], parts: readonly Part[]): string {
  const inlined = new Set(content.map((block) => block.text));
  return textOfParts(parts.filter((part) => inlined.has(part.text)));
}

function aboutArtifact(artifact: Artifact): JsonObject {
  const about: JsonObject = { artifactId: artifact.artifactId };
  if (artifact.name) about['name'] = artifact.name;
  if (artifact.description) about['description'] = artifact.description;
  if (artifact.metadata !== undefined) about['metadata'] = artifact.metadata;
  if (artifact.extensions !== undefined) about['extensions'] = artifact.extensions;
  return about;
}

/** The status message; where the task has no output at all, the agent's last message. */
function lastWords(view: TaskView, hasOutput: boolean): Part[] {
  const { message } = view.task.status;
  if (message !== undefined && message.parts.length > 0) return message.parts;
  if (hasOutput) return [];
  const last = (view.task.history ?? []).findLast(({ role }) => role === 'ROLE_AGENT');
  return last?.parts ?? [];
}

function unrepeated(spoken: ContentBlock[], outputs: readonly ContentBlock[]): ContentBlock[] {
  const known = new Set(outputs.map(({ text }) => text));
  return spoken.filter(({ type, text }) => type !== 'text' || !known.has(text));
}

function needText(view: TaskView, options: AskOptions): string {
  const said = textOfParts(view.task.status.message?.parts);
  const opening = describedQuestions(view.questions, options) || said;
  const state = view.task.status.state;
  const id = JSON.stringify(view.task.id);
  const how =
    state === 'TASK_STATE_AUTH_REQUIRED'
      ? `When that is done, call get_task with {"taskId": ${id}}; the task goes on by itself. To refuse, call cancel_task with the same taskId.`
      : `Answer with answer_task: {"taskId": ${id}, "answer": …}, where the answer is ${describedAnswer(view.questions)}. To give up, call cancel_task with the same taskId.`;
  const title =
    state === 'TASK_STATE_AUTH_REQUIRED'
      ? 'The agent needs an authorization before it can go on.'
      : 'The agent needs an answer before it can go on.';
  return [title, opening, how].filter((line) => line !== '').join('\n\n');
}

function askedData(question: TaskView['questions'][number], options: AskOptions): JsonObject {
  const params = question.request.params ?? {};
  const asked: JsonObject = {
    key: question.key,
    question: typeof params['message'] === 'string' ? params['message'] : '',
  };
  if (isObject(params['requestedSchema'])) asked['schema'] = params['requestedSchema'] as Json;
  if (question.request.method !== 'elicitation/create') asked['request'] = { ...question.request };
  if (params['mode'] === 'url') {
    const url = isHttpUrl(params['url']) ? params['url'] : options.connectUrlOf?.(question.key);
    if (url !== undefined) asked['url'] = url;
  }
  return asked;
}

function taskFacts(view: TaskView, text: string): JsonObject {
  const { id, contextId, status } = view.task;
  const state: TaskState = status.state;
  return { contextId, taskId: id, state, text };
}

function extras(rendered: { structured: Json[]; files: FileLink[] }): JsonObject {
  const members: JsonObject = {};
  if (rendered.structured.length > 0) members['data'] = rendered.structured;
  if (rendered.files.length > 0) members['files'] = rendered.files.map((file) => ({ ...file }));
  return members;
}

function metaOf(metadata: JsonObject | undefined, loss: readonly string[]): JsonObject | undefined {
  const rest = withoutKeys(metadata, ['isthmus/loss']);
  return withLoss(rest === undefined ? undefined : { 'isthmus/metadata': rest }, [
    ...lossOf(metadata),
    ...loss,
  ]);
}

function result(
  content: ContentBlock[],
  structuredContent: JsonObject,
  meta: JsonObject | undefined,
): CallToolResult {
  const complete: CallToolResult = { resultType: 'complete', content, structuredContent };
  if (meta !== undefined) complete._meta = meta;
  return complete;
}

function firstLine(message: unknown): string {
  if (typeof message !== 'string') return '';
  return shortened(plainText(message.split(/\r?\n/, 1)[0] ?? ''), 500);
}
