import { describe, expect, it } from 'vitest';
import {
  EventTooLargeError,
  serverSentEvents,
  type EventSource,
  type ServerSentEvent,
} from './sse.ts';

function bodyOf(...chunks: (string | Uint8Array)[]): EventSource {
  const encoder = new TextEncoder();
  return {
    async *stream() {
      for (const chunk of chunks) yield typeof chunk === 'string' ? encoder.encode(chunk) : chunk;
    },
    discard: () => undefined,
  };
}

async function read(body: EventSource, max = 1000): Promise<ServerSentEvent[]> {
  const events: ServerSentEvent[] = [];
  for await (const event of serverSentEvents(body, { maxEventBytes: max })) events.push(event);
  return events;
}

describe('an event stream', () => {
  it('is read across chunks and all three line ends', async () => {
    const body = bodyOf('id: 1\r', '\nda', 'ta: a\r\n\r\n', 'data: b\rdata:c\r\r', 'data: d\n\n');
    expect(await read(body)).toEqual([{ id: '1', data: 'a' }, { data: 'b\nc' }, { data: 'd' }]);
  });

  it('has comments that say nothing, and events that carry only an id or a retry', async () => {
    const body = bodyOf(': hello\n\nid: 7\nretry: 250\ndata:\n\n');
    expect(await read(body)).toEqual([{ id: '7', retry: 250, data: '' }]);
  });

  it('loses what was not ended by an empty line', async () => {
    expect(await read(bodyOf('data: whole\n\ndata: half'))).toEqual([{ data: 'whole' }]);
  });

  it('keeps characters that were cut in two', async () => {
    const bytes = new TextEncoder().encode('data: Zürich\n\n');
    const body = bodyOf(bytes.subarray(0, 8), bytes.subarray(8));
    expect(await read(body)).toEqual([{ data: 'Zürich' }]);
  });

  it('ends where one event is too large', async () => {
    await expect(read(bodyOf(`data: ${'x'.repeat(2000)}\n\n`))).rejects.toBeInstanceOf(
      EventTooLargeError,
    );
    const lines = Array.from({ length: 300 }, () => 'data: xxxx\n').join('');
    await expect(read(bodyOf(lines, 'x'))).rejects.toBeInstanceOf(EventTooLargeError);
  });
});
