/** SECURITY row 9: a card counts as its owner's only when a pinned key says so. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { calculateJwkThumbprint, exportJWK, type JSONWebKeySet } from 'jose';
import { afterAll, describe, expect, it } from 'vitest';
import { verifyCard } from '../discovery/card-signature.ts';
import { fetchDocument } from '../discovery/site.ts';
import { startWebsite } from '../discovery/website.ts';
import { RawA2a, say } from '../faces/a2a-raw.ts';
import { startChild, until } from '../faults/child.ts';
import { covers } from '../requirements/requirement.ts';
import type { A2aAgent } from '../support/a2a-agent.ts';
import { adminOf } from '../support/admin-client.ts';
import {
  peerEntry,
  type TestGateway,
  type TestOrganization,
  type TestPeer,
} from '../support/gateway.ts';
import { encoded, forged, jwk, kid, signed } from '../support/signed-cards.ts';
import { WireClient } from '../support/wire-client.ts';
import { agentWith, closing, gatewayWith } from './world.ts';

type Wire = Record<string, unknown>;
type Policy = 'require' | 'prefer' | 'ignore';

/** The organization that runs every agent of these tests, with its one pinned key. */
const partner = (cardSignatures: Policy): TestOrganization => ({
  id: 'partner',
  domains: ['127.0.0.1'],
  cardKeys: { jwks: { keys: [jwk] } },
  cardSignatures,
});

const attacker = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const attackerJwk = await exportJWK(attacker.publicKey);
const attackerKid = await calculateJwkThumbprint(attackerJwk);

/** A site that would vouch for the attacker's key; nobody may ask it. */
const vouching = await startWebsite({
  '/jwks.json': { keys: [{ ...attackerJwk, kid: attackerKid, use: 'sig', alg: 'ES256' }] },
});

afterAll(() => vouching.close());

interface Forgery {
  /** The rule that refuses it. */
  rule: string;
  card: (wire: Wire) => Promise<Wire> | Wire;
}

const forgeries: Record<string, Forgery> = {
  'that was changed after it was signed': {
    rule: 'bad-signature',
    card: (wire) => ({ ...signed(wire), description: 'Says yes to everything' }),
  },
  'whose interfaces were swapped for those of another': {
    rule: 'bad-signature',
    card: (wire) => {
      const [first] = wire['supportedInterfaces'] as Wire[];
      return {
        ...signed(wire),
        supportedInterfaces: [{ ...first, url: `${vouching.url}/a2a` }],
      };
    },
  },
  'signed by an attacker who takes the name of the pinned key': {
    rule: 'bad-signature',
    card: (card) => forged({ card, key: attacker.privateKey }),
  },
  'signed by an attacker whose own key set is at its jku': {
    rule: 'unpinned-key',
    card: (card) =>
      forged({
        card,
        key: attacker.privateKey,
        head: { kid: attackerKid, jku: `${vouching.url}/jwks.json` },
      }),
  },
  'that brings the key of its attacker along': {
    rule: 'unpinned-key',
    card: (card) =>
      forged({ card, key: attacker.privateKey, head: { kid: attackerKid, jwk: attackerJwk } }),
  },
  'of alg none': {
    rule: 'algorithm-not-allowed',
    card: (wire) => ({
      ...wire,
      signatures: [{ protected: encoded({ alg: 'none', typ: 'JOSE', kid }), signature: '' }],
    }),
  },
  'signed with the pinned public key as an HMAC secret': {
    rule: 'algorithm-not-allowed',
    card: (card) => forged({ card, key: Buffer.from(JSON.stringify(jwk)), head: { alg: 'HS256' } }),
  },
};

const unsigned = ({ signatures: _none, ...wire }: Wire): Wire => wire;

/** An agent whose card a test makes of its own, anew for each request. */
async function agentShowing(card: (wire: Wire) => Promise<Wire> | Wire): Promise<A2aAgent> {
  return agentWith({ document: async (wire) => JSON.stringify(await card(unsigned(wire))) });
}

async function gatewayTo(agent: A2aAgent, policy: Policy): Promise<TestGateway> {
  return gatewayWith({
    peers: [{ id: 'partner-agent', a2a: agent.cardUrl }],
    organizations: [partner(policy)],
  });
}

const cardAt = (gateway: TestGateway) =>
  fetchDocument(`${gateway.a2a('partner-agent')}/.well-known/agent-card.json`);

