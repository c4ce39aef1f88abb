import { describe, expect, it } from 'vitest';
import { markingAppend } from './legacy-append.ts';

describe('the append flag of 0.3 over HTTP+JSON', () => {
  it('is carried in the metadata, however the stream is cut into packets', async () => {
    const event = { artifactUpdate: { taskId: 't', append: true, metadata: { own: 1 } } };
    const other = { artifactUpdate: { taskId: 't', append: false } };
    const text = `data: ${JSON.stringify(event)}\n\n: beat\n\ndata: ${JSON.stringify(other)}\n\n`;
    const bytes = new TextEncoder().encode(text);
    for (const size of [1, 7, 1_000]) {
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          for (let at = 0; at < bytes.length; at += size) {
            controller.enqueue(bytes.slice(at, at + size));
          }
          controller.close();
        },
      });
      const headers = { 'content-type': 'text/event-stream' };
      const marked = markingAppend(() => Promise.resolve(new Response(body, { headers })));
      const lines = (await (await marked('https://a.example')).text()).split('\n');
      expect(JSON.parse((lines[0] ?? '').slice(5))).toEqual({
        artifactUpdate: {
          taskId: 't',
          append: true,
          metadata: { own: 1, 'isthmus/append': true },
        },
      });
      expect(lines.slice(1)).toEqual(['', ': beat', '', `data: ${JSON.stringify(other)}`, '', '']);
    }
  });
});
