/** What is lent, as an operator sees it, takes it back, and lends in a caller's name. */
import { afterEach, describe, expect, it } from 'vitest';
import type { LeaseOffer } from '../../src/borrower/borrower.ts';
import { startA2aAgent } from '../support/a2a-agent.ts';
import { adminOf } from '../support/admin-client.ts';
import { auditOf } from '../support/audit-log.ts';
import { startGateway, type TestGateway, type TestGatewayOptions } from '../support/gateway.ts';
import { startHoldingAgent, type HoldingAgent } from '../support/holding-agent.ts';
import { startIssuer } from '../support/issuer.ts';
import { connectModernClient } from '../support/mcp-clients.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const rule = { to: 'agent', tools: ['files/echo', 'files/slow'], maxCalls: 5 };
/** The same, and nothing where nobody asks. */
const onRequest = { ...rule, offer: 'request' };
const body = { lender: 'anonymous', to: 'agent', lend: { tools: ['files/*'] } };

interface World {
  agent: HoldingAgent;
  files: ModernServer;
  gateway: TestGateway;
  admin: ReturnType<typeof adminOf>;
}

async function worldWith(
  lending: Record<string, unknown>[],
  over: Partial<TestGatewayOptions> = {},
): Promise<World> {
  const agent = await startHoldingAgent();
  const files = await startModernServer();
  const plain = await startA2aAgent();
  open.push(agent, files, plain);
  const gateway = await startGateway({
    ...over,
    peers: [
      { id: 'agent', a2a: agent.cardUrl },
      { id: 'files', mcp: files.url },
      { id: 'plain', a2a: plain.cardUrl },
      { id: 'gone', a2a: 'http://127.0.0.1:9/.well-known/agent-card.json' },
    ],
    organizations: [{ id: 'makers', clientIds: [agent.clientId] }, ...(over.organizations ?? [])],
    lending,
  });
  open.push(gateway);
  return { agent, files, gateway, admin: adminOf(gateway) };
}

/** A lease that is closed with the test. */
async function opened(agent: HoldingAgent, ...[offer, options]: Parameters<HoldingAgent['open']>) {
  const lease = await agent.open(offer, options);
  open.push(lease);
  return lease;
}

