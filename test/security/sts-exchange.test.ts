/** SECURITY, negative tests "Client authentication, STS", for the grant that redeems a lease. */
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leaseRefType, type LeaseOffer } from '../../src/model/lease.ts';
import { testKey, type TestKey } from '../support/issuer.ts';
import {
  exchange,
  type Borrower,
  type ExchangeShape,
  type FormAnswer,
} from './lending-requests.ts';
import { startLending, type LendingWorld } from './lending-world.ts';

let world: LendingWorld;
beforeAll(async () => {
  world = await startLending({
    agents: { agent: {}, second: {} },
    lending: [
      { to: 'agent', tools: ['files/*'], maxCalls: 5 },
      { to: 'second', tools: ['files/*'] },
    ],
  });
});
afterAll(() => world.close());

const redeem = async (shape: ExchangeShape = {}): Promise<FormAnswer> =>
  exchange((await world.lend()).offer, world.agent, shape);
const outcome = ({ status, json }: FormAnswer): [number, unknown] => [status, json['error']];

/** What a refusal looks like from outside: all but the time. */
function look({ status, headers, text }: FormAnswer): string {
  const shown = [...headers].filter(([name]) => name !== 'date');
  return JSON.stringify([status, shown, text]);
}

it('the grantee gets a token that says what docs/callbacks.md says, and nothing else', async () => {
  const { offer } = await world.lend();
  const { status, headers, json } = await exchange(offer, world.agent);
  expect(status).toBe(200);
  expect(headers.get('cache-control')).toBe('no-store');
  expect(json).toMatchObject({
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'DPoP',
  });
  expect(json).not.toHaveProperty('refresh_token');
  expect(json).not.toHaveProperty('lease_ref');
  const claims = decodeJwt(String(json['access_token']));
  expect(claims).toMatchObject({
    iss: offer.iss,
    aud: offer.resource,
    client_id: world.agent.clientId,
    act: { sub: world.agent.clientId },
    cnf: { jkt: expect.stringMatching(/^[\w-]{43}$/) },
  });
  expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBeLessThanOrEqual(120);
  expect(JSON.stringify(claims)).not.toContain(offer.lease_ref);
});

describe('foreign, unknown, revoked and mistaken leases are one answer, to the byte:', () => {
  const second = (): Borrower => world.agents['second'] as Borrower;
  const cases: [string, () => Promise<FormAnswer>][] = [
    ["another client's", async () => exchange((await world.lend()).offer, second())],
    ['revoked', async () => exchange(await ended(), world.agent)],
    ['at the endpoint of another lease', async () => otherResource()],
    ['after a second key was pinned', async () => secondKey()],
    ['an empty text but for a space', async () => redeem({ form: { subject_token: ' ' } })],
    ['as long as a page', async () => redeem({ form: { subject_token: 'x'.repeat(9000) } })],
    ['one letter off', async () => offByOne()],
    ['a token', async () => tokenAsReference()],
    ['with a wildcard of SQL', async () => redeem({ form: { subject_token: '%' } })],
    ['with a quote of SQL', async () => redeem({ form: { subject_token: `' OR 1=1 --` } })],
  ];
  it.each(cases)('%s', async (_title, ask) => {
    const { offer } = await world.lend();
    const unknown = await exchange(offer, world.agent, { form: { subject_token: 'A'.repeat(43) } });
    expect(outcome(unknown)).toEqual([400, 'invalid_grant']);
    expect(look(await ask())).toBe(look(unknown));
  });

  it('and take about as long as one another', async () => {
    const { offer } = await world.lend();
    const over = await ended();
    const times: Record<string, number[]> = { unknown: [], foreign: [], revoked: [] };
    const timed = async (name: string, ask: () => Promise<FormAnswer>): Promise<void> => {
      const started = performance.now();
      expect((await ask()).status).toBe(400);
      times[name]?.push(performance.now() - started);
    };
    for (let round = 0; round < 12; round += 1) {
      const unknown = { form: { subject_token: 'A'.repeat(43) } };
      await timed('unknown', () => exchange(offer, world.agent, unknown));
      await timed('foreign', () => exchange(offer, second()));
      await timed('revoked', () => exchange(over, world.agent));
    }
    const medians = Object.values(times).map(
      (all) => all.toSorted((a, b) => a - b)[all.length >> 1] ?? 0,
    );
    // Nothing is waited for in one case that is not waited for in the others.
    expect(Math.max(...medians) - Math.min(...medians)).toBeLessThan(25);
  });
});