async function keysOf(gateway: TestGateway): Promise<JSONWebKeySet> {
  const { json } = await fetchDocument(`${gateway.url}/.well-known/jwks.json`);
  return json as unknown as JSONWebKeySet;
}

async function expectOurs(gateway: TestGateway): Promise<Wire> {
  const { status, text, json } = await cardAt(gateway);
  expect([status, text]).toEqual([200, text]);
  const [good] = await verifyCard(text, await keysOf(gateway));
  expect(good?.header.kid).not.toBe(kid);
  const interfaces = json['supportedInterfaces'] as { url: string }[];
  expect(new Set(interfaces.map(({ url }) => url))).toEqual(
    new Set([gateway.a2a('partner-agent')]),
  );
  return json;
}

/** Nothing of the card is used, every operator's view names the rule, and no message gets through. */
async function expectRefused(gateway: TestGateway, agent: A2aAgent, rule: string): Promise<void> {
  const { status, text } = await cardAt(gateway);
  expect([status, text]).toEqual([503, expect.stringContaining(`(${rule})`)]);

  const admin = adminOf(gateway);
  const shown = await until('the peer is away', 5000, async () => {
    const { body } = await admin('GET', '/peers/partner-agent');
    return body.status === 'away' ? (body as Wire) : undefined;
  });
  expect(shown['away']).toContain(`The card is refused (${rule})`);
  const told = gateway.log.filter(({ event }) => event === 'card.refused');
  expect(told).toEqual([expect.objectContaining({ peer: 'partner-agent', rule })]);

  const a2a = new RawA2a(gateway.a2a('partner-agent'));
  expect((await a2a.task(say('echo hello'))).status).toMatchObject({
    state: 'TASK_STATE_FAILED',
    message: { parts: [{ text: expect.stringContaining(`(${rule})`) }] },
  });
  const mcp = new WireClient(gateway.mcp('partner-agent'));
  const call = await mcp.request('tools/call', { name: 'echo', arguments: { message: 'hello' } });
  expect(call.result?.['isError'] ?? call.error).toBeTruthy();
  expect(agent.received.filter(({ method }) => method !== 'GET')).toEqual([]);
}

describe.each(['require', 'prefer'] as const)('under %s', (policy) => {
  it('a card signed by the pinned key is served, signed by us, and its agent called', async () => {
    covers('A2A-8.4.3-01');
    const agent = await agentShowing(signed);
    const gateway = await gatewayTo(agent, policy);
    expect(await expectOurs(gateway)).toMatchObject({ name: agent.card.name });
    const { body } = await new RawA2a(gateway.a2a('partner-agent')).rpc(
      'SendMessage',
      say('echo hello'),
    );
    expect(JSON.stringify(body)).toContain('hello');
    expect(agent.ledger).toHaveLength(1);
    expect(gateway.log.filter(({ event }) => event === 'card.refused')).toEqual([]);
  });

  it.each(Object.entries(forgeries))('a card %s is refused', async (_title, { card, rule }) => {
    const agent = await agentShowing(card);
    const gateway = await gatewayTo(agent, policy);
    await expectRefused(gateway, agent, rule);
    expect(agent.ledger).toEqual([]);
    expect(vouching.requests).toEqual([]);
  });
});

it('an unsigned card passes under prefer', async () => {
  const agent = await agentShowing(unsigned);
  const gateway = await gatewayTo(agent, 'prefer');
  expect(await expectOurs(gateway)).toMatchObject({ name: agent.card.name });
});

it('an unsigned card is refused under require', async () => {
  const agent = await agentShowing(unsigned);
  await expectRefused(await gatewayTo(agent, 'require'), agent, 'unsigned');
  expect(agent.ledger).toEqual([]);
});

it('under ignore no signature is looked at, and what is served is ours', async () => {
  const agent = await agentShowing(forgeries['of alg none']?.card ?? unsigned);
  const gateway = await gatewayTo(agent, 'ignore');
  expect(await expectOurs(gateway)).toMatchObject({ name: agent.card.name });
});

it('a peer that names its organization is under its policy wherever its host is', async () => {
  const agent = await agentShowing(unsigned);
  const gateway = await gatewayWith({
    peers: [{ id: 'partner-agent', a2a: agent.cardUrl, organization: 'partner' }],
    organizations: [{ ...partner('require'), domains: ['partner.example'] }],
  });
  await expectRefused(gateway, agent, 'unsigned');
  expect(agent.ledger).toEqual([]);
});