/** The entries of the audit log of one kind, oldest first. */
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe('the leases of a running task', () => {
  it('are shown with what is used of them, and without any reference', async () => {
    const schema = { properties: { text: { pattern: '^public canary' } } };
    const { agent, gateway, admin } = await worldWith([
      { ...rule, arguments: { 'files/echo': schema }, maxCallsPerTool: { 'files/echo': 3 } },
    ]);
    const client = await connectModernClient(gateway.mcp('agent'));
    const called = client.callTool({ name: 'hold', arguments: { message: 'Read' } });
    const task = await agent.next();
    const before = await admin('GET', '/leases?open=true');
    expect(before.body.leases).toMatchObject([{ state: 'open', used: 0 }]);
    expect(before.body.leases[0]).not.toHaveProperty('jkt');

    const lease = await opened(agent, task.offer);
    const echo = { name: 'files__echo', arguments: { text: 'public canary one' } };
    await lease.client.callTool(echo);
    await lease.client.callTool(echo);
    const id = new URL(task.offer?.resource ?? '').pathname.split('/')[2];
    const shown = await admin('GET', `/leases/${id}`);
    expect(shown.status).toBe(200);
    expect(shown.body).toEqual({
      id,
      state: 'open',
      ancestors: [],
      lender: { organization: 'local', issuer: '', subject: 'anonymous', client: 'anonymous' },
      grantee: { client: agent.clientId, organization: 'makers', peer: 'agent' },
      task: expect.stringMatching(/^[\w-]{22}$/),
      tools: expect.arrayContaining([
        {
          name: 'files__echo',
          peer: 'files',
          own: 'echo',
          budgets: [
            { key: 'lending[0]', most: 5, used: 2 },
            { key: 'tool files/echo', most: 3, used: 2 },
          ],
          approval: false,
          constrained: true,
        },
        {
          name: 'files__slow',
          peer: 'files',
          own: 'slow',
          budgets: [{ key: 'lending[0]', most: 5, used: 2 }],
          approval: false,
          constrained: false,
        },
      ]),
      maxCalls: 5,
      used: 2,
      depth: 0,
      via: [],
      jkt: expect.stringMatching(/^[\w-]{43}$/),
      createdAt: expect.stringMatching(time),
      expiresAt: expect.stringMatching(time),
    });
    const ofTask = await admin('GET', `/leases?task=${shown.body.task}`);
    expect(ofTask.body).toEqual({ leases: [shown.body] });
    for (const { text } of [before, shown, ofTask]) {
      expect(text).not.toContain(task.offer?.lease_ref ?? '');
      expect(text).not.toContain('public canary');
    }

    task.complete('Done');
    await called;
    await client.close();
    await expect
      .poll(async () => (await admin('GET', `/leases/${id}`)).body)
      .toMatchObject({ state: 'ended', ended: { how: 'task', at: expect.stringMatching(time) } });
    expect((await admin('GET', '/leases?open=true')).body).toEqual({ leases: [] });
    expect((await admin('GET', '/leases')).body.leases).toHaveLength(1);
  });

  it('are taken back in the middle of a call, and the task goes on without them', async () => {
    const { agent, files, gateway, admin } = await worldWith([rule]);
    const client = await connectModernClient(gateway.mcp('agent'));
    const called = client.callTool({ name: 'hold', arguments: { message: 'Read' } });
    const task = await agent.next();
    const statuses: number[] = [];
    const lease = await opened(agent, task.offer, {
      fetch: async (input, init) => {
        const response = await fetch(input, init);
        if (response.url === task.offer?.resource) statuses.push(response.status);
        return response;
      },
    });
    const slow = lease.client.callTool({
      name: 'files__slow',
      arguments: { ms: 20_000, key: 'k' },
    });
    // It may fail before the answer to whoever takes the lease back is here.
    slow.catch(() => {});
    await expect.poll(() => files.ledger.of('executed', 'slow').length).toBe(1);
    const [{ id }] = (await admin('GET', '/leases?open=true')).body.leases;

    const revoked = await admin('DELETE', `/leases/${id}`);
    expect(revoked).toMatchObject({ status: 200, body: { ended: [id] } });
    await expect(slow).rejects.toThrow(/taken back/);
    await expect.poll(() => files.ledger.of('cancelled', 'slow').length).toBe(1);
    expect(statuses).not.toContain(401);
    await expect(
      lease.client.callTool({ name: 'files__echo', arguments: { text: 'again' } }),
    ).rejects.toThrow(/lease/i);
    expect(statuses.at(-1)).toBe(401);

    const again = await admin('DELETE', `/leases/${id}`);
    expect(again).toMatchObject({ status: 200, body: { ended: [] } });
    expect((await admin('GET', `/leases/${id}`)).body).toMatchObject({
      state: 'ended',
      ended: { how: 'revoked' },
      used: 1,
    });
    expect(auditOf(gateway, 'lease.ended')).toMatchObject([
      { lease: id, actor: 'anonymous', facts: { how: 'revoked' } },
    ]);
    task.complete('Done');
    expect((await called).content).toEqual([expect.objectContaining({ text: 'Done' })]);
    await client.close();
    expect(auditOf(gateway, 'lease.ended')).toHaveLength(1);
  });

  it('of a part go with the whole', async () => {
    const { agent, gateway, admin } = await worldWith([onRequest]);
    const { offer, id } = (await admin('POST', '/leases', body)).body;
    const part = await opened(agent, offer, {
      authorizationDetails: {
        type: 'urn:isthmus:ext:tool-lease:v1',
        tools: [{ name: 'files__echo', max_calls: 1 }],
        max_calls: 1,
      },
    });
    expect(part.tools).toContain('files__echo');
    await part.client.callTool({ name: 'files__echo', arguments: { text: 'x' } });
    const { leases } = (await admin('GET', '/leases')).body;
    expect(leases).toMatchObject([
      { parent: id, ancestors: [id], maxCalls: 1, used: 1 },
      { id, ancestors: [], maxCalls: 5, used: 1 },
    ]);
    const { ended } = (await admin('DELETE', `/leases/${id}`)).body;
    expect(new Set(ended)).toEqual(new Set([id, leases[0].id]));
    expect(auditOf(gateway, 'lease.ended')).toContainEqual(
      expect.objectContaining({ lease: leases[0].id, facts: { how: 'revoked', with: id } }),
    );
  });
});

