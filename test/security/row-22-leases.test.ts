/**
 * SECURITY row 22: what lends and what is sent with it is in no log, metric, error, task, file or
 * audit entry, and reaches no tool and no model.
 */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { afterEach, describe, expect, it } from 'vitest';
import type { LeaseOffer } from '../../src/model/lease.ts';
import type { HoldingAgent } from '../support/holding-agent.ts';
import { dpopProof, testKey } from '../support/issuer.ts';
import { WireClient } from '../support/wire-client.ts';
import {
  assertionOf,
  assertionType,
  callback,
  callTool,
  detailsType,
  exchange,
  exchangeForm,
  post,
  postForm,
  until,
} from './lending-requests.ts';
import { startLending, type LendingWorld, type Lent } from './lending-world.ts';
import { modernHeaders } from './world.ts';

let world: LendingWorld;
afterEach(() => world.close());

/** Secrets by what they are. */
class Canaries {
  readonly #secrets = new Map<string, string>();

  watch(what: string, secret: string): string {
    this.#secrets.set(what, secret);
    return secret;
  }

  /** A JWT: itself, and the part that makes it good. */
  jwt(what: string, token: string): string {
    this.watch(`signature of ${what}`, token.split('.')[2] ?? token);
    return this.watch(what, token);
  }

  /** Which of them stand in a text, as they are or encoded. */
  foundIn(text: string): string[] {
    return [...this.#secrets].flatMap(([what, secret]) => {
      const bytes = Buffer.from(secret);
      const forms = [secret, encodeURIComponent(secret), bytes.toString('hex')];
      // Wherever it starts in a longer text, its middle is encoded like this.
      for (const cut of [0, 1, 2]) {
        const whole = bytes.subarray(cut, cut + 3 * Math.floor((bytes.length - cut) / 3));
        forms.push(whole.toString('base64'), whole.toString('base64url'));
      }
      return forms.some((form) => text.includes(form)) ? [what] : [];
    });
  }
}

const at = (id: string): HoldingAgent => world.agents[id] as HoldingAgent;

/** A key, a proof, an assertion and a token for what is lent, all of them watched. */
async function redeem(canaries: Canaries, name: string, { offer }: Lent, who: HoldingAgent) {
  canaries.watch(`lease_ref of ${name}`, offer.lease_ref);
  const key = await testKey();
  canaries.watch(`private key of ${name}`, key.privateJwk.d ?? '');
  const endpoint = `${offer.iss}/token`;
  const proof = await dpopProof({ key, htm: 'POST', htu: endpoint });
  const assertion = await assertionOf(who, offer.iss);
  canaries.jwt(`proof at the exchange for ${name}`, proof);
  canaries.jwt(`assertion for ${name}`, assertion);
  const form = { client_assertion: assertion };
  const { json } = await exchange(offer, who, { proofKey: key, proofs: [proof], form });
  const token = canaries.jwt(`token of ${name}`, String(json['access_token']));
  const say = async (tool: string, args: Record<string, unknown>) => {
    const htu = offer.resource;
    const dpop = await dpopProof({ key, htm: 'POST', htu, accessToken: token });
    canaries.jwt(`proof of ${name} at ${tool} ${JSON.stringify(args).length}`, dpop);
    const params = { name: tool, arguments: args };
    return callback(htu, { token, key, dpop, method: 'tools/call', params });
  };
  return { key, token, proof, assertion, say, offer };
}