describe('the resource', () => {
  it('none: invalid_target', async () => {
    expect(outcome(await redeem({ form: { resource: undefined } }))).toEqual([
      400,
      'invalid_target',
    ]);
  });
  it('two, also the same one twice: invalid_target', async () => {
    const { offer } = await world.lend();
    for (const resource of [
      [offer.resource, offer.resource],
      [offer.resource, world.gateway.mcp('files')],
    ]) {
      const answer = await exchange(offer, world.agent, { form: { resource } });
      expect(outcome(answer)).toEqual([400, 'invalid_target']);
    }
  });
  const foreign: [string, (offer: LeaseOffer) => string][] = [
    ['of another gateway', () => 'https://elsewhere.example/callback/x/mcp'],
    ['of a peer', () => world.gateway.mcp('files')],
    ['of the gateway', () => `${world.gateway.url}/mcp`],
    ['of the admin API', () => `${world.gateway.url}/admin`],
    ['with a slash at the end', ({ resource }) => `${resource}/`],
    ['with a query', ({ resource }) => `${resource}?a=1`],
    ['with a fragment', ({ resource }) => `${resource}#a`],
    ['below the lease', ({ resource }) => resource.replace('/mcp', '/x/mcp')],
    ['with another spelling of the host', ({ resource }) => resource.replace('http:', 'HTTP:')],
    ['by another name', ({ resource }) => resource.replace('127.0.0.1', 'localhost')],
  ];
  it.each(foreign)('foreign, %s: invalid_target', async (_title, make) => {
    const { offer } = await world.lend();
    const answer = await exchange(offer, world.agent, { form: { resource: make(offer) } });
    expect(outcome(answer)).toEqual([400, 'invalid_target']);
  });
});

