import { SendMessageRequest } from '@a2a-js/sdk';
import { describe, expect, it } from 'vitest';
import type { Message } from '../../model/a2a.ts';
import { requestFromOutgoing } from './sdk-calls.ts';

describe('a message on its way out through the SDK', () => {
  it('keeps every kind of part, also empty text and JSON null', () => {
    const message: Message = {
      messageId: 'mine',
      contextId: 'c',
      taskId: 't',
      role: 'ROLE_USER',
      parts: [
        { text: '' },
        { raw: 'AP/+', mediaType: 'a/b', filename: 'f' },
        { url: 'https://a.example/f' },
        { data: null },
        { data: { deep: [1, null] }, metadata: { m: 1 } },
      ],
      metadata: { skill: 's' },
      referenceTaskIds: ['r'],
    };
    const request = requestFromOutgoing(
      { message, acceptedOutputModes: ['text/plain'], metadata: { q: 1 } },
      true,
    );
    expect(SendMessageRequest.toJSON(request)).toEqual({
      message,
      configuration: { acceptedOutputModes: ['text/plain'], returnImmediately: true },
      metadata: { q: 1 },
    });
  });
});