describe('an offer that an administrator makes', () => {
  it('is good for its agent without any task, and its reference is shown once', async () => {
    const { agent, files, gateway, admin } = await worldWith([
      { ...onRequest, tools: ['files/echo', 'files/ask_form'], ttl: '10m' },
    ]);
    const response = await fetch(`${gateway.url}/admin/leases`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${gateway.adminToken}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({ ...body, lend: { tools: ['files/*'], max_calls: 2 } }),
    });
    const { id, offer } = (await response.json()) as { id: string; offer: LeaseOffer };
    expect(response.status).toBe(201);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('location')).toBe(`/admin/leases/${id}`);
    expect(offer).toEqual({
      iss: `${gateway.url}/sts`,
      resource: `${gateway.url}/callback/${id}/mcp`,
      lease_ref: expect.stringMatching(/^[\w-]{43}$/),
      exp: expect.any(Number),
      tools: expect.arrayContaining(['files__echo', 'files__ask_form']),
      max_calls: 2,
      depth: 0,
      via: [],
    });
    expect(offer.exp - Date.now() / 1000).toBeGreaterThan(590);
    expect(offer.exp - Date.now() / 1000).toBeLessThanOrEqual(600);

    const lease = await opened(agent, offer);
    const echo = () => lease.client.callTool({ name: 'files__echo', arguments: { text: 'lent' } });
    expect((await echo()).content).toEqual([{ type: 'text', text: 'lent' }]);
    // There is nobody whom a tool could ask.
    const asking = await lease.client.callTool({ name: 'files__ask_form', arguments: {} });
    expect(asking).toMatchObject({ isError: true });
    expect(await echo()).toMatchObject({ isError: true });
    expect(files.ledger.of('received', 'echo')).toHaveLength(1);
    const shown = await admin('GET', `/leases/${id}`);
    expect(shown.body).toMatchObject({ state: 'open', maxCalls: 2, used: 2 });
    expect(shown.body).not.toHaveProperty('task');
    expect(shown.text).not.toContain(offer.lease_ref);
    expect(JSON.stringify(gateway.log)).not.toContain(offer.lease_ref);
    expect(auditOf(gateway, 'lease.offered')).toMatchObject([
      {
        lease: id,
        actor: 'anonymous',
        owner: '["local","","anonymous","anonymous"]',
        facts: { to: 'agent', tools: expect.arrayContaining(['files/echo']) },
      },
    ]);

    await gateway.restart();
    expect((await admin('GET', `/leases/${id}`)).body.state).toBe('open');
    expect((await admin('DELETE', `/leases/${id}`)).body).toEqual({ ended: [id] });
    await expect(echo()).rejects.toThrow(/lease/i);
  });

  it('ends by itself when its time is over', async () => {
    const { agent, admin } = await worldWith([onRequest]);
    const lend = { ...body.lend, expires_in: 1 };
    const { id, offer } = (await admin('POST', '/leases', { ...body, lend })).body;
    await expect
      .poll(async () => (await admin('GET', `/leases/${id}`)).body.state, { timeout: 3000 })
      .toBe('expired');
    await expect(agent.open(offer)).rejects.toMatchObject({ code: 'lease-over' });
    expect((await admin('GET', '/leases?open=true')).body).toEqual({ leases: [] });
    expect((await admin('DELETE', `/leases/${id}`)).body).toEqual({ ended: [] });
    expect((await admin('GET', `/leases/${id}`)).body.state).toBe('expired');
  });

  it('is refused where the rules, the peer or a person would have to say more', async () => {
    const { gateway, admin } = await worldWith([
      onRequest,
      { to: 'agent', tools: ['files/ask_form'], approval: 'always', offer: 'request' },
      { to: 'plain', tools: ['files/*'] },
      { to: 'gone', tools: ['files/*'] },
    ]);
    const lend = (tools: string[], more: Record<string, unknown> = {}) => ({
      ...body,
      lend: { tools, ...more },
    });
    for (const [sent, status, detail] of [
      [lend(['files/add']), 422, 'Nothing is lent to "agent". None of files/add may be.'],
      [{ ...body, to: 'files' }, 422, 'Nothing is lent to "files".'],
      [{ ...body, to: 'plain' }, 422, '"plain" does not say that it takes tools'],
      [{ ...body, to: 'nobody' }, 422, 'to: there is no peer "nobody"'],
      [{ ...body, to: 'gone' }, 502, 'gone'],
      [lend(['files/ask_form']), 422, 'A person has to approve each call of files/ask_form'],
      [lend(['files/*']), 422, 'A person has to approve each call of files/ask_form'],
      [lend(['files/echo'], { approval: 'always' }), 422, 'files/echo, and outside of a task'],
    ] as const) {
      const answer = await admin('POST', '/leases', sent);
      expect([sent, answer.status, answer.body.detail]).toEqual([
        sent,
        status,
        expect.stringContaining(detail),
      ]);
      expect(answer.type).toBe('application/problem+json');
    }
    expect((await admin('GET', '/leases')).body).toEqual({ leases: [] });
    const withheld = auditOf(gateway, 'lease.withheld');
    expect(withheld[0]).toMatchObject({
      actor: 'anonymous',
      facts: {
        to: 'agent',
        asked: ['files/add'],
        reason: expect.stringMatching(/^Nothing is lent to "agent"/),
      },
    });
    expect(withheld.map(({ facts }) => (facts as { to: string }).to)).toEqual([
      'agent',
      'files',
      'plain',
      'gone',
      'agent',
      'agent',
      'agent',
    ]);
    const many = Array.from({ length: 100 }, (_, n) => `files/made-up-${n}`);
    await admin('POST', '/leases', lend(many));
    expect(auditOf(gateway, 'lease.withheld').at(-1)?.['facts']).toMatchObject({
      asked: many.slice(0, 16),
      more: 84,
    });
    gateway.reconfigure({ lending: [] });
    const none = await admin('POST', '/leases', body);
    expect([none.status, none.body.detail]).toEqual([
      422,
      expect.stringContaining('Nothing is lent to "agent"'),
    ]);
  });

  it('takes a body that says exactly what is meant, and nothing else', async () => {
    const { admin } = await worldWith([onRequest]);
    const person = {
      organization: 'test',
      issuer: 'https://idp.example.org',
      subject: 'alice',
      client: 'desk',
      scopes: ['peer:*:call'],
    };
    const parent = 'https://gw.example.org/callback/x/mcp';
    const refused: [unknown, string[]][] = [
      [{}, ['lender', 'to', 'lend']],
      [{ ...body, colour: 'red' }, ['']],
      [{ ...body, lender: 'alice' }, ['lender']],
      [{ ...body, lender: { ...person, scopes: undefined } }, ['lender.scopes']],
      [{ ...body, lender: { ...person, scopes: ['all'] } }, ['lender.scopes[0]']],
      [{ ...body, lender: { ...person, issuer: '' } }, ['lender.issuer']],
      [{ ...body, lender: person }, ['lender']],
      [{ ...body, lend: 'files/*' }, ['lend']],
      [{ ...body, lend: {} }, ['lend.tools']],
      [{ ...body, lend: { tools: [] } }, ['lend.tools']],
      [{ ...body, lend: { tools: ['everything'] } }, ['lend.tools[0]']],
      [{ ...body, lend: { ...body.lend, max_calls: 0 } }, ['lend.max_calls']],
      [{ ...body, lend: { ...body.lend, maxCalls: 1 } }, ['lend']],
      [{ ...body, lend: { ...body.lend, parent } }, ['lend.parent']],
      [
        { ...body, lend: { ...body.lend, arguments: { 'files/*': { type: 'nothing' } } } },
        ['lend.arguments["files/*"]'],
      ],
    ];
    for (const [sent, paths] of refused) {
      const { status, body: problem } = await admin('POST', '/leases', sent);
      const mistakes = (problem.mistakes ?? []) as { path: string }[];
      const found = mistakes.map(({ path }) => path);
      expect({ sent, status, found }).toEqual({ sent, status: 422, found: paths });
    }
    expect((await admin('POST', '/leases', [])).status).toBe(400);
    expect((await admin('POST', '/leases', body, { 'content-type': 'text/plain' })).status).toBe(
      415,
    );
    expect((await admin('GET', '/leases')).body).toEqual({ leases: [] });
  });
});