describe('the form', () => {
  const cases: [string, Record<string, string | string[] | undefined>, string][] = [
    [
      'wrong subject_token_type: an access token',
      { subject_token_type: 'urn:ietf:params:oauth:token-type:access_token' },
      'invalid_request',
    ],
    [
      'wrong subject_token_type: a JWT',
      { subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' },
      'invalid_request',
    ],
    ['wrong subject_token_type: none', { subject_token_type: undefined }, 'invalid_request'],
    [
      'wrong subject_token_type: in capitals',
      { subject_token_type: leaseRefType.toUpperCase() },
      'invalid_request',
    ],
    ['no subject_token', { subject_token: undefined }, 'invalid_request'],
    [
      'actor_token supplied',
      { actor_token: 'x', actor_token_type: leaseRefType },
      'invalid_request',
    ],
    ['actor_token supplied without its type', { actor_token: 'x' }, 'invalid_request'],
    ['actor_token_type alone', { actor_token_type: leaseRefType }, 'invalid_request'],
    [
      'a refresh token asked for',
      { requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' },
      'invalid_request',
    ],
    ['a scope asked for', { scope: 'peer:files:call' }, 'invalid_scope'],
    ['admin asked for', { scope: 'admin' }, 'invalid_scope'],
    ['two subject_tokens', { subject_token: ['a', 'b'] }, 'invalid_request'],
    ['two authorization_details', { authorization_details: ['[]', '[]'] }, 'invalid_request'],
  ];
  it.each(cases)('%s', async (_title, form, error) => {
    expect(outcome(await redeem({ form }))).toEqual([400, error]);
  });

  it('an audience beside the resource changes nothing of whom the token is for', async () => {
    const { offer } = await world.lend();
    const form = { audience: world.gateway.mcp('files') };
    const { status, json } = await exchange(offer, world.agent, { form });
    expect(status).toBe(200);
    expect(decodeJwt(String(json['access_token'])).aud).toBe(offer.resource);
  });
});

describe('keys and the end of the task', () => {
  it('second key after the first was pinned: refused, and the first goes on', async () => {
    const { offer } = await world.lend();
    const [first, second] = [await testKey(), await testKey()];
    expect((await exchange(offer, world.agent, { proofKey: first })).status).toBe(200);
    const other = await exchange(offer, world.agent, { proofKey: second });
    expect(outcome(other)).toEqual([400, 'invalid_grant']);
    expect((await exchange(offer, world.agent, { proofKey: first })).status).toBe(200);
  });

  it('second key after the first was pinned: refused after a restart too', async () => {
    const { offer } = await world.lend();
    const key = await testKey();
    await exchange(offer, world.agent, { proofKey: key });
    await world.gateway.restart();
    expect(outcome(await exchange(offer, world.agent))).toEqual([400, 'invalid_grant']);
    expect((await exchange(offer, world.agent, { proofKey: key })).status).toBe(200);
  });

  it('redeem twice with two keys in parallel: one wins', async () => {
    const { offer } = await world.lend();
    const keys = await Promise.all(Array.from({ length: 10 }, () => testKey()));
    const answers = await Promise.all(
      keys.map((proofKey) => exchange(offer, world.agent, { proofKey })),
    );
    const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b);
    expect(statuses).toEqual([200, ...Array.from({ length: 9 }, () => 400)]);
    const winner = keys[answers.findIndex(({ status }) => status === 200)] as TestKey;
    expect((await exchange(offer, world.agent, { proofKey: winner })).status).toBe(200);
  });

  it('an attempt that fails for another reason pins nothing', async () => {
    const { offer } = await world.lend();
    const details = JSON.stringify([
      { type: 'urn:isthmus:ext:tool-lease:v1', tools: [{ name: 'x' }] },
    ]);
    const refused = [
      await exchange(offer, world.agents['second'] as Borrower),
      await exchange(offer, world.agent, { form: { authorization_details: details } }),
      await exchange(offer, world.agent, { form: { actor_token: 'x' } }),
    ];
    expect(refused.map(({ status }) => status)).toEqual([400, 400, 400]);
    expect((await exchange(offer, world.agent)).status).toBe(200);
  });

  it.each(['complete', 'fail'] as const)(
    'redeem after the task ended (%s): refused',
    async (end) => {
      const { offer, held, lender, taskId } = await world.lend();
      held[end]('Done');
      await lender.raw.until(taskId, ({ status }) => /COMPLETED|FAILED/.test(status.state));
      expect(outcome(await exchange(offer, world.agent))).toEqual([400, 'invalid_grant']);
    },
  );
});

it('the token endpoint has no other grant that takes a lease_ref', async () => {
  for (const [grant, error] of [
    ['refresh_token', 'unsupported_grant_type'],
    ['authorization_code', 'unsupported_grant_type'],
    ['client_credentials', 'invalid_scope'],
    ['urn:ietf:params:oauth:grant-type:jwt-bearer', 'unauthorized_client'],
  ] as const) {
    const { offer } = await world.lend();
    const form = {
      grant_type: grant,
      assertion: offer.lease_ref,
      refresh_token: offer.lease_ref,
      code: offer.lease_ref,
    };
    const { status, json } = await exchange(offer, world.agent, { form });
    expect([status, json['error']]).toEqual([400, error]);
    expect(json).not.toHaveProperty('access_token');
  }
});

async function ended(): Promise<LeaseOffer> {
  const { offer, lender, taskId } = await world.lend();
  await lender.cancel(taskId);
  return offer;
}

async function otherResource(): Promise<FormAnswer> {
  const [one, other] = [await world.lend(), await world.lend()];
  return exchange(one.offer, world.agent, { form: { resource: other.offer.resource } });
}

async function secondKey(): Promise<FormAnswer> {
  const { offer } = await world.lend();
  await exchange(offer, world.agent);
  return exchange(offer, world.agent);
}

async function offByOne(): Promise<FormAnswer> {
  const { offer } = await world.lend();
  const last = offer.lease_ref.endsWith('A') ? 'B' : 'A';
  const subject_token = `${offer.lease_ref.slice(0, -1)}${last}`;
  return exchange(offer, world.agent, { form: { subject_token } });
}

async function tokenAsReference(): Promise<FormAnswer> {
  const { offer } = await world.lend();
  const key = await testKey();
  const { json } = await exchange(offer, world.agent, { proofKey: key });
  const form = { subject_token: String(json['access_token']) };
  return exchange(offer, world.agent, { proofKey: key, form });
}
