/** SECURITY row 12: which offers of other organizations a gateway takes in, and that none comes round to who made it. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { beforeEach, describe, expect, it } from 'vitest';
import type { LeaseOffer } from '../../src/model/lease.ts';
import { RawA2a } from '../faces/a2a-raw.ts';
import { freePort } from '../faults/child.ts';
import { adminOf } from '../support/admin-client.ts';
import type { TestGateway } from '../support/gateway.ts';
import { startIssuer } from '../support/issuer.ts';
import { startWireTap, type WireTap } from '../support/wire-tap.ts';
import { resultOf } from './lending-requests.ts';
import {
  startLending,
  withToken,
  type Lender,
  type LendingWorld,
  type LendingWorldOptions,
} from './lending-world.ts';
import { closing, gatewayWith } from './world.ts';

const cardOf = (url: string): string => `${url}/.well-known/agent-card.json`;
const clientOf = (origin: string): string => `${origin}/oauth-client.json`;
const issuerOf = (origin: string): string => `${origin}/sts`;

async function lendingWith(options: LendingWorldOptions): Promise<LendingWorld> {
  return closing(await startLending(options));
}

/** So many offers are taken in. */
function borrowed({ dir }: TestGateway): number {
  const db = new DatabaseSync(join(dir, 'isthmus.db'), { readOnly: true });
  const row = db.prepare(`SELECT count(*) AS count FROM secret WHERE kind = 'borrowed'`).get();
  db.close();
  return Number(row?.['count']);
}

describe('an offer of another organization', () => {
  /** Takes offers in for its agent. */
  let receiving: LendingWorld;
  /** Has made the offer; everything that is sent to it passes the tap. */
  let issuing: LendingWorld;
  let tap: WireTap;
  let offer: LeaseOffer;
  /** Callers of the receiving gateway. */
  let issuers: Lender;
  let strangers: Lender;

  beforeEach(async () => {
    const [port, stranger] = [await freePort(), closing(await startIssuer())];
    tap = closing(await startWireTap(port));
    const from = ['issuing', 'strange', 'partner'].map((organization) => ({ organization }));
    receiving = await lendingWith({
      oauth: true,
      lending: [{ to: 'agent', tools: ['offered/*'], from }],
    });
    const { gateway, issuer, options } = receiving;
    const scopes = ['peer:*:call'];
    gateway.reconfigure({
      organizations: [
        ...(options.organizations ?? []),
        { id: 'issuing', domains: ['127.0.0.1'], scopes },
        { id: 'strange', domains: ['localhost'], scopes },
      ],
      auth: {
        ...options.auth,
        issuers: [
          { issuer: issuer.issuer, organization: 'issuing' },
          { issuer: stranger.issuer, organization: 'strange' },
        ],
      },
    });
    issuers = await receiving.lender('agent');
    strangers = await receiving.lender('agent');
    const claims = { aud: gateway.a2a('agent'), scope: 'peer:*:call' };
    strangers.headers['authorization'] = `Bearer ${await stranger.token(claims)}`;
    issuing = await lendingWith({
      port,
      gateway: { publicUrl: tap.origin },
      agents: {},
      peers: [{ id: 'receiving', a2a: cardOf(gateway.a2a('agent')) }],
      organizations: [{ id: 'receiving', clientIds: [clientOf(gateway.url)] }],
      lending: [{ to: 'receiving', tools: ['files/*'], depth: 1 }],
    });
    // In no task and with no message: the tests bring it as they want.
    const lend = { tools: ['files/*'] };
    const wanted = { lender: 'anonymous', to: 'receiving', lend };
    const made = await adminOf(issuing.gateway)('POST', '/leases', wanted);
    offer = made.body.offer as LeaseOffer;
  });

  const heard = (): string => tap.connections.map(({ sent }) => sent()).join('');

  /** What comes of work that an offer is brought with, which the agent does with nothing lent. */
  async function workWith(brought: object, by: Lender) {
    const before = heard().length;
    const { id } = await by.start('Do it', brought as Record<string, unknown>);
    const held = await receiving.agent.next();
    held.complete('Done without');
    const stateOf = () => by.get(id).then(({ status }) => status.state);
    await expect.poll(stateOf).toMatch(/COMPLETED|FAILED/);
    const audit = await receiving.audit();
    return {
      state: await stateOf(),
      lentOn: held.offer,
      metadata: held.message.metadata,
      borrowed: borrowed(receiving.gateway),
      offers: audit.filter(({ kind }) => kind === 'lease.offered').length,
      toIssuer: heard().slice(before),
    };
  }
  const nothing = {
    state: 'TASK_STATE_COMPLETED',
    lentOn: undefined,
    metadata: {},
    borrowed: 0,
    offers: 0,
    toIssuer: '',
  };

  /** What comes of the offer as it was made, from a caller of whose it is. */
  async function workAsOffered() {
    const before = heard().length;
    const { id: taskId } = await issuers.start('Do it', { ...offer });
    const held = await receiving.agent.next();
    if (held.offer === undefined) throw new Error('nothing was lent on');
    const lent = { taskId, held, offer: held.offer, lender: issuers };
    const { call } = await withToken(lent, receiving.agent);
    const { text } = resultOf(await call('files__echo', { text: 'far' }));
    const { iss, depth, via } = held.offer;
    const isHeard = heard().length > before;
    return { iss, depth, via, borrowed: borrowed(receiving.gateway), text, isHeard };
  }
  const lentOn = () => ({
    iss: issuerOf(receiving.gateway.url),
    depth: 0,
    via: [issuerOf(tap.origin)],
    borrowed: 1,
    text: 'far',
    isHeard: true,
  });

  const changes: [string, (self: string) => object][] = [
    ['that names the gateway itself as its issuer', (self) => ({ iss: self })],
    ['that has been at the gateway before', (self) => ({ via: [self] })],
    [
      'that has been at the gateway before, and elsewhere since',
      (self) => ({ via: ['https://first.example/sts', self, 'https://last.example/sts'] }),
    ],
    ['of depth 0', () => ({ depth: 0 })],
    ['that says no depth', () => ({ depth: undefined })],
    ['that is over', () => ({ exp: Math.floor(Date.now() / 1000) - 1 })],
    ['of an issuer of no organization', () => ({ iss: 'https://elsewhere.example/sts' })],
    [
      'with a resource of another organization than its issuer’s',
      () => ({ resource: offer.resource.replace('127.0.0.1', 'localhost') }),
    ],
  ];
  it.each(changes)('%s is not taken in, and the same without that is', async (_title, change) => {
    const changed = { ...offer, ...change(issuerOf(receiving.gateway.url)) };
    expect(await workWith(changed, issuers)).toEqual(nothing);
    expect(await workAsOffered()).toEqual(lentOn());
  });

  it('from a caller of a third organization, or from the agent itself, is not taken in', async () => {
    const agent = await receiving.clientOf(receiving.agent, 'agent');
    expect(await workWith(offer, strangers)).toEqual(nothing);
    expect(await workWith(offer, agent)).toEqual(nothing);
    expect(await workAsOffered()).toEqual(lentOn());
  });

  it('of depth 1 is lent on by one gateway, and by no second one', async () => {
    await issuers.start('Do it', { ...offer });
    const { offer: second } = await receiving.agent.next();
    expect(second?.depth).toBe(0);
    const third = await lendingWith({ lending: [{ to: 'agent', tools: ['offered/*'] }] });
    const organizations = third.options.organizations ?? [];
    third.gateway.reconfigure({
      organizations: [...organizations, { id: 'receiving', domains: ['127.0.0.1'] }],
    });
    const lender = await third.lender('agent');
    await lender.start('Do it', { ...second });
    expect((await third.agent.next()).offer).toBeUndefined();
    // Where it may be lent on once more, the third takes the same in.
    await lender.start('Do it', { ...second, depth: 1 });
    expect((await third.agent.next()).offer?.via).toEqual([
      issuerOf(tap.origin),
      issuerOf(receiving.gateway.url),
    ]);
  });
});

