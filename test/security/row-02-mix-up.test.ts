/** SECURITY row 2: callers that look the same never get each other's answers. */
import { expect, it } from 'vitest';
import { LegacyWire } from '../support/legacy-wire.ts';
import { agentWith, gatewayWith, modernHeaders, modernMeta, serverOf } from './world.ts';

const callers = Array.from({ length: 200 }, (_, n) => `canary-${n}-${'x'.repeat(n % 7)}!`);

async function start() {
  const [agent, server] = await Promise.all([agentWith(), serverOf()]);
  return gatewayWith({
    peers: [
      { id: 'agent', a2a: agent.cardUrl },
      { id: 'tools', mcp: server.url },
    ],
  });
}

async function post(url: string, headers: Record<string, string>, body: object): Promise<string> {
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  return response.text();
}

/** The answers that lack their caller's canary, or have another one. */
function foreign(answers: string[]): string[] {
  return answers.filter((answer, n) => {
    const seen = new Set(answer.match(/canary-\d+-x*!/g));
    return seen.size !== 1 || !seen.has(callers[n] ?? '');
  });
}

it('200 modern MCP callers with JSON-RPC id 0 each get their own answer, from both peers', async () => {
  const gateway = await start();
  const call = (url: string, name: string, args: object): Promise<string> =>
    post(url, modernHeaders('tools/call', name), {
      jsonrpc: '2.0',
      id: 0,
      method: 'tools/call',
      params: { name, arguments: args, _meta: modernMeta },
    });
  const answers = await Promise.all(
    callers.map((canary, n) =>
      n % 2 === 0
        ? call(gateway.mcp('agent'), 'task', { message: canary })
        : call(gateway.mcp('tools'), 'echo', { text: canary }),
    ),
  );
  expect(answers.length).toBeGreaterThan(0);
  expect(foreign(answers)).toEqual([]);
});

it('200 A2A callers of both versions with JSON-RPC id 0 each get their own answer', async () => {
  const gateway = await start();
  const say = (peer: string, canary: string, n: number): Promise<string> => {
    const legacy = n % 2 === 1;
    const text = peer === 'agent' ? `task ${canary}` : '';
    const data = { tool: 'echo', arguments: { text: canary } };
    const part =
      peer === 'agent'
        ? { text, ...(legacy && { kind: 'text' }) }
        : { data, ...(legacy && { kind: 'data' }) };
    const message = {
      // The same message id for all: it belongs to its sender.
      messageId: 'm-0',
      role: legacy ? 'user' : 'ROLE_USER',
      parts: [part],
      ...(legacy && { kind: 'message' }),
    };
    return post(
      gateway.a2a(peer),
      { 'content-type': 'application/json', 'a2a-version': legacy ? '0.3' : '1.0' },
      {
        jsonrpc: '2.0',
        id: 0,
        method: legacy ? 'message/send' : 'SendMessage',
        params: { message },
      },
    );
  };
  const answers = await Promise.all(
    callers.map((canary, n) => say(n % 4 < 2 ? 'agent' : 'tools', canary, n)),
  );
  expect(answers.length).toBeGreaterThan(0);
  expect(foreign(answers)).toEqual([]);
});

it('50 legacy sessions that use the same request ids each get their own answers', async () => {
  const gateway = await start();
  const sessions = await Promise.all(
    callers.slice(0, 50).map(() => LegacyWire.open(gateway.mcp('tools'))),
  );
  expect(new Set(sessions.map(({ sessionId }) => sessionId)).size).toBe(50);
  const answers = await Promise.all(
    sessions.map(async (wire, n) => {
      const { result } = await wire.request('tools/call', {
        name: 'echo',
        arguments: { text: callers[n] },
      });
      return JSON.stringify(result);
    }),
  );
  expect(answers.length).toBeGreaterThan(0);
  expect(foreign(answers)).toEqual([]);
});