/** Mistakes and attacks that have secrets in them, and what was answered. */
async function attack(
  { key, token, proof, assertion, offer }: Awaited<ReturnType<typeof redeem>>,
  canaries: Canaries,
  said: string[],
): Promise<void> {
  const hear = async (
    asked: Promise<{ status: number; headers: Headers; text?: string; messages?: unknown }>,
  ): Promise<void> => {
    const { status, headers, text, messages } = await asked;
    said.push(
      `${status} ${JSON.stringify([...headers])} ${text ?? ''} ${JSON.stringify(messages)}`,
    );
  };
  const endpoint = `${offer.iss}/token`;
  const agent = at('agent');
  // The exchange again, by others, and with everything in the wrong place.
  await hear(postForm(endpoint, await exchangeForm(offer, agent), [proof]));
  await hear(exchange(offer, at('second')));
  await hear(exchange(offer, agent, { form: { client_assertion: assertion } }));
  await hear(exchange(offer, agent));
  for (const [name, value] of [
    ['resource', offer.lease_ref],
    ['resource', token],
    ['subject_token_type', offer.lease_ref],
    ['grant_type', offer.lease_ref],
    ['actor_token', token],
    ['requested_token_type', offer.lease_ref],
    ['scope', offer.lease_ref],
    ['client_id', offer.lease_ref],
    [
      'authorization_details',
      JSON.stringify([{ type: detailsType, tools: [{ name: offer.lease_ref }] }]),
    ],
    ['authorization_details', offer.lease_ref],
    ['subject_token', token],
    ['nonsense', token],
  ] as const) {
    await hear(exchange(offer, agent, { proofKey: key, form: { [name]: value } }));
  }
  const wrong = canaries.jwt(
    'assertion with another key',
    await assertionOf(agent, offer.iss, { key: key.privateKey }),
  );
  await hear(exchange(offer, agent, { form: { client_assertion: wrong } }));
  const query = new URLSearchParams({
    subject_token: offer.lease_ref,
    client_assertion: assertion,
  });
  await hear(
    post(`${endpoint}?${query.toString()}`, '', {
      'content-type': 'application/x-www-form-urlencoded',
    }),
  );
  // Callbacks without the key, with the wrong one, and with the token in the wrong place.
  await hear(callback(offer.resource, { token, scheme: 'Bearer' }));
  await hear(callback(offer.resource, { token }));
  await hear(callback(offer.resource, { token, key: await testKey() }));
  await hear(callback(offer.resource, { token: `${token}x`, key }));
  await hear(callback(offer.resource, { token: offer.lease_ref, key }));
  await hear(callback(offer.resource, { token, dpop: proof }));
  await hear(callback(world.gateway.mcp('files'), { token, key }));
  const json = { ...modernHeaders('tools/list') };
  await hear(post(`${offer.resource}?access_token=${token}`, '{}', json));
  await hear(
    post(offer.resource, `{"jsonrpc":"2.0","x":"${token}`, {
      ...json,
      authorization: `DPoP ${token}`,
      dpop: proof,
    }),
  );
  // What stands for a name is repeated to its sender, and to nobody else.
  await callTool(offer.resource, { token, key }, offer.lease_ref, { a: token });
  await callback(offer.resource, { token, key, method: offer.lease_ref });
  // A lender who puts what it found where a request to lend stands.
  for (const member of [
    { lend: { tools: [offer.lease_ref] } },
    { lend: { tools: ['*'], parent: offer.lease_ref } },
    { lend: { tools: ['*'], parent: `${world.gateway.url}/callback/${offer.lease_ref}/mcp` } },
    { lend: { tools: ['files/*'], arguments: { [offer.lease_ref]: {} } } },
    { ...offer, iss: 'https://elsewhere.example' },
    { ...offer, exp: 'x' },
  ]) {
    const lender = await world.lender('agent');
    await lender.start('x', member as never).then(
      async ({ id }) => {
        await new Promise((go) => setTimeout(go, 100));
        said.push(JSON.stringify(await lender.get(id)));
      },
      (error: unknown) => said.push(String(error)),
    );
  }
}

