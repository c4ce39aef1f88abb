/**
 * The SDK's own types ⇄ A2A 1.0 wire JSON. The codecs read a data part that holds null as a part
 * without content; that is mended here.
 *
 * Spec: A2A 1.0 §5.5 (JSON form)
 */
import {
  Message as MessageCodec,
  StreamResponse as StreamResponseCodec,
  Task as TaskCodec,
  TaskState as SdkTaskState,
  taskStateToJSON,
} from '@a2a-js/sdk';
import type {
  Message as SdkMessage,
  Part as SdkPart,
  StreamResponse as SdkStreamResponse,
  Task as SdkTask,
} from '@a2a-js/sdk';
import { isTaskState } from '../model/a2a.ts';
import type { Message, Part, StreamResponse, Task, TaskState } from '../model/a2a.ts';

/** A message of a caller as wire JSON: absent members are absent. */
export function messageFromSdk(message: SdkMessage): Message {
  return MessageCodec.toJSON(message) as Message;
}

/** A message as the SDK's transports want it. */
export function sdkMessage(message: Message): SdkMessage {
  const sdk = MessageCodec.fromJSON(message);
  mend(sdk.parts, message.parts);
  return sdk;
}

/** A task as the SDK's transports want it. */
export function sdkTask(task: Task): SdkTask {
  const sdk = TaskCodec.fromJSON(task);
  mendTask(sdk, task);
  return sdk;
}

/** A stream event as the SDK's transports want it. */
export function sdkStreamResponse(event: StreamResponse): SdkStreamResponse {
  const sdk = StreamResponseCodec.fromJSON(event);
  const { payload } = sdk;
  if (payload?.$case === 'task' && event.task !== undefined) mendTask(payload.value, event.task);
  if (payload?.$case === 'message') mend(payload.value.parts, event.message?.parts);
  if (payload?.$case === 'statusUpdate') {
    mend(payload.value.status?.message?.parts, event.statusUpdate?.status.message?.parts);
  }
  if (payload?.$case === 'artifactUpdate') {
    mend(payload.value.artifact?.parts, event.artifactUpdate?.artifact.parts);
  }
  return sdk;
}

/** A state of the SDK by its wire name; undefined for a number that names none. */
export function stateFromSdk(state: SdkTaskState): TaskState | undefined {
  const name = taskStateToJSON(state);
  return isTaskState(name) ? name : undefined;
}

/** Whether a caller left the state out. */
export function isUnspecified(state: SdkTaskState): boolean {
  return state === SdkTaskState.TASK_STATE_UNSPECIFIED;
}

function mendTask(sdk: SdkTask, task: Task): void {
  mend(sdk.status?.message?.parts, task.status.message?.parts);
  sdk.history.forEach((message, at) => mend(message.parts, task.history?.[at]?.parts));
  sdk.artifacts.forEach((artifact, at) => mend(artifact.parts, task.artifacts?.[at]?.parts));
}

function mend(sdk: SdkPart[] | undefined, parts: Part[] | undefined): void {
  parts?.forEach((part, at) => {
    const read = sdk?.[at];
    if (part.data === null && read !== undefined && read.content === undefined) {
      read.content = { $case: 'data', value: null };
    }
  });
}
