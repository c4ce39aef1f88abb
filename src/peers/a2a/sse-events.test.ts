import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { StreamResponse } from '../../model/a2a.ts';
import { EventStreamReader } from './sse-events.ts';

const read = (data: string): StreamResponse => ({
  message: { messageId: data, role: 'ROLE_AGENT', parts: [] },
});

function reading(body: Readable): { stream: EventStreamReader; aborts: () => number } {
  let aborts = 0;
  const stream = new EventStreamReader({
    open: () => Promise.resolve(body),
    read,
    abort: () => {
      aborts += 1;
      body.destroy();
    },
  });
  return { stream, aborts: () => aborts };
}

async function dataOf(stream: EventStreamReader): Promise<string[]> {
  const list: string[] = [];
  for (;;) {
    const event = await stream.next();
    if (event === undefined) return list;
    list.push(event.message?.messageId ?? '');
  }
}

const pieces = (text: string, size: number): Buffer[] => {
  const bytes = Buffer.from(text);
  const list: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) list.push(bytes.subarray(at, at + size));
  return list;
};

describe('events of a stream', () => {
  const text =
    '\uFEFFdata: grün €\r\n\r\n: beat\n\nretry: 5\nnoise: x\nevent: e\nid: 1\ndata: one\ndata: two\n\ndata:\n\ndata:🙂\n\n';

  it.each([1, 2, 3, 7, 1_000])('are the same in packets of %i bytes', async (size) => {
    const { stream } = reading(Readable.from(pieces(text, size)));
    expect(await dataOf(stream)).toEqual(['grün €', 'one\ntwo', '🙂']);
  });

  it('count also when the last one lacks its empty line', async () => {
    const { stream } = reading(Readable.from([Buffer.from('data: a\n\ndata: b')]));
    expect(await dataOf(stream)).toEqual(['a', 'b']);
  });

  it('that came before a cut are told before it', async () => {
    const body = new Readable({ read: () => undefined });
    const { stream } = reading(body);
    const first = stream.next();
    body.push('data: a\n\ndata: b\n\n');
    expect(await first).toEqual(read('a'));
    body.destroy(new Error('cut'));
    await new Promise((resolve) => body.once('close', resolve));
    expect(await stream.next()).toEqual(read('b'));
    await expect(stream.next()).rejects.toThrow('cut');
  });

  it('are not read ahead of the reader', async () => {
    let pulled = 0;
    const body = new Readable({
      highWaterMark: 1,
      read() {
        pulled += 1;
        setImmediate(() => this.push(`data: ${pulled}\n\ndata: ${pulled}\n\n`));
      },
    });
    const { stream, aborts } = reading(body);
    expect(await stream.next()).toEqual(read('1'));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(pulled).toBeLessThan(5);
    stream.close();
    await new Promise((resolve) => body.once('close', resolve));
    expect(aborts()).toBe(1);
  });
});

describe('a stream that nobody reads on', () => {
  it('may end by itself, which keeps its connection', async () => {
    const body = new Readable({ read: () => undefined });
    const { stream, aborts } = reading(body);
    const first = stream.next();
    body.push('data: a\n\n');
    await first;
    stream.close();
    body.push('data: b\n\n');
    body.push(null);
    await new Promise((resolve) => body.once('close', resolve));
    expect(aborts()).toBe(0);
    expect(body.readableEnded).toBe(true);
  });

  it('is cut when it does not', async () => {
    const body = new Readable({ read: () => undefined });
    const { stream, aborts } = reading(body);
    const first = stream.next();
    body.push('data: a\n\n');
    await first;
    stream.close();
    await new Promise((resolve) => body.once('close', resolve));
    expect(aborts()).toBe(1);
  });

  it('is cut at once when it was never opened', async () => {
    const { stream, aborts } = reading(new Readable());
    stream.close();
    expect(aborts()).toBe(1);
  });
});