describe('canaries', () => {
  it('tokens, proofs, refs, assertions and arguments are nowhere but where they were sent', async () => {
    world = await startLending({
      oauth: true,
      agents: { agent: {}, second: {} },
      lending: [
        { to: '*', tools: ['files/*'], depth: 2, arguments: { 'files/add': { required: ['a'] } } },
      ],
      limits: { syncCall: '1s' },
    });
    const canaries = new Canaries();
    const said: string[] = [];
    const hidden = canaries.watch('argument', 'Kq7zRwXv9TbN4cUeLhJ2s-argument');
    const outside = canaries.watch('argument that is refused', 'Kq7zRwXv9TbN4cUeLhJ2s-outside');
    const root = await world.lend();
    const one = await redeem(canaries, 'root', root, at('agent'));
    const child = await world.lendAs(at('agent'), {
      to: 'second',
      request: { tools: ['*'], parent: root.offer.resource },
    });
    const two = await redeem(canaries, 'child', child, at('second'));
    for (const { say } of [one, two]) {
      expect((await say('files__echo', { text: hidden })).status).toBe(200);
      await say('files__throw_error', { text: hidden });
      await say('files__add', { b: outside });
      await say('files__nothing', { b: outside });
    }
    await attack(one, canaries, said);
    root.held.say('Still at it');
    const { raw, headers } = root.lender;
    for (const [method, params] of [
      ['GetTask', { id: root.taskId, historyLength: 100 }],
      ['ListTasks', { includeArtifacts: true, historyLength: 100 }],
      ['GetTask', { id: 'nothing' }],
    ] as const) {
      said.push(JSON.stringify((await raw.rpc(method, params, { headers })).body));
    }
    // The gateway goes down in the middle of a call, and comes back.
    const calling = one.say('files__slow', { ms: 4000, key: hidden }).catch(() => undefined);
    await until(() => world.files.ledger.of('executed', 'slow').length > 0);
    await world.gateway.restart();
    await calling;
    root.held.complete('Done');
    await raw.rpc('CancelTask', { id: root.taskId }, { headers });
    said.push(
      JSON.stringify((await raw.rpc('ListTasks', { historyLength: 100 }, { headers })).body),
    );
    const metrics = await (
      await fetch(`${world.gateway.url}/metrics`, {
        headers: { authorization: `Bearer ${world.gateway.adminToken}` },
      })
    ).text();
    expect(metrics).toContain('process_cpu');
    const audit = JSON.stringify(await world.audit());
    expect(audit).toContain('call.allowed');
    expect(audit).toContain('call.refused');
    const stored = world.stored();
    expect(stored).toContain('SQLite format 3');
    const toTools = JSON.stringify(
      world.files.ledger.entries.map(({ headers: sent, meta, params }) => ({
        sent,
        meta,
        params: { ...params, arguments: undefined },
      })),
    );
    // First that a secret would be found, were it there.
    expect(canaries.foundIn(`x${hidden}x`)).toEqual(['argument']);
    expect({
      answers: canaries.foundIn(said.join('\n')),
      log: canaries.foundIn(JSON.stringify(world.gateway.log)),
      metrics: canaries.foundIn(metrics),
      audit: canaries.foundIn(audit),
      store: canaries.foundIn(stored),
      tools: canaries.foundIn(toTools),
    }).toEqual({ answers: [], log: [], metrics: [], audit: [], store: [], tools: [] });
  }, 60_000);

  it('of arguments the audit log has the digest, and nothing else', async () => {
    world = await startLending();
    const lent = await world.lend();
    const canaries = new Canaries();
    const { say } = await redeem(canaries, 'lease', lent, world.agent);
    const args = { text: 'Kq7zRwXv9TbN4cUeLhJ2s' };
    await say('files__echo', args);
    const bodies = (await world.audit()).map(
      ({ body }) => JSON.parse(String(body)) as { kind: string; facts: object },
    );
    const digest = createHash('sha256')
      .update(canonicalize(args) ?? '')
      .digest('base64url');
    expect(bodies.find(({ kind }) => kind === 'call.allowed')?.facts).toEqual({
      arguments: digest,
    });
    expect(JSON.stringify(bodies)).not.toContain(args.text);
  });
});

