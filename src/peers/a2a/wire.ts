/**
 * What an agent sends ⇄ the wire JSON that the engine stores. Both are the JSON of A2A 1.0, so
 * reading is checking: members that we know are copied, everything that the protocol requires is
 * verified, and a peer that breaks a rule is told apart from a task that failed.
 *
 * As parsers of protobuf JSON must, the reader also takes the original field names and the numbers
 * of enums. Lost on the way: members that A2A does not define.
 *
 * Spec: A2A 1.0 §4 (required members), §5.5 (JSON)
 */
import type {
  Artifact,
  Message,
  Part,
  StreamResponse,
  Task,
  TaskArtifactUpdateEvent,
  TaskState,
  TaskStatus,
  TaskStatusUpdateEvent,
} from '../../model/a2a.ts';
import { taskStates } from '../../model/a2a.ts';
import { GatewayError } from '../../model/errors.ts';
import { isObject } from '../../model/json.ts';
import type { Json, JsonObject } from '../../model/json.ts';

/** A message on its way to the agent, with what goes around it. */
export interface Outgoing {
  message: Message;
  acceptedOutputModes?: string[];
  metadata?: JsonObject;
}

/** Reads what peers send; `peerId` goes into the text of every complaint. */
export interface WireReader {
  /** An event of a stream. */
  event(value: unknown): StreamResponse;
  /** The answer to SendMessage: a message or a task. */
  answer(value: unknown): StreamResponse;
  task(value: unknown): Task;
}

type Wire = Record<string, unknown>;

const roles: ReadonlyMap<unknown, Message['role']> = new Map<unknown, Message['role']>([
  ['ROLE_USER', 'ROLE_USER'],
  [1, 'ROLE_USER'],
  ['ROLE_AGENT', 'ROLE_AGENT'],
  [2, 'ROLE_AGENT'],
]);

/** By name and by number: the numbers count from 1 in the order of the model. */
const states: ReadonlyMap<unknown, TaskState> = new Map<unknown, TaskState>([
  ...taskStates.map((state) => [state, state] as const),
  ...taskStates.map((state, index) => [index + 1, state] as const),
]);

