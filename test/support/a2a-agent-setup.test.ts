/** The options of the scriptable agent, and its life as a process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { TaskState } from '@a2a-js/sdk';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { startA2aAgent } from './a2a-agent.ts';
import type { A2aAgent, A2aAgentOptions } from './a2a-agent.ts';
import { asMessage, asTask, collect, connectA2a } from './a2a-client.ts';
import { textOf, userRequest } from './a2a-parts.ts';

// The SDK prints every error that it maps.
beforeAll(() => void vi.spyOn(console, 'error').mockImplementation(() => undefined));
afterAll(() => void vi.restoreAllMocks());

describe('the set-up of the scriptable agent', () => {
  const started: A2aAgent[] = [];
  const start = async (options: A2aAgentOptions): Promise<A2aAgent> => {
    const agent = await startA2aAgent(options);
    started.push(agent);
    return agent;
  };
  afterEach(async () => {
    for (const agent of started.splice(0)) await agent.close();
  });

  it('lists tasks by context', async () => {
    const agent = await start({});
    const client = await connectA2a(agent.cardUrl, { version: '1.0', binding: 'JSONRPC' });
    for (const context of ['a', 'b', 'a']) {
      await client.sendMessage(userRequest('task', { contextId: context }));
    }
    const { tasks, totalSize } = await client.listTasks({
      tenant: '',
      contextId: 'a',
      status: TaskState.TASK_STATE_UNSPECIFIED,
      pageToken: '',
      statusTimestampAfter: undefined,
    });
    expect(totalSize).toBe(2);
    expect(tasks.map((one) => one.contextId)).toEqual(['a', 'a']);
  });

  it('serves a plain 0.3 card when it speaks 0.3 alone', async () => {
    const agent = await start({ versions: ['0.3'] });
    const card = (await (await fetch(agent.cardUrl)).json()) as Record<string, unknown>;
    expect(card['protocolVersion']).toBe('0.3.0');
    expect(card).not.toHaveProperty('supportedInterfaces');
    const client = await connectA2a(agent.cardUrl, { version: '0.3', binding: 'JSONRPC' });
    const answer = asMessage(await client.sendMessage(userRequest('echo old')));
    expect(textOf(answer.parts)).toBe('old');
  });

  it('refuses 0.3 when it speaks 1.0 alone', async () => {
    const agent = await start({ versions: ['1.0'] });
    const body = { jsonrpc: '2.0', id: 1, method: 'message/send', params: {} };
    const response = await fetch(`${agent.url}/a2a/jsonrpc`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(await response.json()).toMatchObject({ id: 1, error: { code: -32009 } });
  });

  it('can have a card without skills or streaming', async () => {
    const agent = await start({
      card: { skills: [], capabilities: { streaming: false, extensions: [] } },
    });
    const client = await connectA2a(agent.cardUrl, { version: '1.0', binding: 'JSONRPC' });
    const card = await client.getAgentCard();
    expect(card.skills).toEqual([]);
    const events = await collect(client.sendMessageStream(userRequest('task plain')));
    expect(events).toHaveLength(1);
  });

  it('asks for its bearer token', async () => {
    const agent = await start({ bearer: 'sesame' });
    const dialect = { version: '1.0', binding: 'JSONRPC' } as const;
    const stranger = await connectA2a(agent.cardUrl, dialect);
    await expect(stranger.sendMessage(userRequest('echo hi'))).rejects.toThrow(/401/);
    const headers = { authorization: 'Bearer sesame' };
    const friend = await connectA2a(agent.cardUrl, { ...dialect, headers });
    expect(textOf(asMessage(await friend.sendMessage(userRequest('echo hi'))).parts)).toBe('hi');
    expect(agent.ledger.map((one) => one.headers.authorization)).toEqual(['Bearer sesame']);
  });

  it('runs a repeated messageId twice, unless it is told to remember', async () => {
    const forgetful = await start({});
    const mindful = await start({ dedupesMessageId: true });
    for (const [agent, distinct] of [
      [forgetful, 2],
      [mindful, 1],
    ] as const) {
      const client = await connectA2a(agent.cardUrl, { version: '1.0', binding: 'JSONRPC' });
      const ids = new Set<string>();
      for (let count = 0; count < 2; count += 1) {
        const result = await client.sendMessage(userRequest('task', { messageId: 'same' }));
        ids.add(asTask(result).id);
      }
      expect(ids.size).toBe(distinct);
      expect(agent.ledger).toHaveLength(2);
    }
  });

  it('disappears at once, also in the middle of a call', async () => {
    const agent = await startA2aAgent();
    const client = await connectA2a(agent.cardUrl, { version: '1.0', binding: 'JSONRPC' });
    const outcome = client.sendMessage(userRequest('slow 60000')).then(
      () => 'answered',
      () => 'failed',
    );
    await expect.poll(() => agent.ledger.length).toBe(1);
    await agent.close();
    expect(await outcome).toBe('failed');
    const again = await startA2aAgent({ port: agent.port });
    expect(again.url).toBe(agent.url);
    await again.close();
  });

  it('runs as a program and keeps its ledger in a file', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'a2a-agent-')), 'ledger.jsonl');
    const program = new URL('./a2a-agent.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, [program, '--port', '0', '--ledger', file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    const { cardUrl } = JSON.parse(line) as { cardUrl: string };
    const client = await connectA2a(cardUrl, { version: '1.0', binding: 'JSONRPC' });
    await client.sendMessage(userRequest('echo kept', { messageId: 'kept-1' }));
    child.kill('SIGKILL');
    await once(child, 'exit');
    const entries = readFileSync(file, 'utf8').trim().split('\n');
    expect(entries.map((one) => JSON.parse(one) as unknown)).toMatchObject([
      { messageId: 'kept-1', text: 'echo kept' },
    ]);
  });
});