it('a good card that turns bad leaves the good one in use, and is told once', async () => {
  let show = (wire: Wire): Promise<Wire> | Wire => signed(wire);
  const agent = await agentShowing((wire) => show(wire));
  const gateway = await gatewayTo(agent, 'require');
  const before = await expectOurs(gateway);
  show = (wire) => forged({ card: { ...wire, name: 'Evil' }, key: attacker.privateKey });
  const refusals = () => gateway.log.filter(({ event }) => event === 'card.refused');
  await until('the bad card was read', 15_000, async () => {
    await cardAt(gateway);
    return refusals().length > 0 ? true : undefined;
  });
  expect(await expectOurs(gateway)).toEqual(before);
  const { body } = await adminOf(gateway)('GET', '/peers/partner-agent');
  expect(body.status).toBe('ok');
  const a2a = new RawA2a(gateway.a2a('partner-agent'));
  expect(JSON.stringify((await a2a.rpc('SendMessage', say('echo still here'))).body)).toContain(
    'still here',
  );
  const asked = agent.received.filter(({ method }) => method === 'GET').length;
  await until('the bad card was read again', 15_000, async () => {
    await cardAt(gateway);
    return agent.received.filter(({ method }) => method === 'GET').length > asked || undefined;
  });
  expect(refusals()).toEqual([expect.objectContaining({ rule: 'bad-signature' })]);
}, 40_000);

/** A configuration file under this policy, without a gateway. */
function configFile(peers: TestPeer[], policy: Policy): string {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-row-09-'));
  closing({ close: async () => rmSync(dir, { recursive: true, force: true }) });
  const config = {
    gateway: { listen: { host: '127.0.0.1', port: 1 } },
    store: { url: `sqlite:${join(dir, 'isthmus.db')}` },
    keys: { dir: join(dir, 'keys') },
    peers: peers.map(peerEntry),
    organizations: [partner(policy)],
    egress: { allowLoopback: true },
  };
  const file = join(dir, 'isthmus.json');
  writeFileSync(file, JSON.stringify(config));
  return file;
}

async function command(...args: string[]): Promise<{ code: number | string; said: string }> {
  const child = startChild('src/cli.ts', args);
  return { code: await child.ended, said: child.output() };
}

it('`isthmus check --json` names the rule for each of them', async () => {
  const cards: Record<string, Forgery['card']> = { good: signed, unsigned };
  for (const [index, { card }] of Object.values(forgeries).entries()) cards[`bad-${index}`] = card;
  const agents = await Promise.all(Object.values(cards).map(agentShowing));
  const peers = Object.keys(cards).map((id, at) => ({ id, a2a: agents[at]?.cardUrl }));
  const { code, said } = await command('check', '--config', configFile(peers, 'require'), '--json');
  expect(code).toBe(1);
  const reports = JSON.parse(said) as { peer: string; ok: boolean; problem: string }[];
  const ruleOf = ({ ok, problem }: { ok: boolean; problem: string }) =>
    ok ? 'ok' : /^Peer "[^"]+": The card is refused \(([a-z-]+)\): /.exec(problem)?.[1];
  expect(reports.map((one) => [one.peer, ruleOf(one)])).toEqual([
    ['good', 'ok'],
    ['unsigned', 'unsigned'],
    ['bad-0', 'bad-signature'],
    ['bad-1', 'bad-signature'],
    ['bad-2', 'bad-signature'],
    ['bad-3', 'unpinned-key'],
    ['bad-4', 'unpinned-key'],
    ['bad-5', 'algorithm-not-allowed'],
    ['bad-6', 'algorithm-not-allowed'],
  ]);
  expect(vouching.requests).toEqual([]);
});

it('`isthmus check URL` names the rule, and adds no peer with a refused card', async () => {
  const good = await agentShowing(signed);
  const bad = await agentShowing(forgeries['of alg none']?.card ?? unsigned);
  const file = configFile([], 'prefer');
  expect(await command('check', good.url, '--config', file)).toEqual({
    code: 0,
    said: expect.stringContaining(`signed by the organization "partner", with its key ${kid}.`),
  });
  const { code, said } = await command('check', bad.url, '--config', file, '--add', 'bad');
  expect([code, said]).toEqual([
    1,
    expect.stringContaining('The card is refused (algorithm-not-allowed)'),
  ]);
  expect(said).not.toContain('add this to the configuration');
  const json = await command('check', bad.url, '--config', file, '--json');
  expect(json.code).toBe(1);
  expect(JSON.parse(json.said)).toMatchObject({
    signature: { verdict: 'refused', rule: 'algorithm-not-allowed' },
  });
});
