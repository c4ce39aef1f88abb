/**
 * The A2A 1.0 objects in their wire JSON form: what the engine stores and what translators read.
 *
 * Spec: A2A 1.0 §4 (data model), §5.5 (JSON field names and enum spelling)
 */
import type { JsonObject, Json } from './json.ts';

/** Every state that a task can be in. */
export const taskStates = [
  'TASK_STATE_SUBMITTED',
  'TASK_STATE_WORKING',
  'TASK_STATE_COMPLETED',
  'TASK_STATE_FAILED',
  'TASK_STATE_CANCELED',
  'TASK_STATE_INPUT_REQUIRED',
  'TASK_STATE_REJECTED',
  'TASK_STATE_AUTH_REQUIRED',
] as const;

/** A task state as the wire spells it. */
export type TaskState = (typeof taskStates)[number];

/** States that a task never leaves. */
export type TerminalState =
  'TASK_STATE_COMPLETED' | 'TASK_STATE_FAILED' | 'TASK_STATE_CANCELED' | 'TASK_STATE_REJECTED';

/** States in which a task waits for its caller. */
export type InterruptedState = 'TASK_STATE_INPUT_REQUIRED' | 'TASK_STATE_AUTH_REQUIRED';

/** Whether a task in this state never changes again. */
export function isTerminal(state: TaskState): state is TerminalState {
  return (
    state === 'TASK_STATE_COMPLETED' ||
    state === 'TASK_STATE_FAILED' ||
    state === 'TASK_STATE_CANCELED' ||
    state === 'TASK_STATE_REJECTED'
  );
}

/** Whether a task in this state waits for its caller. */
export function isInterrupted(state: TaskState): state is InterruptedState {
  return state === 'TASK_STATE_INPUT_REQUIRED' || state === 'TASK_STATE_AUTH_REQUIRED';
}

/** Whether a string names a state of A2A 1.0; anything else is a peer's fault. */
export function isTaskState(value: unknown): value is TaskState {
  return taskStates.includes(value as TaskState);
}

/** One piece of content: exactly one of `text`, `raw` (base64), `url`, `data` is present. */
export interface Part {
  text?: string;
  raw?: string;
  url?: string;
  data?: Json;
  metadata?: JsonObject;
  filename?: string;
  mediaType?: string;
}

/** One turn of a conversation. */
export interface Message {
  messageId: string;
  contextId?: string;
  taskId?: string;
  role: 'ROLE_USER' | 'ROLE_AGENT';
  parts: Part[];
  metadata?: JsonObject;
  extensions?: string[];
  referenceTaskIds?: string[];
}

/** Where a task stands; `timestamp` is ISO 8601 in UTC with milliseconds. */
export interface TaskStatus {
  state: TaskState;
  message?: Message;
  timestamp?: string;
}

/** An output of a task. */
export interface Artifact {
  artifactId: string;
  name?: string;
  description?: string;
  parts: Part[];
  metadata?: JsonObject;
  extensions?: string[];
}

/** The durable unit of work. */
export interface Task {
  id: string;
  contextId: string;
  status: TaskStatus;
  artifacts?: Artifact[];
  history?: Message[];
  metadata?: JsonObject;
}

/** A change of a task's status. */
export interface TaskStatusUpdateEvent {
  taskId: string;
  contextId: string;
  status: TaskStatus;
  metadata?: JsonObject;
}

/** A new artifact, or a piece of one. */
export interface TaskArtifactUpdateEvent {
  taskId: string;
  contextId: string;
  artifact: Artifact;
  append?: boolean;
  lastChunk?: boolean;
  metadata?: JsonObject;
}

/** One element of a stream: exactly one member is present. */
export interface StreamResponse {
  task?: Task;
  message?: Message;
  statusUpdate?: TaskStatusUpdateEvent;
  artifactUpdate?: TaskArtifactUpdateEvent;
}

/** An extension that an agent declares. */
export interface AgentExtension {
  uri: string;
  description?: string;
  required?: boolean;
  params?: JsonObject;
}

/** One way to reach an agent. */
export interface AgentInterface {
  url: string;
  protocolBinding: string;
  tenant?: string;
  protocolVersion: string;
}

/** What an agent can be asked to do. */
export interface AgentSkill {
  id: string;
  name: string;
  description: string;
  tags: string[];
  examples?: string[];
  inputModes?: string[];
  outputModes?: string[];
}

/** How callers of an agent prove who they are. */
export interface CardSecurity {
  /** By name: an object whose one member names the kind of the scheme. */
  securitySchemes: { [name: string]: { [kind: string]: JsonObject } };
  /** Any one of them is enough; `list` names scopes. */
  securityRequirements: { schemes: { [name: string]: { list: string[] } } }[];
}

/** An agent's description of itself. */
export interface AgentCard extends Partial<CardSecurity> {
  name: string;
  description: string;
  supportedInterfaces: AgentInterface[];
  provider?: { url: string; organization: string };
  version: string;
  documentationUrl?: string;
  capabilities: {
    streaming?: boolean;
    pushNotifications?: boolean;
    extensions?: AgentExtension[];
    extendedAgentCard?: boolean;
  };
  defaultInputModes: string[];
  defaultOutputModes: string[];
  skills: AgentSkill[];
  iconUrl?: string;
}
