/**
 * Over HTTP+JSON of 0.3 the SDK forgets whether an artifact update appends, and every chunk would
 * replace the one before. The flag is carried past it in the update's metadata.
 */
import type { TaskArtifactUpdateEvent } from '../../model/a2a.ts';
import { isObject } from '../../model/json.ts';

const mark = 'isthmus/append';

/** A `fetch` whose event streams carry the flag where the SDK leaves it alone. */
export function markingAppend(send: typeof fetch): typeof fetch {
  return async (input, init) => {
    const response = await send(input, init);
    const type = response.headers.get('content-type') ?? '';
    if (!response.body || !type.startsWith('text/event-stream')) return response;
    const marked = response.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(markedLines())
      .pipeThrough(new TextEncoderStream());
    return new Response(marked, { status: response.status, headers: response.headers });
  };
}

/** An update as it was before the flag was carried in its metadata. */
export function unmarkedAppend(update: TaskArtifactUpdateEvent): TaskArtifactUpdateEvent {
  const { metadata, ...rest } = update;
  if (metadata?.[mark] !== true) return update;
  const { [mark]: _mark, ...others } = metadata;
  return { ...rest, append: true, ...(Object.keys(others).length > 0 && { metadata: others }) };
}

function markedLines(): TransformStream<string, string> {
  let open = '';
  return new TransformStream({
    transform(chunk, controller) {
      const lines = (open + chunk).split('\n');
      open = lines.pop() ?? '';
      for (const line of lines) controller.enqueue(`${markedLine(line)}\n`);
      // A line without end is the SDK's to refuse, which counts what it is given.
      if (open.length > longestMarkedLine) {
        controller.enqueue(open);
        open = '';
      }
    },
    flush(controller) {
      controller.enqueue(open);
    },
  });
}

const longestMarkedLine = 1024 * 1024;

function markedLine(line: string): string {
  if (!line.startsWith('data:') || !line.includes('"append"')) return line;
  try {
    const event: unknown = JSON.parse(line.slice('data:'.length));
    if (!isObject(event) || !isObject(event['artifactUpdate'])) return line;
    const update = event['artifactUpdate'];
    if (update['append'] !== true) return line;
    const metadata = isObject(update['metadata']) ? update['metadata'] : {};
    update['metadata'] = { ...metadata, [mark]: true };
    return `data: ${JSON.stringify(event)}`;
  } catch {
    return line;
  }
}
