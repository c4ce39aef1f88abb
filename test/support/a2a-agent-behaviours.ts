/** What the scriptable agent can do, by skill id. */
import { createHash } from 'node:crypto';
import { TaskState } from '@a2a-js/sdk';
import type { Part } from '@a2a-js/sdk';
import { TOOL_CALL_EXTENSION } from './a2a-agent-card.ts';
import type { Turn } from './a2a-agent-run.ts';
import { artifact, dataPart, rawPart, textOf, textPart, urlPart } from './a2a-parts.ts';

/** A behaviour publishes its events on the turn and returns when the turn is over. */
export type Behaviour = (turn: Turn, agent: { readonly origin: string }) => Promise<void> | void;

/** A PNG image of one transparent pixel. */
export const ONE_PIXEL_PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
);

/** A WAV file with no samples. */
export const SILENT_WAV = Buffer.from(
  'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=',
  'base64',
);

/** Bytes that are no text in any encoding. */
export const OTHER_BYTES = Buffer.from([0x00, 0xff, 0xfe, 0x80, 0x01]);

/** The schema that `form` asks with. */
export const FORM_SCHEMA = {
  type: 'object',
  properties: {
    city: { type: 'string', title: 'City', minLength: 2 },
    nights: { type: 'integer', title: 'Nights', minimum: 1, maximum: 30 },
    window: { type: 'boolean', title: 'Window seat', default: false },
  },
  required: ['city', 'nights'],
} as const;

/** All behaviours; the keys are the skill ids of the card. */
export const BEHAVIOURS: Readonly<Record<string, Behaviour>> = {
  echo: (turn) => turn.reply([textPart(turn.argument), ...turn.data.map((one) => dataPart(one))]),
  task: (turn) =>
    turn.begin(TaskState.TASK_STATE_COMPLETED, [
      artifact('result', [textPart(turn.argument || 'done')]),
    ]),
  slow,
  stream,
  big: (turn) => {
    turn.begin();
    turn.complete([artifact('big', [textPart('x'.repeat(turn.number(100_000)))])]);
  },
  binary: (turn, { origin }) => {
    turn.begin();
    turn.complete([artifact('binary', binaryParts(origin))]);
  },
  ask: (turn) => {
    turn.begin();
    turn.ask([textPart('Which city?')], async (answer) => {
      answer.begin();
      answer.complete([artifact('answer', [textPart(`city: ${answer.argument}`)])]);
    });
  },
  ask2,
  form: (turn) => {
    turn.begin();
    askForm(turn, 'Where to, and for how long?', 1);
  },
  auth: (turn, { origin }) => {
    const url = `${origin}/authorize/${turn.live.taskId}`;
    return authorize(turn, [
      textPart('Please authorize the travel desk.'),
      dataPart({ url, reason: 'The travel desk wants to read your calendar' }),
    ]);
  },
  'auth-two-urls': (turn, { origin }) => {
    const url = `${origin}/authorize/${turn.live.taskId}`;
    return authorize(turn, [
      textPart(`Authorize at ${url}?desk=a or at ${url}?desk=b, as you like.`),
    ]);
  },
  fail: (turn) => {
    turn.begin();
    turn.status(TaskState.TASK_STATE_FAILED, [textPart(turn.argument || 'out of fuel')]);
  },
  reject: (turn) =>
    turn.begin(TaskState.TASK_STATE_REJECTED, [], [textPart(turn.argument || 'not my job')]),
  throw: (turn) => {
    turn.begin();
    throw new Error('the scripted agent broke');
  },
  cancelable: async (turn) => {
    turn.begin();
    turn.status(TaskState.TASK_STATE_WORKING, [textPart('working until canceled')]);
    await turn.pause(2 ** 31 - 1);
  },
  uncancelable: async (turn) => {
    turn.live.cancelable = false;
    turn.begin();
    await turn.pause(turn.number(500));
    turn.complete([artifact('result', [textPart('could not be stopped')])]);
  },
  context: (turn) => {
    const message = turn.request.userMessage;
    turn.reply([
      dataPart({
        contextId: message.contextId,
        taskId: message.taskId,
        referenceTaskIds: message.referenceTaskIds,
        metadata: message.metadata ?? null,
      }),
    ]);
  },
  files: (turn) => {
    turn.begin();
    const files = turn.parts.flatMap(describeFile);
    turn.complete([
      artifact('files', [textPart(`received ${files.length} file(s)`), dataPart({ files })]),
    ]);
  },
};

async function slow(turn: Turn): Promise<void> {
  const total = turn.number(200);
  turn.begin();
  for (const percent of [25, 50, 75]) {
    await turn.pause(total / 4);
    turn.status(TaskState.TASK_STATE_WORKING, [textPart(`${percent}% done`)]);
  }
  await turn.pause(total / 4);
  turn.complete([artifact('result', [textPart(`slept ${total} ms`)])]);
}

