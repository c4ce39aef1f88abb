/** The scriptable agent, driven by the official client alone: what fails later is the gateway's. */
import { TaskState } from '@a2a-js/sdk';
import type { Task } from '@a2a-js/sdk';
import type { Client } from '@a2a-js/sdk/client';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ONE_PIXEL_PNG, OTHER_BYTES, SILENT_WAV } from './a2a-agent-behaviours.ts';
import { startA2aAgent } from './a2a-agent.ts';
import type { A2aAgent } from './a2a-agent.ts';
import { asMessage, asTask, collect, connectA2a } from './a2a-client.ts';
import type { A2aDialect } from './a2a-client.ts';
import { dataOf, dataPart, rawPart, textOf, textPart, urlPart, userRequest } from './a2a-parts.ts';

const DIALECTS: A2aDialect[] = [
  { version: '1.0', binding: 'JSONRPC' },
  { version: '1.0', binding: 'HTTP+JSON' },
  { version: '0.3', binding: 'JSONRPC' },
  { version: '0.3', binding: 'HTTP+JSON' },
];

const IMMEDIATELY = {
  acceptedOutputModes: [],
  taskPushNotificationConfig: undefined,
  returnImmediately: true,
};

// The SDK prints every error that it maps.
beforeAll(() => void vi.spyOn(console, 'error').mockImplementation(() => undefined));
afterAll(() => void vi.restoreAllMocks());

