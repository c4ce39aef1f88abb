/** SECURITY row 22: credentials and tokens are in no log, error, metric, task text or file. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { redactText } from '../../src/observe/redact.ts';
import { RawA2a, say } from '../faces/a2a-raw.ts';
import { disconnect, rpcError, status } from '../support/misbehaviours.ts';
import { LegacyWire } from '../support/legacy-wire.ts';
import { WireClient } from '../support/wire-client.ts';
import { agentWith, gatewayWith, hostile, rawResult } from './world.ts';

const canary = 'outbound-secret-canary-0123456789';
const inbound = 'inbound-secret-canary-0123456789';
const credentials = { type: 'bearer', token: canary } as const;
const headers = { 'X-Api-Key': `${canary}-key` };

it('whatever goes wrong at a peer, its credentials and the callers stay unsaid', async () => {
  const agent = await agentWith({ bearer: canary });
  const broken = await Promise.all([
    hostile({ on: { '*': status(401) } }),
    hostile({ on: { '*': status(500) } }),
    hostile({ on: { '*': disconnect() } }),
    hostile({ on: { '*': rpcError(-32000, 'no') } }),
    hostile({ on: { '*': rawResult('{"nonsense":true}') }, card: status(500) }),
  ]);
  const gateway = await gatewayWith({
    peers: [
      { id: 'good', a2a: agent.cardUrl, credentials },
      ...broken.flatMap(({ cardUrl, mcpUrl }, n) => [
        { id: `a${n}`, a2a: cardUrl, credentials, headers },
        { id: `m${n}`, mcp: mcpUrl, credentials, headers },
      ]),
      { id: 'away', mcp: 'http://127.0.0.1:1/mcp', credentials, headers },
    ],
    limits: { peerConnect: '1s', syncCall: '2s' },
  });
  const said: string[] = [];
  const hear = async (what: Promise<unknown>): Promise<void> => {
    said.push(JSON.stringify(await what.catch((error: unknown) => String(error))));
  };
  const ids = ['good', 'away', ...broken.flatMap((_, n) => [`a${n}`, `m${n}`])];
  const own = { authorization: `Bearer ${inbound}`, cookie: `sid=${inbound}` };
  await Promise.all(
    ids.flatMap((id) => [
      hear(
        new RawA2a(gateway.a2a(id))
          .rpc('SendMessage', say('task hello'), { headers: own })
          .then(({ body }) => body),
      ),
      hear(new WireClient(gateway.mcp(id)).request('tools/list', {}, { headers: own })),
      hear(
        new WireClient(gateway.mcp(id)).request(
          'tools/call',
          { name: 'work', arguments: {} },
          { headers: own },
        ),
      ),
      hear(fetch(`${gateway.a2a(id)}/.well-known/agent-card.json`).then((r) => r.text())),
    ]),
  );
  await hear(fetch(`${gateway.url}/mcp/good?access_token=${inbound}`, { headers: own }));
  const wire = await LegacyWire.open(gateway.mcp('good'));
  said.push(await (await fetch(`${gateway.url}/metrics`)).text());
  expect(agent.ledger.some(({ headers: got }) => got.authorization === `Bearer ${canary}`)).toBe(
    true,
  );
  expect(gateway.log.some(({ event }) => event === 'peer.error')).toBe(true);
  const logged = JSON.stringify(gateway.log);
  const stored = readdirSync(gateway.dir, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.includes('isthmus.db'))
    .map((path) => readFileSync(join(gateway.dir, path), 'latin1'));
  expect(stored.join('').length).toBeGreaterThan(0);
  const sealingKey = readFileSync(join(gateway.dir, 'keys/sealing.key'), 'utf8').trim();
  for (const text of [...said, logged, ...stored]) {
    for (const secret of [canary, inbound, sealingKey]) expect(text).not.toContain(secret);
  }
  expect(logged).not.toContain(wire.sessionId);
  for (const text of said) {
    expect(text).not.toMatch(/node_modules|\.ts:\d+|at \w+ \(|ECONN|undici|SQLITE/);
  }
}, 30_000);

it('a token in the text of an error is taken out, in linear time', () => {
  const jwt = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln';
  expect(redactText(`failed for ${jwt}, and Bearer abcdef123456`)).toBe(
    'failed for [redacted], and Bearer [redacted]',
  );
  expect(redactText(`"a.b.${jwt}"`)).not.toContain('eyJzdWIi');
  expect(redactText(`x-${jwt}`)).toBe('x-[redacted]');
  const started = performance.now();
  redactText('-eyJaaaaa'.repeat(200_000));
  redactText('eyJaaaaa.'.repeat(200_000));
  expect(performance.now() - started).toBeLessThan(2000);
});

it('a token request that an authorization server quotes is taken out of the line', () => {
  const form =
    'refused: grant_type=x&client_secret=Kq7zRwXv9T&client_assertion=Kq7zRwXv9T&code_verifier=Kq7zRwXv9T';
  const json = JSON.stringify({ subject_token: 'Kq7zRwXv9T', refresh_token: 'Kq7zRwXv9T' });
  const line = JSON.stringify({ msg: form, error: json, url: 'https://x/?assertion=Kq7zRwXv9T' });
  expect(redactText(line)).not.toContain('Kq7zRwXv9T');
  expect(redactText(line)).toContain('grant_type=x');
  expect(redactText('{"code":"too-many","state":"TASK_STATE_WORKING"}')).toBe(
    '{"code":"too-many","state":"TASK_STATE_WORKING"}',
  );
  const started = performance.now();
  redactText('"assertion"'.repeat(100_000));
  redactText(`"assertion":${' '.repeat(300_000)}`);
  redactText('\\'.repeat(300_000));
  expect(performance.now() - started).toBeLessThan(2000);
});

it('line breaks and JSON in what callers and peers say start no log line of their own', async () => {
  const forged = 'x"}\n{"level":"error","event":"forged","msg":"\u001b[31m';
  const peer = await hostile({ on: { '*': rpcError(-32000, forged) } });
  const gateway = await gatewayWith({ peers: [{ id: 'p', mcp: peer.mcpUrl }] });
  const client = new WireClient(gateway.mcp('p'));
  await client.request('tools/list', {}, { headers: { traceparent: 'x"}' } });
  await fetch(gateway.mcp('p'), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: forged, method: forged }),
  });
  await new RawA2a(gateway.a2a('p')).rpc(forged, say(forged));
  expect(gateway.log.length).toBeGreaterThan(0);
  expect(gateway.log.filter(({ event }) => event === 'forged')).toEqual([]);
});

it('a flood of method names makes no flood of metrics', async () => {
  const agent = await agentWith();
  const gateway = await gatewayWith({ peers: [{ id: 'p', a2a: agent.cardUrl }] });
  await Promise.all(
    Array.from({ length: 300 }, (_, n) =>
      fetch(gateway.mcp('p'), { method: 'POST', headers: { 'mcp-method': `flood-${n}` } }),
    ),
  );
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  const named = new Set(text.match(/method="flood-\d+"/g));
  expect(named.size).toBeLessThanOrEqual(64);
});