describe('the list of leases', () => {
  it('comes in pages, the newest first', async () => {
    const { admin } = await worldWith([onRequest]);
    const made: string[] = [];
    for (let count = 0; count < 5; count++) {
      made.unshift((await admin('POST', '/leases', body)).body.id as string);
    }
    const ids = (leases: { id: string }[]) => leases.map(({ id }) => id);
    const whole = (await admin('GET', '/leases')).body;
    expect(new Set(ids(whole.leases))).toEqual(new Set(made));
    expect(whole.next).toBeUndefined();
    const read: string[] = [];
    const sizes: number[] = [];
    for (let next: string | undefined = ''; next !== undefined;) {
      const after: string = next === '' ? '' : `&after=${next}`;
      const page = (await admin('GET', `/leases?limit=2${after}`)).body;
      read.push(...ids(page.leases));
      sizes.push(page.leases.length);
      next = page.next as string | undefined;
    }
    expect(read).toEqual(ids(whole.leases));
    expect(sizes).toEqual([2, 2, 1]);
    await admin('DELETE', `/leases/${read[0]}`);
    expect(ids((await admin('GET', '/leases?open=true')).body.leases)).toEqual(read.slice(1));
  });

  it('takes no query that it does not understand, and knows no other lease', async () => {
    const { gateway, admin } = await worldWith([onRequest]);
    for (const [query, detail] of [
      ['colour=red', 'colour: expected one of'],
      ['limit=201', 'limit: expected a number up to 200'],
      ['limit=0', 'limit: expected a number from 1 to 200'],
      ['open=yes', 'open: expected false or true'],
      ['after=abc', 'after: expected the "next" of another answer'],
      [`task=${'a'.repeat(1025)}`, 'task: expected a shorter text'],
    ]) {
      const { status, body: problem } = await admin('GET', `/leases?${query}`);
      expect([query, status]).toEqual([query, 400]);
      expect(problem.detail).toContain(detail);
    }
    expect((await admin('GET', '/leases/none')).status).toBe(404);
    expect((await admin('DELETE', '/leases/none')).status).toBe(404);
    expect((await admin('PUT', '/leases/none', {})).status).toBe(405);
    for (const [method, path] of [
      ['GET', ''],
      ['POST', ''],
      ['GET', '/none'],
      ['DELETE', '/none'],
    ] as const) {
      expect((await fetch(`${gateway.url}/admin/leases${path}`, { method })).status).toBe(401);
    }
  });
});

