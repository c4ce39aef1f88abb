/** The permission matrix, as an operator reads it from a running gateway. */
import { generateKeyPairSync } from 'node:crypto';
import { afterEach, expect, it, vi } from 'vitest';
import { adminOf } from '../support/admin-client.ts';
import { startA2aAgent } from '../support/a2a-agent.ts';
import { startChangingServer } from '../support/changing-server.ts';
import { startGateway, type TestGatewayOptions } from '../support/gateway.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const rule = { to: 'travel', tools: ['files/read_*'] };

async function worldWith(over: Partial<TestGatewayOptions> = {}) {
  const server = await startChangingServer();
  open.push(server);
  const agent = await startA2aAgent();
  open.push(agent);
  const gateway = await startGateway({
    peers: [
      { id: 'files', mcp: server.url },
      { id: 'travel', a2a: agent.cardUrl },
    ],
    lending: [rule],
    ...over,
  });
  open.push(gateway);
  const admin = adminOf(gateway);
  await vi.waitFor(async () => {
    const { body } = await admin('GET', '/permissions');
    expect(body.peers.every(({ tools }: { tools: string[] }) => tools.length > 0)).toBe(true);
  }, 5000);
  return { gateway, admin };
}

it('the anonymous caller is all of it in open mode, and a reload is seen at once', async () => {
  const { gateway, admin } = await worldWith();
  const { status, body } = await admin('GET', '/permissions?peer=files');
  expect(status).toBe(200);
  expect(body).toEqual({
    total: 1,
    complete: true,
    callers: [
      {
        id: 'anonymous',
        kind: 'anonymous',
        organization: 'local',
        subject: 'anonymous',
        client: 'anonymous',
        scopes: ['peer:*:call', 'lend'],
      },
    ],
    peers: [{ id: 'files', tools: expect.arrayContaining(['read_file']) }],
    permissions: [
      {
        caller: 'anonymous',
        peer: 'files',
        read: true,
        call: true,
        because: 'peer:*:call',
        lend: [{ to: 'travel', tool: 'read_file', allowed: true, rule: 'lending[0]' }],
      },
    ],
  });
  gateway.reconfigure({
    lending: [
      { ...rule, to: 'hr*' },
      { ...rule, offer: 'request' },
    ],
  });
  const lent = async (query: string) =>
    (await admin('GET', `/permissions?peer=files${query}`)).body.permissions[0].lend;
  expect(await lent('')).toEqual([
    { to: 'travel', tool: 'read_file', allowed: true, rule: 'lending[1]' },
  ]);
  expect(await lent('&asked=standing')).toEqual([]);
  expect(await lent('&asked=standing&refusals=true&to=travel')).toContainEqual({
    to: 'travel',
    tool: 'read_file',
    allowed: false,
  });
  gateway.reconfigure({ lending: [] });
  expect(await lent('')).toEqual([]);
});

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: '1', alg: 'ES256' }] };

it('everybody whom the configuration names is in it, within their bounds', async () => {
  const { admin } = await worldWith({
    auth: {
      issuers: [
        {
          issuer: 'http://127.0.0.1:1/partner',
          organization: 'partner',
          grants: ['peer:*:call', 'admin'],
        },
      ],
      clients: [
        { clientId: 'report', organization: 'test', scopes: ['peer:files:call'], jwks },
        { clientId: 'bot', organization: 'partner', jwks },
      ],
    },
    organizations: [{ id: 'partner', scopes: ['peer:files:read', 'peer:travel:call'] }],
  });
  const { body } = await admin('GET', '/permissions?peer=files&to=travel');
  type Row = { caller: string; call: boolean; read: boolean; lend: unknown[] };
  const rows = (permissions: Row[]) =>
    permissions.map(({ caller, read, call, lend }) => [caller, read, call, lend.length]);
  expect(rows(body.permissions)).toEqual([
    ['client:report', true, true, 1],
    ['client:bot', true, false, 0],
    ['organization:partner', true, false, 0],
    ['issuer:http://127.0.0.1:1/partner', true, false, 0],
  ]);
  expect(body.callers.map(({ scopes }: { scopes: string[] }) => scopes)).toEqual([
    ['peer:files:call'],
    ['peer:files:read', 'peer:travel:call'],
    ['peer:files:read', 'peer:travel:call'],
    ['peer:files:read', 'peer:travel:call'],
  ]);

  const named = 'organization=partner&subject=bob&client=phone&scopes=peer:*:call+admin';
  const one = await admin('GET', `/permissions?${named}&limit=1&peer=travel`);
  expect(one.body).toMatchObject({
    total: 5,
    next: 1,
    callers: [
      {
        id: 'query',
        kind: 'query',
        organization: 'partner',
        subject: 'bob',
        client: 'phone',
        scopes: ['peer:files:read', 'peer:travel:call'],
      },
    ],
    permissions: [{ caller: 'query', peer: 'travel', call: true, because: 'peer:travel:call' }],
  });
  const rest = await admin('GET', `/permissions?${named}&offset=3`);
  expect(rest.body.next).toBeUndefined();
  expect(rest.body.callers.map(({ id }: { id: string }) => id)).toEqual([
    'organization:partner',
    'issuer:http://127.0.0.1:1/partner',
  ]);
  const ours = await admin('GET', '/permissions?subject=alice&limit=1&peer=files');
  expect(ours.body.permissions[0]).toMatchObject({ call: true, lend: [{ rule: 'lending[0]' }] });
});

it('a query that is not understood is refused, and nobody without the token reads it', async () => {
  const { gateway, admin } = await worldWith();
  for (const [query, detail] of [
    ['colour=red', 'colour: expected one of'],
    ['limit=101', 'limit: expected a number up to 100'],
    ['asked=never', 'asked: expected request or standing'],
    ['refusals=1', 'refusals: expected false or true'],
    ['scopes=everything', 'scopes: expected scopes such as'],
    [`subject=${'a'.repeat(1025)}`, 'subject: expected a shorter text'],
  ]) {
    const { status, body } = await admin('GET', `/permissions?${query}`);
    expect([query, status]).toEqual([query, 400]);
    expect(body.detail).toContain(detail);
  }
  expect((await admin('POST', '/permissions', {})).status).toBe(405);
  expect((await fetch(`${gateway.url}/admin/permissions`)).status).toBe(401);
});
