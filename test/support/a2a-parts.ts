/** Short constructors for the wide message types of the A2A SDK, for peers and clients in tests. */
import { randomUUID } from 'node:crypto';
import { Role } from '@a2a-js/sdk';
import type { Artifact, Message, Part, SendMessageRequest } from '@a2a-js/sdk';

/** A text part. */
export function textPart(value: string): Part {
  return {
    content: { $case: 'text', value },
    mediaType: 'text/plain',
    filename: '',
    metadata: undefined,
  };
}

/** A data part; `value` is any JSON value. */
export function dataPart(value: unknown, metadata?: Record<string, unknown>): Part {
  return {
    content: { $case: 'data', value },
    mediaType: 'application/json',
    filename: '',
    metadata,
  };
}

/** A file part that carries its bytes. */
export function rawPart(bytes: Buffer, mediaType: string, filename = ''): Part {
  return { content: { $case: 'raw', value: bytes }, mediaType, filename, metadata: undefined };
}

/** A file part that points at its bytes. */
export function urlPart(url: string, mediaType: string, filename = ''): Part {
  return { content: { $case: 'url', value: url }, mediaType, filename, metadata: undefined };
}

/** An artifact of the given parts. */
export function artifact(name: string, parts: readonly Part[], artifactId = name): Artifact {
  return {
    artifactId,
    name,
    description: '',
    parts: [...parts],
    metadata: undefined,
    extensions: [],
  };
}

/** A message from the agent. */
export function agentMessage(
  ids: { taskId?: string; contextId: string },
  parts: readonly Part[],
): Message {
  return {
    messageId: randomUUID(),
    role: Role.ROLE_AGENT,
    taskId: ids.taskId ?? '',
    contextId: ids.contextId,
    parts: [...parts],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  };
}

/** A request from a user: `content` is text, or the parts themselves. */
export function userRequest(
  content: string | readonly Part[],
  fields: Partial<Message> = {},
  configuration?: SendMessageRequest['configuration'],
): SendMessageRequest {
  const parts = typeof content === 'string' ? [textPart(content)] : [...content];
  return {
    tenant: '',
    message: {
      messageId: randomUUID(),
      role: Role.ROLE_USER,
      taskId: '',
      contextId: '',
      parts,
      metadata: undefined,
      extensions: [],
      referenceTaskIds: [],
      ...fields,
    },
    configuration,
    metadata: undefined,
  };
}

/** All text parts, joined by newlines. */
export function textOf(parts: readonly Part[] | undefined): string {
  return (parts ?? [])
    .flatMap((part) => (part.content?.$case === 'text' ? [part.content.value] : []))
    .join('\n');
}

/** The values of all data parts. */
export function dataOf(parts: readonly Part[] | undefined): unknown[] {
  return (parts ?? []).flatMap((part) =>
    part.content?.$case === 'data' ? [part.content.value as unknown] : [],
  );
}