describe.each(DIALECTS)('the scriptable agent over $version $binding', (dialect) => {
  let agent: A2aAgent;
  let client: Client;
  /** The SDK's 0.3 HTTP+JSON layer drops `referenceTaskIds` and file names, and its client `append`. */
  const lossy = dialect.version === '0.3' && dialect.binding === 'HTTP+JSON';

  beforeAll(async () => {
    agent = await startA2aAgent();
    client = await connectA2a(agent.cardUrl, {
      ...dialect,
      headers: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
    });
  });
  afterAll(() => agent.close());

  const run = async (text: string, fields = {}): Promise<Task> =>
    asTask(await client.sendMessage(userRequest(text, fields)));
  const state = async (id: string) =>
    (await client.getTask({ tenant: '', id })).status?.state ?? TaskState.UNRECOGNIZED;
  const artifactText = (task: Task) => textOf(task.artifacts.flatMap((one) => one.parts));

  it('connects in the dialect that was asked for', () => {
    expect(client.protocolVersion).toBe(dialect.version);
    expect(client.transport.protocolName).toBe(dialect.binding);
  });

  it('echoes as a direct message, with data', async () => {
    const answer = asMessage(
      await client.sendMessage(userRequest([textPart('echo a b'), dataPart({ n: 1 })])),
    );
    expect(textOf(answer.parts)).toBe('a b');
    expect(dataOf(answer.parts)).toEqual([{ n: 1 }]);
  });

  it('echoes what it has no behaviour for', async () => {
    expect(textOf(asMessage(await client.sendMessage(userRequest('Hi you'))).parts)).toBe('Hi you');
  });

  it('takes the skill from the metadata before the first word', async () => {
    const task = await run('echo this', { metadata: { skill: 'task' } });
    expect(artifactText(task)).toBe('echo this');
  });

  it('completes a task at once', async () => {
    const task = await run('task hello');
    expect(task.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
    expect(artifactText(task)).toBe('hello');
    expect(task.contextId).not.toBe('');
  });

  it('works slowly with status updates', async () => {
    const events = await collect(client.sendMessageStream(userRequest('slow 80')));
    const said = events.flatMap(({ payload }) =>
      payload?.$case === 'statusUpdate' ? [textOf(payload.value.status?.message?.parts)] : [],
    );
    expect(events[0]?.payload?.$case).toBe('task');
    expect(said).toEqual(['25% done', '50% done', '75% done', '']);
    expect(events.at(-1)?.payload).toMatchObject({
      $case: 'statusUpdate',
      value: { status: { state: TaskState.TASK_STATE_COMPLETED } },
    });
  });

  it('answers at once when told to, and finishes by itself', async () => {
    const task = asTask(await client.sendMessage(userRequest('slow 100', {}, IMMEDIATELY)));
    expect(task.status?.state).toBe(TaskState.TASK_STATE_WORKING);
    await expect.poll(() => state(task.id)).toBe(TaskState.TASK_STATE_COMPLETED);
  });

  it('streams an artifact in chunks and stores it whole', async () => {
    const events = await collect(client.sendMessageStream(userRequest('stream 3')));
    const chunks = events.flatMap(({ payload }) =>
      payload?.$case === 'artifactUpdate' ? [payload.value] : [],
    );
    expect(chunks.map((one) => textOf(one.artifact?.parts))).toEqual([
      'line 1\n',
      'line 2\n',
      'line 3\n',
    ]);
    expect(chunks.map((one) => [one.append, one.lastChunk])).toEqual([
      [false, false],
      [!lossy, false],
      [!lossy, true],
    ]);
    const stored = await client.getTask({ tenant: '', id: chunks[0]?.taskId ?? '' });
    expect(stored.artifacts[0]?.parts).toHaveLength(3);
  });

  it('makes an artifact of the asked size', async () => {
    expect(artifactText(await run('big 300000'))).toHaveLength(300_000);
  });

  it('returns an image, audio, other bytes, a URL and data', async () => {
    const parts = (await run('binary')).artifacts[0]?.parts ?? [];
    const raw = parts.flatMap((one) => (one.content?.$case === 'raw' ? [one] : []));
    expect(raw.map((one) => one.mediaType)).toEqual([
      'image/png',
      'audio/wav',
      'application/octet-stream',
    ]);
    expect(raw.map((one) => Buffer.from(one.content?.value as Buffer))).toEqual([
      ONE_PIXEL_PNG,
      SILENT_WAV,
      OTHER_BYTES,
    ]);
    expect(parts[3]?.content).toEqual({ $case: 'url', value: `${agent.url}/files/report.pdf` });
    expect(dataOf(parts)).toEqual([{ answer: 42, nested: { list: [1, 2, 3] } }]);
  });

  it('asks a question and uses the answer', async () => {
    const asked = await run('ask');
    expect(asked.status?.state).toBe(TaskState.TASK_STATE_INPUT_REQUIRED);
    expect(textOf(asked.status?.message?.parts)).toBe('Which city?');
    const done = await run('Lisbon', { taskId: asked.id, contextId: asked.contextId });
    expect(done.id).toBe(asked.id);
    expect(done.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
    expect(artifactText(done)).toBe('city: Lisbon');
  });

  it('ends a stream at a question, and streams on after the answer', async () => {
    const asked = await collect(client.sendMessageStream(userRequest('ask')));
    const last = asked.at(-1)?.payload;
    if (last?.$case !== 'statusUpdate') throw new Error('expected a status update');
    expect(last.value.status?.state).toBe(TaskState.TASK_STATE_INPUT_REQUIRED);
    const { taskId, contextId } = last.value;
    const answered = await collect(
      client.sendMessageStream(userRequest('Porto', { taskId, contextId })),
    );
    expect(answered.map((one) => one.payload?.$case)).toEqual([
      'task',
      'artifactUpdate',
      'statusUpdate',
    ]);
  });

  it('asks twice', async () => {
    const first = await run('ask2');
    const ids = { taskId: first.id, contextId: first.contextId };
    const second = await run('Arthur', ids);
    expect(second.status?.state).toBe(TaskState.TASK_STATE_INPUT_REQUIRED);
    expect(textOf(second.status?.message?.parts)).toBe('And your quest, Arthur?');
    expect(artifactText(await run('the grail', ids))).toBe('name: Arthur, quest: the grail');
  });

  it('asks with a schema, under a fresh key when the answer does not fit', async () => {
    const asked = await run('form');
    const ids = { taskId: asked.id, contextId: asked.contextId };
    expect(dataOf(asked.status?.message?.parts)).toEqual([
      {
        key: 'form-1',
        request: {
          method: 'elicitation/create',
          params: {
            mode: 'form',
            message: 'Where to, and for how long?',
            requestedSchema: {
              type: 'object',
              properties: {
                city: { type: 'string', title: 'City', minLength: 2 },
                nights: { type: 'integer', title: 'Nights', minimum: 1, maximum: 30 },
                window: { type: 'boolean', title: 'Window seat', default: false },
              },
              required: ['city', 'nights'],
            },
          },
        },
      },
    ]);
    const answer = (key: string, response: object) =>
      client.sendMessage(userRequest([dataPart({ key, response })], ids));
    const again = asTask(await answer('form-1', { action: 'accept', content: { city: 'Rome' } }));
    expect(again.status?.state).toBe(TaskState.TASK_STATE_INPUT_REQUIRED);
    expect(textOf(again.status?.message?.parts)).toBe('Missing or wrong: nights');
    const content = { city: 'Rome', nights: 3 };
    const done = asTask(await answer('form-2', { action: 'accept', content }));
    expect(done.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
    expect(dataOf(done.artifacts[0]?.parts)).toEqual([{ city: 'Rome', nights: 3 }]);
  });

  it('takes a plain data part as the answer, and a decline as an end', async () => {
    const plain = await run('form');
    const filled = await client.sendMessage(
      userRequest([dataPart({ city: 'Oslo', nights: 2 })], { taskId: plain.id }),
    );
    expect(dataOf(asTask(filled).artifacts[0]?.parts)).toEqual([{ city: 'Oslo', nights: 2 }]);
    const other = await run('form');
    const declined = await client.sendMessage(
      userRequest([dataPart({ key: 'form-1', response: { action: 'decline' } })], {
        taskId: other.id,
      }),
    );
    expect(artifactText(asTask(declined))).toBe('declined');
  });

  it('waits for authorization and then goes on by itself', async () => {
    const task = await run('auth');
    expect(task.status?.state).toBe(TaskState.TASK_STATE_AUTH_REQUIRED);
    expect(dataOf(task.status?.message?.parts)).toEqual([
      {
        url: `${agent.url}/authorize/${task.id}`,
        reason: 'The travel desk wants to read your calendar',
      },
    ]);
    expect(agent.waitingForAuth()).toContain(task.id);
    expect(agent.completeAuth(task.id)).toBe(true);
    await expect.poll(() => state(task.id)).toBe(TaskState.TASK_STATE_COMPLETED);
    expect(agent.completeAuth(task.id)).toBe(false);
  });

  it('goes on when somebody opens the page and agrees', async () => {
    const task = await run('auth');
    const page = await fetch(`${agent.url}/authorize/${task.id}`, { method: 'POST' });
    expect(page.status).toBe(200);
    await expect.poll(() => state(task.id)).toBe(TaskState.TASK_STATE_COMPLETED);
  });

  it('rejects the task when the authorization is declined', async () => {
    const task = await run('auth');
    const answer = await run('The user declined', { taskId: task.id });
    expect(answer.status?.state).toBe(TaskState.TASK_STATE_REJECTED);
  });

  it('stays in AUTH_REQUIRED after any other message', async () => {
    const task = await run('auth');
    const answer = await run('I am on my way', { taskId: task.id });
    expect(answer.status?.state).toBe(TaskState.TASK_STATE_AUTH_REQUIRED);
    expect(agent.completeAuth(task.id)).toBe(true);
    await expect.poll(() => state(task.id)).toBe(TaskState.TASK_STATE_COMPLETED);
  });

  it('names two URLs in prose', async () => {
    const text = textOf((await run('auth-two-urls')).status?.message?.parts);
    expect(text.match(/http:\/\/\S+/g)).toHaveLength(2);
  });

  it('fails, rejects and breaks with a reason', async () => {
    const failed = await run('fail no fuel');
    expect(failed.status?.state).toBe(TaskState.TASK_STATE_FAILED);
    expect(textOf(failed.status?.message?.parts)).toBe('no fuel');
    const rejected = await run('reject too late');
    expect(rejected.status?.state).toBe(TaskState.TASK_STATE_REJECTED);
    expect(textOf(rejected.status?.message?.parts)).toBe('too late');
    expect((await run('throw')).status?.state).toBe(TaskState.TASK_STATE_FAILED);
  });

  it('works until it is canceled', async () => {
    const task = asTask(await client.sendMessage(userRequest('cancelable', {}, IMMEDIATELY)));
    const canceled = await client.cancelTask({ tenant: '', id: task.id, metadata: undefined });
    expect(canceled.status?.state).toBe(TaskState.TASK_STATE_CANCELED);
    expect(await state(task.id)).toBe(TaskState.TASK_STATE_CANCELED);
  });

  it('cancels a task that waits for an answer or an authorization', async () => {
    for (const word of ['ask', 'auth']) {
      const { id } = await run(word);
      const canceled = await client.cancelTask({ tenant: '', id, metadata: undefined });
      expect(canceled.status?.state).toBe(TaskState.TASK_STATE_CANCELED);
      expect(agent.waitingForAuth()).not.toContain(id);
    }
  });

  it('refuses to cancel what cannot be canceled, and completes it', async () => {
    const { id } = asTask(
      await client.sendMessage(userRequest('uncancelable 150', {}, IMMEDIATELY)),
    );
    await expect(client.cancelTask({ tenant: '', id, metadata: undefined })).rejects.toThrow(
      /cannot be canceled/,
    );
    await expect.poll(() => state(id)).toBe(TaskState.TASK_STATE_COMPLETED);
  });

  it('lets a second reader follow a running task to its end', async () => {
    const { id } = asTask(await client.sendMessage(userRequest('slow 300', {}, IMMEDIATELY)));
    const events = await collect(client.resubscribeTask({ tenant: '', id }));
    expect(events[0]?.payload?.$case).toBe('task');
    expect(events.at(-1)?.payload).toMatchObject({
      value: { status: { state: TaskState.TASK_STATE_COMPLETED } },
    });
  });

  it('goes on when the reader of a stream leaves', async () => {
    const gone = new AbortController();
    const events = client.sendMessageStream(userRequest('slow 150'), { signal: gone.signal });
    const { value } = await events.next();
    if (value?.payload?.$case !== 'task') throw new Error('expected a task first');
    const { id } = value.payload.value;
    gone.abort();
    await expect(collect(events)).rejects.toThrow(/abort/i);
    await expect.poll(() => state(id)).toBe(TaskState.TASK_STATE_COMPLETED);
  });

  it('streams through an authorization to the end', async () => {
    const events = client.sendMessageStream(userRequest('auth'));
    const states: (TaskState | undefined)[] = [];
    for await (const { payload } of events) {
      if (payload?.$case !== 'statusUpdate') continue;
      states.push(payload.value.status?.state);
      if (states.length === 1) agent.completeAuth(payload.value.taskId);
    }
    expect(states).toEqual([
      TaskState.TASK_STATE_AUTH_REQUIRED,
      TaskState.TASK_STATE_WORKING,
      TaskState.TASK_STATE_COMPLETED,
    ]);
  });

  it('takes a blocking refusal while a stream waits for the authorization', async () => {
    const events = client.sendMessageStream(userRequest('auth'));
    const states: (TaskState | undefined)[] = [];
    for await (const { payload } of events) {
      if (payload?.$case !== 'statusUpdate') continue;
      states.push(payload.value.status?.state);
      if (states.length === 1) void run('I declined', { taskId: payload.value.taskId });
    }
    expect(states.at(-1)).toBe(TaskState.TASK_STATE_REJECTED);
  });

  it('reports the ids that it received', async () => {
    const done = await run('task');
    const answer = asMessage(
      await client.sendMessage(
        userRequest('context', { contextId: 'my-context', referenceTaskIds: [done.id] }),
      ),
    );
    expect(dataOf(answer.parts)).toMatchObject([
      { contextId: 'my-context', referenceTaskIds: lossy ? [] : [done.id] },
    ]);
  });

  it('reports the files that it received', async () => {
    const parts = [
      textPart('files'),
      rawPart(OTHER_BYTES, 'application/x-thing', 'thing.bin'),
      urlPart('https://files.example/a.txt', 'text/plain', 'a.txt'),
    ];
    const task = asTask(await client.sendMessage(userRequest(parts)));
    expect(dataOf(task.artifacts[0]?.parts)).toMatchObject([
      {
        files: [
          { bytes: 5, mediaType: 'application/x-thing', filename: lossy ? '' : 'thing.bin' },
          {
            url: 'https://files.example/a.txt',
            mediaType: 'text/plain',
            filename: lossy ? '' : 'a.txt',
          },
        ],
      },
    ]);
  });

  it('keeps every message in the ledger, as it was sent', async () => {
    const before = agent.ledger.length;
    await client.sendMessage(
      userRequest('echo noted', { messageId: 'm-1', contextId: 'c-1', metadata: { a: 1 } }),
    );
    expect(agent.ledger.slice(before)).toMatchObject([
      {
        messageId: 'm-1',
        text: 'echo noted',
        contextId: 'c-1',
        taskId: undefined,
        streaming: false,
        metadata: { a: 1 },
        headers: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
      },
    ]);
  });

  it('does not know a task that never was', async () => {
    await expect(client.getTask({ tenant: '', id: 'no-such-task' })).rejects.toThrow(/not found/i);
  });
});
