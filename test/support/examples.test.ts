/** The demo peers and the quickstart, each as the process that a newcomer starts. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { TaskState } from '@a2a-js/sdk';
import type { Task } from '@a2a-js/sdk';
import type { Client as A2aClient } from '@a2a-js/sdk/client';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asMessage, asTask, collect, connectA2a } from './a2a-client.ts';
import type { A2aDialect } from './a2a-client.ts';
import { dataOf, dataPart, textOf, userRequest } from './a2a-parts.ts';

const EXTENSION = 'urn:isthmus:ext:tool-call:v1';

describe('the travel agent', () => {
  let child: ChildProcess;
  let origin: string;

  beforeAll(async () => {
    const port = await freePort();
    origin = `http://127.0.0.1:${port}`;
    child = run('examples/travel-agent/main.ts', '--port', `${port}`);
    await once(child.stdout ?? child, 'data');
  });
  afterAll(() => stop(child));

  describe.each<A2aDialect>([
    { version: '1.0', binding: 'JSONRPC' },
    { version: '1.0', binding: 'HTTP+JSON' },
    { version: '0.3', binding: 'JSONRPC' },
  ])('over $version $binding', (dialect) => {
    let client: A2aClient;
    const send = async (text: string, fields = {}): Promise<Task> =>
      asTask(await client.sendMessage(userRequest(text, fields)));
    beforeAll(async () => {
      client = await connectA2a(`${origin}/.well-known/agent-card.json`, dialect);
    });

    it('answers a lookup with a direct message', async () => {
      const answer = await client.sendMessage(userRequest('Which currency do they use in Oslo?'));
      expect(textOf(asMessage(answer).parts)).toBe('Oslo: time zone Europe/Oslo, currency NOK.');
    });

    it('asks for the date, then streams the plan', async () => {
      const asked = await send('Plan 2 days in Kyoto');
      expect(asked.status?.state).toBe(TaskState.TASK_STATE_INPUT_REQUIRED);
      expect(textOf(asked.status?.message?.parts)).toBe(
        'When does your trip to Kyoto start? (YYYY-MM-DD)',
      );
      expect(dataOf(asked.status?.message?.parts)).toEqual([]);
      const events = await collect(
        client.sendMessageStream(userRequest('On 2027-05-02', { taskId: asked.id })),
      );
      const lines = events.flatMap(({ payload }) =>
        payload?.$case === 'artifactUpdate' ? [textOf(payload.value.artifact?.parts)] : [],
      );
      expect(lines).toEqual([
        '2027-05-02: Fushimi Inari before breakfast\n',
        '2027-05-03: Arashiyama\n',
      ]);
    });

    it('asks again for a date that does not exist, and gives up on a refusal', async () => {
      const { id } = await send('Plan 1 day in Lisbon');
      const again = await send('2027-02-30', { taskId: id });
      expect(again.status?.state).toBe(TaskState.TASK_STATE_INPUT_REQUIRED);
      const refused = await send('The user declined', { taskId: id });
      expect(refused.status?.state).toBe(TaskState.TASK_STATE_REJECTED);
    });

    it('books once the person has agreed on the page', async () => {
      const task = await send('Book 2 days in Oslo from 2027-06-20');
      expect(task.status?.state).toBe(TaskState.TASK_STATE_AUTH_REQUIRED);
      const url = `${origin}/authorize/${task.id}`;
      expect(dataOf(task.status?.message?.parts)).toEqual([{ url }]);
      expect((await fetch(url, { method: 'POST' })).status).toBe(200);
      const latest = () => client.getTask({ tenant: '', id: task.id });
      await expect
        .poll(async () => (await latest()).status?.state)
        .toBe(TaskState.TASK_STATE_COMPLETED);
      expect(dataOf((await latest()).artifacts[0]?.parts)).toMatchObject([
        { city: 'Oslo', days: 2, date: '2027-06-20' },
      ]);
    });

    it('books nothing when the person says no, and can be canceled', async () => {
      const { id } = await send('Book 2 days in Oslo');
      const refused = await send('I declined', { taskId: id });
      expect(refused.status?.state).toBe(TaskState.TASK_STATE_REJECTED);
      const other = await send('Book 3 days in Oslo');
      const canceled = await client.cancelTask({ tenant: '', id: other.id, metadata: undefined });
      expect(canceled.status?.state).toBe(TaskState.TASK_STATE_CANCELED);
    });
  });

  it('sends a form to clients that know the extension', async () => {
    const client = await connectA2a(`${origin}/.well-known/agent-card.json`, {
      version: '1.0',
      binding: 'JSONRPC',
      headers: { 'A2A-Extensions': EXTENSION },
    });
    const asked = asTask(await client.sendMessage(userRequest('Plan 1 day in Oslo')));
    expect(dataOf(asked.status?.message?.parts)).toMatchObject([
      {
        key: 'date',
        request: {
          method: 'elicitation/create',
          params: { requestedSchema: { required: ['date'] } },
        },
      },
    ]);
    const response = { action: 'accept', content: { date: '2027-01-01' } };
    const filled = userRequest([dataPart({ key: 'date', response })], { taskId: asked.id });
    const done = asTask(await client.sendMessage(filled));
    expect(textOf(done.artifacts[0]?.parts)).toBe('2027-01-01: the opera roof\n');
  });
});

describe('the notes server', () => {
  let child: ChildProcess;
  let url: URL;

  beforeAll(async () => {
    const port = await freePort();
    url = new URL(`http://127.0.0.1:${port}/mcp`);
    child = run('examples/notes-server/main.ts', '--port', `${port}`);
    await once(child.stdout ?? child, 'data');
  });
  afterAll(() => stop(child));

  describe.each([
    { mode: 'auto', version: '2026-07-28' },
    { mode: 'legacy', version: '2025-11-25' },
  ] as const)('on $version', ({ mode, version }) => {
    let client: Client;
    let answer: { action: 'accept' | 'decline'; content?: Record<string, boolean> };
    beforeAll(async () => {
      client = new Client(
        { name: 'test', version: '1.0.0' },
        { versionNegotiation: { mode }, capabilities: { elicitation: { form: {} } } },
      );
      client.setRequestHandler('elicitation/create', () => answer);
      await client.connect(new StreamableHTTPClientTransport(url));
    });
    afterAll(() => client.close());
    const call = (name: string, args: Record<string, unknown>) =>
      client.callTool({ name, arguments: args });
    const textFrom = (result: Awaited<ReturnType<typeof call>>) =>
      result.content.map((one) => (one.type === 'text' ? one.text : '')).join('');

    it('speaks that revision and has four tools', async () => {
      expect(client.getNegotiatedProtocolVersion()).toBe(version);
      const { tools } = await client.listTools();
      expect(tools.map((one) => one.name)).toEqual([
        'add_note',
        'delete_note',
        'search_notes',
        'export_notes',
      ]);
    });

    it('adds a note, and deletes it only when that is confirmed', async () => {
      const title = `Draft ${version}`;
      const added = await call('add_note', { title, text: 'x' });
      const { note } = added.structuredContent as { note: { id: string } };
      answer = { action: 'decline' };
      expect(textFrom(await call('delete_note', { id: note.id }))).toBe('Nothing was deleted.');
      answer = { action: 'accept', content: { confirm: true } };
      expect(textFrom(await call('delete_note', { id: note.id }))).toBe(`Deleted "${title}".`);
      expect((await call('search_notes', { query: title })).structuredContent).toEqual({
        notes: [],
      });
    });

    it('reports progress', async () => {
      const seen: number[] = [];
      await client.callTool(
        { name: 'export_notes', arguments: { pauseMs: 5 } },
        { onprogress: ({ progress }) => void seen.push(progress) },
      );
      expect(seen).toEqual([1, 2]);
    });

    it('offers notes as resources and a prompt over them', async () => {
      const { resources } = await client.listResources();
      expect(resources.map((one) => one.uri)).toEqual(['note://welcome', 'note://packing']);
      const { contents } = await client.readResource({ uri: 'note://packing' });
      expect(contents).toMatchObject([{ text: 'Passport, charger.' }]);
      await expect(client.readResource({ uri: 'note://none' })).rejects.toThrow(/not found/);
      const prompt = await client.getPrompt({
        name: 'summarize_notes',
        arguments: { style: 'one haiku' },
      });
      expect(prompt.messages[0]?.content).toMatchObject({
        text: expect.stringContaining('Summarize these notes as one haiku') as string,
      });
    });
  });
});

describe('the quickstart', () => {
  it('names the port that is taken, and the option that moves it', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    const ports = ['--port', `${await freePort()}`, '--notes-port', `${await freePort()}`];
    const child = run('deploy/quickstart.ts', '--travel-port', `${port}`, ...ports);
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    holder.close();
    expect(code).toBe(1);
    expect(said).toBe(
      `quickstart: port ${port} on 127.0.0.1 is taken. Stop the program that holds it, or choose ` +
        `another port with: npm start -- --travel-port ${port + 1}\n`,
    );
  });
});

function run(program: string, ...args: string[]): ChildProcess {
  const path = fileURLToPath(new URL(`../../${program}`, import.meta.url));
  return spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