describe('A→B→A over two gateways', () => {
  it('stops where it began: the work is done once, without the tools, and ends on both sides', async () => {
    const portOfB = await freePort();
    const urlOfB = `http://127.0.0.1:${portOfB}`;
    const a = await lendingWith({
      peers: [{ id: 'b', a2a: cardOf(`${urlOfB}/a2a/back`) }],
      lending: [
        { to: 'b', tools: ['files/*'], depth: 5 },
        { to: 'agent', tools: ['offered/*'], depth: 5 },
      ],
    });
    const known = { id: 'b', domains: ['127.0.0.1'], clientIds: [clientOf(urlOfB)] };
    a.gateway.reconfigure({ organizations: [...(a.options.organizations ?? []), known] });
    const b = await gatewayWith({
      port: portOfB,
      peers: [{ id: 'back', a2a: cardOf(a.gateway.a2a('agent')) }],
      organizations: [{ id: 'a', domains: ['127.0.0.1'], clientIds: [clientOf(a.gateway.url)] }],
      lending: [{ to: 'back', tools: ['offered/*'], depth: 5 }],
    });
    const lender = await a.lender('b');
    const { id } = await lender.start('Do it');
    const held = await a.agent.next();
    expect(held.offer).toBeUndefined();
    // It came round: B took in what A lent, and A did not take in what B lent of it.
    expect([borrowed(b), borrowed(a.gateway)]).toEqual([1, 0]);
    held.complete('Done without');
    const done = await lender.raw.until(id, ({ status }) => /COMPLETED|FAILED/.test(status.state));
    expect(done.status.state).toBe('TASK_STATE_COMPLETED');
    expect(JSON.stringify(done.artifacts ?? done.status)).toContain('Done without');
    const tasks = await new RawA2a(b.a2a('back')).rpc('ListTasks', {});
    expect(tasks.body.result?.tasks?.map(({ status }) => status.state)).toEqual([
      'TASK_STATE_COMPLETED',
    ]);
    expect(a.agent.tasks).toHaveLength(1);
    expect(a.files.ledger.of('received')).toEqual([]);
    const kinds = async (): Promise<unknown[]> => (await a.audit()).map(({ kind }) => kind);
    await expect.poll(kinds).toEqual(['lease.offered', 'lease.ended']);
    await expect.poll(() => borrowed(b)).toBe(0);
  });
});
