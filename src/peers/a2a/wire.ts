/**
 * The SDK's objects ⇄ the wire JSON that the engine stores. The SDK's decoders never fail: what is
 * missing becomes an empty string or zero, what is unknown becomes "unrecognized". Everything that
 * the protocol requires is therefore checked here, after decoding, and a peer that breaks a rule is
 * told apart from a task that failed.
 *
 * Lost on the way: the name of an unknown state or role (the SDK drops it).
 *
 * Spec: A2A 1.0 §4 (required members), §5.5 (JSON)
 */
import {
  Artifact as ArtifactCodec,
  Message as MessageCodec,
  Role,
  SendMessageRequest,
  Task as TaskCodec,
  TaskState as SdkState,
} from '@a2a-js/sdk';
import type {
  Artifact as SdkArtifact,
  Message as SdkMessage,
  StreamResponse as SdkStreamResponse,
  Task as SdkTask,
  TaskStatus as SdkStatus,
} from '@a2a-js/sdk';
import type {
  Artifact,
  Message,
  Part,
  StreamResponse,
  Task,
  TaskState,
  TaskStatus,
} from '../../model/a2a.ts';
import { GatewayError } from '../../model/errors.ts';
import type { JsonObject } from '../../model/json.ts';

/** A message on its way to the agent, with what goes around it. */
export interface Outgoing {
  message: Message;
  acceptedOutputModes?: string[];
  metadata?: JsonObject;
}

const states: Readonly<Partial<Record<SdkState, TaskState>>> = {
  [SdkState.TASK_STATE_SUBMITTED]: 'TASK_STATE_SUBMITTED',
  [SdkState.TASK_STATE_WORKING]: 'TASK_STATE_WORKING',
  [SdkState.TASK_STATE_COMPLETED]: 'TASK_STATE_COMPLETED',
  [SdkState.TASK_STATE_FAILED]: 'TASK_STATE_FAILED',
  [SdkState.TASK_STATE_CANCELED]: 'TASK_STATE_CANCELED',
  [SdkState.TASK_STATE_INPUT_REQUIRED]: 'TASK_STATE_INPUT_REQUIRED',
  [SdkState.TASK_STATE_REJECTED]: 'TASK_STATE_REJECTED',
  [SdkState.TASK_STATE_AUTH_REQUIRED]: 'TASK_STATE_AUTH_REQUIRED',
};

/** The SDK's request for a message. The message id is the caller's, unchanged. */
export function requestFromOutgoing(
  { message, acceptedOutputModes, metadata }: Outgoing,
  returnImmediately: boolean,
): SendMessageRequest {
  const request = SendMessageRequest.fromJSON({
    message,
    configuration: { acceptedOutputModes: acceptedOutputModes ?? [], returnImmediately },
    metadata,
  });
  // The SDK's decoder takes a data part of JSON null for a part without content.
  message.parts.forEach((part, index) => {
    const decoded = request.message?.parts[index];
    if (part.data === null && decoded) decoded.content = { $case: 'data', value: null };
  });
  return request;
}

/** Reads what peers send; `peerId` goes into the text of every complaint. */
export interface WireReader {
  event(value: SdkStreamResponse): StreamResponse;
  /** The answer to SendMessage: a message or a task. */
  answer(value: SdkMessage | SdkTask): StreamResponse;
  task(value: SdkTask): Task;
}

/** A reader for one peer. Its methods throw `peer-protocol` naming what was wrong. */
export function createWireReader(peerId: string): WireReader {
  const wrong = (what: string): GatewayError =>
    new GatewayError(
      'peer-protocol',
      `The agent "${peerId}" sent ${what}, which A2A does not allow. Its operator has to fix it.`,
      { facts: { peer: peerId, problem: what } },
    );

  const parts = (json: { parts?: Part[] }, where: string): Part[] => {
    const all = json.parts ?? [];
    for (const part of all) {
      const kinds = ['text', 'raw', 'url', 'data'].filter((one) => Object.hasOwn(part, one));
      if (kinds.length !== 1) throw wrong(`a part without content in ${where}`);
    }
    return all;
  };

  const message = (value: SdkMessage, where = 'a message'): Message => {
    if (value.messageId === '') throw wrong(`${where} without messageId`);
    if (value.role !== Role.ROLE_AGENT && value.role !== Role.ROLE_USER) {
      throw wrong(`${where} with an unknown role`);
    }
    const json = MessageCodec.toJSON(value) as Message;
    return { ...json, parts: parts(json, where) };
  };

  const agentMessage = (value: SdkMessage, where: string): Message => {
    const read = message(value, where);
    if (read.role !== 'ROLE_AGENT') throw wrong(`${where} in the role of the user`);
    return read;
  };

  const status = (value: SdkStatus | undefined, where: string): TaskStatus => {
    if (!value) throw wrong(`${where} without status`);
    const state = states[value.state];
    if (state === undefined) throw wrong(`${where} in a state that does not exist`);
    return {
      state,
      ...(value.message && { message: agentMessage(value.message, 'a status message') }),
      ...(value.timestamp && { timestamp: value.timestamp }),
    };
  };

  const artifact = (value: SdkArtifact | undefined): Artifact => {
    if (!value) throw wrong('an artifact update without artifact');
    if (value.artifactId === '') throw wrong('an artifact without artifactId');
    const json = ArtifactCodec.toJSON(value) as Artifact;
    return { ...json, parts: parts(json, 'an artifact') };
  };

  const task = (value: SdkTask): Task => {
    if (value.id === '') throw wrong('a task without id');
    const { metadata } = TaskCodec.toJSON({ ...value, artifacts: [], history: [] }) as Task;
    return {
      id: value.id,
      contextId: value.contextId,
      status: status(value.status, 'a task'),
      artifacts: value.artifacts.map(artifact),
      history: value.history.map((one) => message(one, 'a message in the history')),
      ...(metadata && { metadata }),
    };
  };

  const ids = (value: { taskId: string; contextId: string }, where: string) => {
    if (value.taskId === '') throw wrong(`${where} without taskId`);
    return { taskId: value.taskId, contextId: value.contextId };
  };

  return {
    task,
    answer: (value) =>
      'messageId' in value ? { message: agentMessage(value, 'a message') } : { task: task(value) },
    event({ payload }) {
      switch (payload?.$case) {
        case 'task':
          return { task: task(payload.value) };
        case 'message':
          return { message: agentMessage(payload.value, 'a message') };
        case 'statusUpdate': {
          const { value } = payload;
          return {
            statusUpdate: {
              ...ids(value, 'a status update'),
              status: status(value.status, 'a status update'),
              ...(value.metadata && { metadata: value.metadata }),
            },
          };
        }
        case 'artifactUpdate': {
          const { value } = payload;
          return {
            artifactUpdate: {
              ...ids(value, 'an artifact update'),
              artifact: artifact(value.artifact),
              append: value.append,
              lastChunk: value.lastChunk,
              ...(value.metadata && { metadata: value.metadata }),
            },
          };
        }
        case undefined:
          throw wrong('an event that is neither task, message, status nor artifact');
      }
    },
  };
}