/** A reader for one peer. Its methods throw `peer-protocol` naming what was wrong. */
export function createWireReader(peerId: string): WireReader {
  const wrong = (what: string): GatewayError =>
    new GatewayError(
      'peer-protocol',
      `The agent "${peerId}" sent ${what}, which A2A does not allow. Its operator has to fix it.`,
      { facts: { peer: peerId, problem: what } },
    );

  const partsOf = (value: unknown, where: string): Part[] =>
    listOf(value).map((one) => {
      const part = partFrom(objectOf(one));
      if (part === undefined) throw wrong(`a part without content in ${where}`);
      return part;
    });

  const message = (value: Wire, where = 'a message'): Message => {
    const messageId = textOf(value['messageId'] ?? value['message_id']);
    if (messageId === '') throw wrong(`${where} without messageId`);
    const role = roles.get(value['role']);
    if (role === undefined) throw wrong(`${where} with an unknown role`);
    const read: Message = { messageId, role, parts: partsOf(value['parts'], where) };
    const contextId = textOf(value['contextId'] ?? value['context_id']);
    const taskId = textOf(value['taskId'] ?? value['task_id']);
    const extensions = textsOf(value['extensions']);
    const referenceTaskIds = textsOf(value['referenceTaskIds'] ?? value['reference_task_ids']);
    if (contextId !== '') read.contextId = contextId;
    if (taskId !== '') read.taskId = taskId;
    if (extensions.length > 0) read.extensions = extensions;
    if (referenceTaskIds.length > 0) read.referenceTaskIds = referenceTaskIds;
    return withMetadata(read, value);
  };

  const agentMessage = (value: Wire, where: string): Message => {
    const read = message(value, where);
    if (read.role !== 'ROLE_AGENT') throw wrong(`${where} in the role of the user`);
    return read;
  };

  const status = (value: unknown, where: string): TaskStatus => {
    if (!isSet(value)) throw wrong(`${where} without status`);
    const wire = objectOf(value);
    const state = states.get(wire['state']);
    if (state === undefined) throw wrong(`${where} in a state that does not exist`);
    const read: TaskStatus = { state };
    if (isSet(wire['message'])) {
      read.message = agentMessage(objectOf(wire['message']), 'a status message');
    }
    const timestamp = textOf(wire['timestamp']);
    if (timestamp !== '') read.timestamp = timestamp;
    return read;
  };

  const artifact = (value: unknown): Artifact => {
    if (!isSet(value)) throw wrong('an artifact update without artifact');
    const wire = objectOf(value);
    const artifactId = textOf(wire['artifactId'] ?? wire['artifact_id']);
    if (artifactId === '') throw wrong('an artifact without artifactId');
    const read: Artifact = { artifactId, parts: partsOf(wire['parts'], 'an artifact') };
    const name = textOf(wire['name']);
    const description = textOf(wire['description']);
    const extensions = textsOf(wire['extensions']);
    if (name !== '') read.name = name;
    if (description !== '') read.description = description;
    if (extensions.length > 0) read.extensions = extensions;
    return withMetadata(read, wire);
  };

  const task = (value: unknown): Task => {
    const wire = objectOf(value);
    const id = textOf(wire['id']);
    if (id === '') throw wrong('a task without id');
    const read: Task = {
      id,
      contextId: textOf(wire['contextId'] ?? wire['context_id']),
      status: status(wire['status'], 'a task'),
      artifacts: listOf(wire['artifacts']).map(artifact),
      history: listOf(wire['history']).map((one) =>
        message(objectOf(one), 'a message in the history'),
      ),
    };
    return withMetadata(read, wire);
  };

  const ids = (wire: Wire, where: string) => {
    const taskId = textOf(wire['taskId'] ?? wire['task_id']);
    if (taskId === '') throw wrong(`${where} without taskId`);
    return { taskId, contextId: textOf(wire['contextId'] ?? wire['context_id']) };
  };

  const answer = (wire: Wire): StreamResponse | undefined => {
    if (isSet(wire['task'])) return { task: task(wire['task']) };
    if (!isSet(wire['message'])) return undefined;
    return { message: agentMessage(objectOf(wire['message']), 'a message') };
  };

  const update = (wire: Wire): StreamResponse | undefined => {
    const statusUpdate = wire['statusUpdate'] ?? wire['status_update'];
    if (isSet(statusUpdate)) {
      const value = objectOf(statusUpdate);
      const where = 'a status update';
      const read: TaskStatusUpdateEvent = {
        ...ids(value, where),
        status: status(value['status'], where),
      };
      return { statusUpdate: withMetadata(read, value) };
    }
    const artifactUpdate = wire['artifactUpdate'] ?? wire['artifact_update'];
    if (!isSet(artifactUpdate)) return undefined;
    const value = objectOf(artifactUpdate);
    const read: TaskArtifactUpdateEvent = {
      ...ids(value, 'an artifact update'),
      artifact: artifact(value['artifact']),
      append: Boolean(value['append']),
      lastChunk: Boolean(value['lastChunk'] ?? value['last_chunk']),
    };
    return { artifactUpdate: withMetadata(read, value) };
  };

  return {
    task,
    answer: (value) => {
      const read = answer(objectOf(value));
      if (read === undefined) throw wrong('an answer that is neither task nor message');
      return read;
    },
    event: (value) => {
      const wire = objectOf(value);
      const read = answer(wire) ?? update(wire);
      if (read !== undefined) return read;
      throw wrong('an event that is neither task, message, status nor artifact');
    },
  };
}

/** A part with its one content; undefined when it has none. Of several, the first counts. */
function partFrom(wire: Wire): Part | undefined {
  const part = contentFrom(wire);
  if (part === undefined) return undefined;
  const filename = textOf(wire['filename']);
  const mediaType = textOf(wire['mediaType'] ?? wire['media_type']);
  if (filename !== '') part.filename = filename;
  if (mediaType !== '') part.mediaType = mediaType;
  return withMetadata(part, wire);
}

function contentFrom({ text, raw, url, data }: Wire): Part | undefined {
  if (isScalar(text)) return { text: textOf(text) };
  if (typeof raw === 'string') return { raw: base64From(raw) };
  if (isScalar(url)) return { url: textOf(url) };
  return data === undefined ? undefined : { data: data as Json };
}

/** Bytes may also come in the URL-safe alphabet or unpadded; they are kept in the standard form. */
function base64From(raw: string): string {
  if (raw.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(raw)) return raw;
  return Buffer.from(raw, 'base64').toString('base64');
}

function withMetadata<T extends { metadata?: JsonObject }>(read: T, { metadata }: Wire): T {
  if (isObject(metadata)) read.metadata = metadata as JsonObject;
  return read;
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function isScalar(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

/** Empty for what is absent, as the protocol has it. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}

function objectOf(value: unknown): Wire {
  return isObject(value) ? value : {};
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

const noTexts: string[] = [];

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(textOf) : noTexts;
}
