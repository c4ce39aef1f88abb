/** SECURITY, negative tests "Client authentication, STS": which clients redeem a lease. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testKey } from '../support/issuer.ts';
import {
  callback,
  exchange,
  exchangeForm,
  exchangeGrant,
  type AssertionShape,
  type Borrower,
  type ExchangeShape,
  type FormAnswer,
} from './lending-requests.ts';
import { startLending, type LendingWorld } from './lending-world.ts';
import { closing } from './world.ts';

let world: LendingWorld;
beforeAll(async () => {
  world = await startLending({
    agents: { agent: {}, second: {} },
    lending: [{ to: '*', tools: ['files/*'] }],
  });
});
afterAll(() => world.close());

const redeem = async (shape: ExchangeShape = {}): Promise<FormAnswer> =>
  exchange((await world.lend()).offer, world.agent, shape);
const outcome = ({ status, json }: FormAnswer): [number, unknown] => [status, json['error']];

describe('client authentication: refuses to redeem with an assertion', () => {
  const now = (): number => Math.floor(Date.now() / 1000);
  const cases: [string, (iss: string) => AssertionShape][] = [
    ['whose aud is the token endpoint', (iss) => ({ claims: { aud: `${iss}/token` } })],
    ['whose aud is an array', (iss) => ({ claims: { aud: [iss] } })],
    ['whose aud is an array of two', (iss) => ({ claims: { aud: [iss, 'https://x.example'] } })],
    ['whose aud is foreign', () => ({ claims: { aud: 'https://elsewhere.example/sts' } })],
    ['whose aud is the callback endpoint', (iss) => ({ claims: { aud: `${iss}/callback` } })],
    ['that is long-lived', () => ({ claims: { exp: now() + 3600 } })],
    ['that is over', () => ({ claims: { iat: now() - 400, exp: now() - 200 } })],
    ['of another subject', () => ({ claims: { sub: world.agents['second']?.clientId } })],
    ['that is called an access token', () => ({ header: { typ: 'at+jwt' } })],
  ];
  it.each(cases)('%s', async (_title, shape) => {
    const { offer } = await world.lend();
    const answer = await exchange(offer, world.agent, { assertion: shape(offer.iss) });
    expect(outcome(answer)).toEqual([401, 'invalid_client']);
    // Nothing was pinned or used up by it.
    expect((await exchange(offer, world.agent)).status).toBe(200);
  });

  it("signed with another client's key", async () => {
    const { key } = world.agents['second'] as Borrower;
    const answer = await redeem({ assertion: { key } });
    expect(outcome(answer)).toEqual([401, 'invalid_client']);
  });

  it('signed with the DPoP key that is proved', async () => {
    const proofKey = await testKey();
    const answer = await redeem({ proofKey, assertion: { key: proofKey.privateKey } });
    expect(outcome(answer)).toEqual([401, 'invalid_client']);
  });

  it('that is not there', async () => {
    const answer = await redeem({
      form: { client_assertion: undefined, client_assertion_type: undefined },
    });
    expect(outcome(answer)).toEqual([401, 'invalid_client']);
    const named = await redeem({
      form: { client_assertion: undefined, client_id: world.agent.clientId },
    });
    expect(outcome(named)).toEqual([401, 'invalid_client']);
  });

  it('that is replayed 20 times in parallel: it counts once', async () => {
    const { offer } = await world.lend();
    const [key, form] = [await testKey(), await exchangeForm(offer, world.agent)];
    const client_assertion = new Map(form).get('client_assertion') ?? '';
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        exchange(offer, world.agent, { proofKey: key, form: { client_assertion } }),
      ),
    );
    const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b);
    expect(statuses).toEqual([200, ...Array.from({ length: 19 }, () => 401)]);
  });
});

describe('a client that may not redeem', () => {
  it('is one without the token-exchange grant in its metadata: unauthorized_client', async () => {
    const client = await clientAt(['client_credentials']);
    const { offer } = await world.lend();
    world.gateway.reconfigure({
      organizations: [
        {
          id: 'partner',
          clientIds: [world.agent.clientId, world.agents['second']?.clientId ?? ''],
        },
        { id: 'other', clientIds: [client.clientId] },
      ],
    });
    expect(outcome(await exchange(offer, client))).toEqual([400, 'unauthorized_client']);
    world.gateway.reconfigure(world.options);
  });

  it('is one that no organization trusts, however well it describes itself', async () => {
    const client = await clientAt([exchangeGrant]);
    const { offer } = await world.lend();
    expect(outcome(await exchange(offer, client))).toEqual([401, 'invalid_client']);
  });

  it('is one that has moved to another organization under the same id', async () => {
    // A client id is a URL that one organization is trusted for. The same id in another one can
    // only come about by the operator's hand, and what was lent to the first is not the second's.
    const { offer } = await world.lend();
    const stay = world.agents['second']?.clientId ?? '';
    world.gateway.reconfigure({
      organizations: [
        { id: 'partner', clientIds: [stay] },
        { id: 'other', clientIds: [world.agent.clientId] },
      ],
    });
    const moved = await exchange(offer, world.agent);
    world.gateway.reconfigure(world.options);
    expect(outcome(moved)).toEqual([400, 'invalid_grant']);
  });
});

it('an act in the client assertion is not believed: nobody else is made to act', async () => {
  const { offer } = await world.lend();
  const forged = { act: { sub: 'https://bank.example/agent.json' }, may_act: { sub: 'x' } };
  const assertion = { claims: { ...forged, authorization_details: [], cnf: { jkt: 'x' } } };
  const key = await testKey();
  const { status, json } = await exchange(offer, world.agent, { assertion, proofKey: key });
  expect(status).toBe(200);
  const token = String(json['access_token']);
  expect(decodeJwt(token)['act']).toEqual({ sub: world.agent.clientId });
  expect((await callback(offer.resource, { token, key })).status).toBe(200);
});

/** A client that describes itself at a URL of its own, with these grants. */
async function clientAt(grantTypes: string[]): Promise<Borrower> {
  const { publicJwk, privateKey, kid } = await testKey();
  expect(kid).not.toBe('');
  const server = createServer((_req, res) => {
    res.setHeader('content-type', 'application/json');
    res.end(
      JSON.stringify({
        client_id: clientId,
        grant_types: grantTypes,
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [{ ...publicJwk, kid: 'agent' }] },
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const clientId = `http://127.0.0.1:${(server.address() as AddressInfo).port}/client.json`;
  closing({
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
  return { clientId, key: privateKey };
}