describe('where callers have tokens', () => {
  it('lends as somebody who is vouched for, within the bounds of their organization', async () => {
    const own = await startIssuer();
    const partner = await startIssuer();
    open.push(own, partner);
    const from = [{ organization: 'test' }, { organization: 'partner' }];
    const { agent, gateway, admin } = await worldWith(
      [{ ...onRequest, tools: ['files/echo', 'plain/*'], from }],
      {
        organizations: [{ id: 'partner', scopes: ['peer:files:call'] }],
        auth: {
          issuers: [
            { issuer: own.issuer, organization: 'test' },
            { issuer: partner.issuer, organization: 'partner' },
          ],
        },
      },
    );
    const alice = {
      organization: 'test',
      issuer: own.issuer,
      subject: 'alice',
      client: 'desk',
      scopes: ['peer:*:call'],
    };
    const bob = { ...alice, organization: 'partner', issuer: partner.issuer, subject: 'bob' };
    const lend = { tools: ['*/*'] };
    const lentBy = async (lender: unknown) => admin('POST', '/leases', { ...body, lender, lend });
    const peersOf = async (lender: unknown) => {
      const { offer } = (await lentBy(lender)).body as { offer: LeaseOffer };
      return new Set(offer.tools.map((name) => (name.startsWith('files__') ? 'files' : 'plain')));
    };
    expect(await peersOf(alice)).toEqual(new Set(['files', 'plain']));
    expect(await peersOf(bob)).toEqual(new Set(['files']));
    expect(await peersOf({ ...alice, scopes: ['peer:files:call'] })).toEqual(new Set(['files']));
    for (const stranger of [
      'anonymous',
      { ...alice, issuer: 'https://evil.example' },
      { ...alice, organization: 'partner' },
      { ...alice, issuer: `${gateway.url}/sts` },
    ]) {
      const { status, body: problem } = await lentBy(stranger);
      expect([stranger, status, problem.mistakes?.[0]?.path]).toEqual([stranger, 422, 'lender']);
    }
    const nothing = await lentBy({ ...alice, scopes: ['peer:files:read'] });
    expect([nothing.status, nothing.body.detail]).toEqual([
      422,
      expect.stringContaining('Nothing is lent to "agent"'),
    ]);

    const count = async (query: string) =>
      (await admin('GET', `/leases?${query}`)).body.leases.length as number;
    expect(await count('')).toBe(3);
    expect(await count('organization=partner')).toBe(1);
    expect(await count('subject=alice&client=desk')).toBe(2);
    expect(await count('subject=alice&organization=partner')).toBe(0);
    const issuer = encodeURIComponent(partner.issuer);
    expect(await count(`organization=partner&issuer=${issuer}&subject=bob&client=desk`)).toBe(1);
    expect(await count(`organization=partner&issuer=${issuer}&subject=bob&client=phone`)).toBe(0);

    const { offer } = (await lentBy(bob)).body as { offer: LeaseOffer };
    const lease = await opened(agent, offer);
    const echo = { name: 'files__echo', arguments: { text: 'for bob' } };
    const result = await lease.client.callTool(echo);
    expect(result.content).toEqual([{ type: 'text', text: 'for bob' }]);
    gateway.reconfigure({
      organizations: [
        { id: 'makers', clientIds: [agent.clientId] },
        { id: 'partner', scopes: [] },
      ],
    });
    await expect(lease.client.callTool(echo)).resolves.toMatchObject({ isError: true });
  });

  it('knows the administrator by name, and asks for the scope', async () => {
    const own = await startIssuer();
    open.push(own);
    const { gateway } = await worldWith([onRequest], {
      auth: { issuers: [{ issuer: own.issuer, organization: 'test' }] },
    });
    const asked = async (scope: string, method: string, path: string, sent?: unknown) => {
      const token = await own.token({ aud: `${gateway.url}/admin`, scope, sub: 'olga' });
      const response = await fetch(`${gateway.url}/admin/leases${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(sent !== undefined && { body: JSON.stringify(sent) }),
      });
      return { status: response.status, body: (await response.json()) as { id?: string } };
    };
    const lender = {
      organization: 'test',
      issuer: own.issuer,
      subject: 'alice',
      client: 'desk',
      scopes: ['peer:files:call'],
    };
    for (const [method, path] of [
      ['GET', ''],
      ['GET', '/none'],
      ['DELETE', '/none'],
    ] as const) {
      expect((await asked('peer:*:call', method, path)).status).toBe(403);
    }
    expect((await asked('peer:*:call', 'POST', '', { ...body, lender })).status).toBe(403);
    const made = await asked('admin', 'POST', '', { ...body, lender });
    expect(made.status).toBe(201);
    expect((await asked('admin', 'DELETE', `/${made.body.id}`)).body).toEqual({
      ended: [made.body.id],
    });
    expect(auditOf(gateway, 'lease.offered')).toMatchObject([
      { actor: 'test/olga', owner: JSON.stringify(['test', own.issuer, 'alice', 'desk']) },
    ]);
    expect(auditOf(gateway, 'lease.ended')).toMatchObject([
      { actor: 'test/olga', lease: made.body.id },
    ]);
  });
});