describe('handle found', () => {
  it('in model-visible content: not in the lists, results and errors of a callback', async () => {
    world = await startLending();
    const canaries = new Canaries();
    const { say, key, token, offer } = await redeem(
      canaries,
      'lease',
      await world.lend(),
      world.agent,
    );
    const heard = [
      await callback(offer.resource, { token, key }),
      await callback(offer.resource, { token, key, method: 'server/discover' }),
      await say('files__echo', { text: 'x' }),
      await say('files__throw_error', {}),
      await say('files__nothing', {}),
      await say('files__read_resource', { uri: 'test://notes/first' }),
    ];
    expect(heard[0]?.status).toBe(200);
    expect(canaries.foundIn(JSON.stringify(heard))).toEqual([]);
  });

  it('in what the lender’s client sees of its task: over A2A, also in a stream, and over MCP', async () => {
    world = await startLending();
    const canaries = new Canaries();
    const lender = await world.lender('agent');
    const seen: string[] = [];
    const message = { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'x' }] };
    const streaming = (async () => {
      for await (const { text } of lender.raw.stream('SendStreamingMessage', { message }))
        seen.push(text);
    })();
    const first = await world.agent.next();
    canaries.watch('lease_ref over A2A', (first.offer as LeaseOffer).lease_ref);
    first.say('Working');
    first.complete('Done');
    await streaming;
    const wire = new WireClient(world.gateway.mcp('agent'));
    const calling = wire.request('tools/call', { name: 'hold', arguments: { message: 'x' } });
    const second = await world.agent.next();
    canaries.watch('lease_ref over MCP', (second.offer as LeaseOffer).lease_ref);
    second.complete('Done');
    const answer = await calling;
    seen.push(JSON.stringify(answer));
    const { taskId } = answer.result ?? {};
    if (typeof taskId === 'string') {
      seen.push(JSON.stringify(await wire.pollTask(taskId)));
      seen.push(JSON.stringify(await wire.request('tasks/result', { taskId })));
    }
    const listed = await lender.raw.rpc('ListTasks', {
      includeArtifacts: true,
      historyLength: 100,
    });
    seen.push(JSON.stringify(listed.body));
    for (const { id } of listed.body.result?.tasks ?? [])
      seen.push(JSON.stringify(await lender.get(id)));
    // The agent's own history has the message that it was sent, with everything in it.
    expect(JSON.stringify(first.message)).toContain(first.offer?.lease_ref);
    expect(seen.length).toBeGreaterThan(4);
    expect(canaries.foundIn(seen.join('\n'))).toEqual([]);
    expect(seen.join('\n')).not.toContain('tool-lease');
  });

  it('in the path of a mistaken request: not in the log', async () => {
    world = await startLending();
    const canaries = new Canaries();
    const { key, token, offer } = await redeem(canaries, 'lease', await world.lend(), world.agent);
    const mistaken = `${world.gateway.url}/callback/${offer.lease_ref}/mcp`;
    expect((await callback(mistaken, { token, key })).status).toBe(404);
    expect((await callback(`${mistaken}/x`, { token, key })).status).toBe(404);
    expect((await exchange(offer, world.agent, { form: { resource: mistaken } })).status).toBe(400);
    expect(canaries.foundIn(JSON.stringify(world.gateway.log))).toEqual([]);
    expect(canaries.foundIn(world.stored())).toEqual([]);
  });

  it('a token that an agent asks to have introspected or revoked is not logged', async () => {
    world = await startLending();
    const canaries = new Canaries();
    const { token, offer } = await redeem(canaries, 'lease', await world.lend(), world.agent);
    for (const [path, value] of [
      ['revoke', offer.lease_ref],
      ['introspect', offer.lease_ref],
      ['introspect', token],
      ['revoke', token],
    ] as const) {
      const client_assertion = await assertionOf(world.agent, offer.iss);
      const form = { token: value, client_assertion_type: assertionType, client_assertion };
      const { text } = await postForm(`${offer.iss}/${path}`, Object.entries(form));
      expect(canaries.foundIn(text)).toEqual([]);
    }
    expect(canaries.foundIn(JSON.stringify(world.gateway.log))).toEqual([]);
    expect(canaries.foundIn(world.stored())).toEqual([]);
  });
});