async function stream(turn: Turn): Promise<void> {
  const chunks = turn.number(4);
  const gap = turn.number(10, 1);
  turn.begin();
  for (let index = 0; index < chunks; index += 1) {
    if (index > 0) await turn.pause(gap);
    turn.produce(artifact('poem', [textPart(`line ${index + 1}\n`)]), {
      append: index > 0,
      lastChunk: index === chunks - 1,
    });
  }
  turn.status(TaskState.TASK_STATE_COMPLETED);
}

function ask2(turn: Turn): void {
  turn.begin();
  turn.ask([textPart('What is your name?')], async (first) => {
    first.begin();
    first.ask([textPart(`And your quest, ${first.argument}?`)], async (second) => {
      second.begin();
      second.complete([
        artifact('answer', [textPart(`name: ${first.argument}, quest: ${second.argument}`)]),
      ]);
    });
  });
}

/** Text, or a question that carries its schema; asks again, under a fresh key, until it fits. */
function askForm(turn: Turn, message: string, round: number): void {
  const key = `form-${round}`;
  const request = {
    method: 'elicitation/create',
    params: { mode: 'form', message, requestedSchema: FORM_SCHEMA },
  };
  const metadata = { extension: TOOL_CALL_EXTENSION };
  turn.ask([textPart(message), dataPart({ key, request }, metadata)], async (answer) => {
    answer.begin();
    const { action, content, stale } = readAnswer(answer, key);
    if (stale) return askForm(answer, `That was not an answer to ${key}. ${message}`, round + 1);
    if (action === 'decline') {
      return answer.complete([artifact('answer', [textPart('declined')])]);
    }
    if (action === 'cancel') return answer.status(TaskState.TASK_STATE_CANCELED);
    const missing = missingFields(content);
    if (missing.length > 0) {
      return askForm(answer, `Missing or wrong: ${missing.join(', ')}`, round + 1);
    }
    answer.complete([
      artifact('answer', [textPart(`trip: ${JSON.stringify(content)}`), dataPart(content)]),
    ]);
  });
}

interface FormAnswer {
  action: string;
  content: Record<string, unknown>;
  stale: boolean;
}

function readAnswer(turn: Turn, key: string): FormAnswer {
  const [first] = turn.data;
  if (!isRecord(first)) return { action: 'accept', content: {}, stale: false };
  if (!isRecord(first['response'])) return { action: 'accept', content: first, stale: false };
  const { action, content } = first['response'];
  return {
    action: typeof action === 'string' ? action : 'accept',
    content: isRecord(content) ? content : {},
    stale: first['key'] !== key,
  };
}

function missingFields(content: Record<string, unknown>): string[] {
  const { city, nights } = content;
  return [
    ...(typeof city === 'string' && city.length >= 2 ? [] : ['city']),
    ...(typeof nights === 'number' && Number.isInteger(nights) && nights >= 1 && nights <= 30
      ? []
      : ['nights']),
  ];
}

async function authorize(turn: Turn, explanation: readonly Part[]): Promise<void> {
  turn.begin();
  const outcome = await turn.needAuthorization(explanation);
  if (outcome === 'declined') {
    return turn.status(TaskState.TASK_STATE_REJECTED, [textPart('authorization declined')]);
  }
  turn.status(TaskState.TASK_STATE_WORKING, [textPart('authorized')]);
  turn.complete([artifact('result', [textPart('booked with your authorization')])]);
}

function binaryParts(origin: string): Part[] {
  return [
    rawPart(ONE_PIXEL_PNG, 'image/png', 'pixel.png'),
    rawPart(SILENT_WAV, 'audio/wav', 'silence.wav'),
    rawPart(OTHER_BYTES, 'application/octet-stream', 'other.bin'),
    urlPart(`${origin}/files/report.pdf`, 'application/pdf', 'report.pdf'),
    dataPart({ answer: 42, nested: { list: [1, 2, 3] } }),
  ];
}

function describeFile(part: Part): Record<string, unknown>[] {
  const { mediaType, filename } = part;
  if (part.content?.$case === 'url') return [{ url: part.content.value, mediaType, filename }];
  if (part.content?.$case !== 'raw') return [];
  const bytes = part.content.value;
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return [{ bytes: bytes.length, sha256, mediaType, filename }];
}

/** Whether a message to a task that waits for authorization refuses it. */
export function declinesAuthorization(turn: Turn): boolean {
  const refusal = turn.data.some(
    (one) =>
      isRecord(one) &&
      (one['action'] === 'decline' ||
        (isRecord(one['response']) && one['response']['action'] === 'decline')),
  );
  return refusal || /\b(declin|reject|refus)/i.test(textOf(turn.parts));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
