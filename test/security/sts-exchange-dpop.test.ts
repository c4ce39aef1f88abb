/** SECURITY, negative tests "DPoP", at the exchange of a lease. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dpopProof, testKey, type ProofShape } from '../support/issuer.ts';
import { exchange, exchangeForm, postForm, callback, type FormAnswer } from './lending-requests.ts';
import { redeemed, startLending, type LendingWorld } from './lending-world.ts';

let world: LendingWorld;
beforeAll(async () => {
  world = await startLending({ oauth: true });
});
afterAll(() => world.close());

const nowSeconds = (): number => Math.floor(Date.now() / 1000);

describe('DPoP at the exchange', () => {
  const refusal = async (answer: Promise<FormAnswer>): Promise<[number, unknown]> => {
    const { status, json } = await answer;
    return [status, json['error']];
  };
  const bad = [400, 'invalid_dpop_proof'];

  it('exchange without a proof', async () => {
    const { offer } = await world.lend();
    expect(await refusal(exchange(offer, world.agent, { proofs: [] }))).toEqual(bad);
  });

  const cases: [string, (iss: string) => Partial<ProofShape>][] = [
    ['wrong htu: a callback', (iss) => ({ htu: iss.replace('/sts', '/callback/x/mcp') })],
    ['wrong htu: the issuer', (iss) => ({ htu: iss })],
    ['wrong htm', () => ({ htm: 'GET' })],
    ['stale iat', () => ({ iat: nowSeconds() - 62 })],
    ['future iat', () => ({ iat: nowSeconds() + 63 })],
    ['an unsigned proof', () => ({ header: { alg: 'none' } })],
    ['no key', () => ({ header: { jwk: undefined } })],
  ];
  it.each(cases)('%s', async (_title, changes) => {
    const { offer } = await world.lend();
    expect(await refusal(exchange(offer, world.agent, { proof: changes(offer.iss) }))).toEqual(bad);
  });

  it('other key: a proof that shows one key and is signed by another', async () => {
    const { offer } = await world.lend();
    const signWith = (await testKey()).privateKey;
    expect(await refusal(exchange(offer, world.agent, { proof: { signWith } }))).toEqual(bad);
  });

  it('private key in the header', async () => {
    const { offer } = await world.lend();
    const proofKey = await testKey();
    const proof = { header: { jwk: proofKey.privateJwk } };
    expect(await refusal(exchange(offer, world.agent, { proofKey, proof }))).toEqual(bad);
  });

  it('two proofs', async () => {
    const { offer } = await world.lend();
    const key = await testKey();
    const made = () => dpopProof({ key, htm: 'POST', htu: `${offer.iss}/token` });
    const proofs = [await made(), await made()];
    expect(await refusal(exchange(offer, world.agent, { proofs }))).toEqual(bad);
  });

  it('replayed proof, 20 times in parallel and over a restart of the gateway', async () => {
    const { offer } = await world.lend();
    const key = await testKey();
    const proofs = [await dpopProof({ key, htm: 'POST', htu: `${offer.iss}/token` })];
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => exchange(offer, world.agent, { proofs })),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    await world.gateway.restart();
    expect(await refusal(exchange(offer, world.agent, { proofs }))).toEqual(bad);
  });

  it('a proof that was shown at a callback', async () => {
    const { offer, key, token } = await redeemed(world);
    const htu = offer.resource;
    const proof = await dpopProof({ key, htm: 'POST', htu, accessToken: token });
    expect((await callback(htu, { token, dpop: proof })).status).toBe(200);
    expect(await refusal(exchange(offer, world.agent, { proofs: [proof] }))).toEqual(bad);
  });

  it('a stolen request gets nothing a second time: assertion and proof are used up', async () => {
    const { offer } = await world.lend();
    const key = await testKey();
    const form = await exchangeForm(offer, world.agent);
    const proofs = [await dpopProof({ key, htm: 'POST', htu: `${offer.iss}/token` })];
    expect((await postForm(`${offer.iss}/token`, form, proofs)).status).toBe(200);
    expect((await postForm(`${offer.iss}/token`, form, proofs)).status).toBe(401);
  });
});
