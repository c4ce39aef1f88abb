import { generateKeyPairSync } from 'node:crypto';
import { AgentCard, generateAgentCardSignature, verifyAgentCardSignature } from '@a2a-js/sdk';
import canonicalize from 'canonicalize';
import { base64url, decodeProtectedHeader, exportJWK, flattenedVerify, importJWK } from 'jose';
import { afterAll, describe, expect, it, vi } from 'vitest';
import {
  forged,
  jku,
  jwk,
  kid,
  plainCard,
  privateKey,
  signed,
} from '../../test/support/signed-cards.ts';
import { signCard, signCardInSlices, verifyCard, type SignedCard } from './card-signature.ts';

/** With what the SDKs and the schema see differently. */
const rich = {
  ...plainCard,
  capabilities: {
    streaming: false,
    extensions: [{ uri: 'urn:x', required: true, params: { empty: '', none: [] } }],
  },
  securitySchemes: {
    token: { httpAuthSecurityScheme: { scheme: 'Bearer' } },
    mtls: { mtlsSecurityScheme: {} },
  },
  securityRequirements: [{ schemes: { token: { list: [] } } }],
};

/** With the members of A2A 0.3 beside those of 1.0. */
const hybrid = {
  ...rich,
  protocolVersion: '0.3.0',
  url: 'https://travel.example/a2a',
  preferredTransport: 'JSONRPC',
};

// The SDK tells the console of each signature that does not fit.
const quiet = vi.spyOn(console, 'debug').mockImplementation(() => {});
afterAll(() => quiet.mockRestore());

const check = (card: object) => verifyCard(JSON.stringify(card), { keys: [jwk] });

describe('a card that we sign', () => {
  it('is proved by JOSE alone, over its canonical JSON as served', async () => {
    const { signatures, ...card } = JSON.parse(JSON.stringify(signed())) as SignedCard;
    expect(card).toEqual(plainCard);
    expect(signatures).toHaveLength(1);
    expect(Object.keys(signatures[0] ?? {})).toEqual(['protected', 'signature']);
    const { protectedHeader } = await flattenedVerify(
      { ...signatures[0]!, payload: base64url.encode(canonicalize(card)!) },
      await importJWK(jwk),
    );
    expect(protectedHeader).toEqual({ alg: 'ES256', typ: 'JOSE', kid, jku });
  });

  it('names no jku when there is none', async () => {
    const { signatures } = signCard(plainCard, { kid, privateKey });
    expect(decodeProtectedHeader(signatures[0]!)).toEqual({ alg: 'ES256', typ: 'JOSE', kid });
  });

  it.each([
    ['plain', plainCard],
    ['rich', rich],
    ['hybrid', hybrid],
  ])('satisfies the verifier of the official SDK (%s)', async (_name, card) => {
    const wire = JSON.parse(JSON.stringify(signed(card)));
    const asked: unknown[] = [];
    const verify = verifyAgentCardSignature(async (...named) => {
      asked.push(named);
      return jwk;
    });
    await expect(verify(wire)).resolves.toBeUndefined();
    expect(asked[0]).toEqual([kid, jku]);
    await expect(verify({ ...wire, name: 'Trave1' })).rejects.toThrow('No valid signatures');
  });

  it.each([
    ['plain', plainCard, 1],
    ['rich', rich, 2],
    ['hybrid', hybrid, 3],
  ])(
    'verifies as a whole, with a signature per way of reading it (%s)',
    async (_n, card, count) => {
      const result = signed(card);
      expect(result.signatures).toHaveLength(count);
      expect(await check(result)).toMatchObject({ kind: 'verified', form: 'as-served' });
    },
  );

  it('is served without the default values that its signature leaves out', async () => {
    const card = {
      ...plainCard,
      securityRequirements: [],
      securitySchemes: {},
      iconUrl: undefined,
    };
    const { signatures: _signatures, ...served } = signed(card);
    expect(served).toEqual(plainCard);
  });

  it('is the same whether it is signed at once or in slices', async () => {
    const key = { kid, privateKey };
    const card = { ...hybrid, description: 'é'.repeat(500_000) };
    expect(await signCardInSlices(card, key)).toEqual(signCard(card, key));
    expect(await check(await signCardInSlices(card, key))).toMatchObject({ kind: 'verified' });
  });

  it('has each of its parts made canonical once, for all of its forms and shapes', () => {
    let reads = 0;
    const schema = {
      get type() {
        reads += 1;
        return 'object';
      },
    };
    const extension = { uri: 'urn:x', params: { tools: { a: { inputSchema: schema } } } };
    const card = { ...plainCard, capabilities: { extensions: [extension] } };
    const texts = new WeakMap<object, string>();
    signCard(card, { kid, privateKey }, { texts });
    const once = reads;
    const { signatures } = signCard({ ...card, url: 'u' }, { kid, privateKey }, { texts });
    // With a member that is none of 1.0 there is a second form; its parts are those of the first.
    expect(signatures).toHaveLength(2);
    // What is left is the look for empty values, once a card.
    expect(reads - once).toBe(1);
  });

  it('lets others have their turn while it is signed, when it is large', async () => {
    const skills = Array.from({ length: 2000 }, (_, n) => ({
      ...plainCard.skills[0],
      id: `s${n}`,
      description: 'd'.repeat(1000),
    }));
    let turns = 0;
    let isDone = false;
    const count = (): void => {
      turns += 1;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    await signCardInSlices({ ...plainCard, skills }, { kid, privateKey });
    isDone = true;
    expect(turns).toBeGreaterThanOrEqual(10);
  });

  it('loses the signatures that it had: they were over something else', async () => {
    const foreign = { protected: 'e30', signature: 'AAAA' };
    const { signatures } = signed({ ...plainCard, signatures: [foreign] });
    expect(signatures).toHaveLength(1);
    expect(signatures).not.toContainEqual(foreign);
  });
});

describe('a card that others signed', () => {
  const sdkSigner = () =>
    generateAgentCardSignature(privateKey, { alg: 'ES256', typ: 'JOSE', kid });

  it.each([
    ['plain', plainCard, 'as-served'],
    ['rich', rich, 'empties-removed'],
    ['hybrid', hybrid, 'empties-removed'],
  ])('verifies when the official SDK signed its wire form (%s)', async (_name, card, form) => {
    const wire = await sdkSigner()(card as unknown as AgentCard);
    expect(await check(wire)).toMatchObject({ kind: 'verified', kid, algorithm: 'ES256', form });
  });

  it('verifies when the SDK signed its own type, whichever way that is served', async () => {
    const typed = await sdkSigner()(AgentCard.fromJSON(plainCard));
    expect(await check(AgentCard.toJSON(typed) as object)).toMatchObject({ kind: 'verified' });
    expect(await check(typed)).toMatchObject({ kind: 'verified', card: plainCard });
    // The SDK's own type spells security schemes in a way that neither schema nor signature knows.
    const secured = await sdkSigner()(AgentCard.fromJSON(rich));
    const outcome = await check(secured);
    expect(outcome).toMatchObject({ kind: 'verified', form: 'empties-removed' });
    expect(outcome).not.toHaveProperty('card.securitySchemes');
  });

  it('verifies when defaults were left out of what was signed but not of what is served', async () => {
    const { signatures } = await forged({ card: plainCard });
    const served = { ...plainCard, securityRequirements: [], signatures };
    expect(await check(served)).toMatchObject({
      kind: 'verified',
      form: 'defaults-removed',
      card: plainCard,
    });
  });

  it('gives back what its signature covers, and nothing that stands beside it', async () => {
    const { signatures } = await forged({ card: plainCard });
    const outcome = await check({ ...plainCard, url: 'https://evil.example', signatures });
    expect(outcome).toMatchObject({ kind: 'verified', form: 'known-members' });
    expect(outcome).toHaveProperty('card', plainCard);
  });

  it('keeps what was signed beyond the schema', async () => {
    const card = { ...plainCard, vendor: { note: '' } };
    expect(await check(await forged({ card }))).toMatchObject({ form: 'as-served', card });
  });

  it.each([
    ['ES384', 'ec', { namedCurve: 'P-384' }],
    ['ES512', 'ec', { namedCurve: 'P-521' }],
    ['RS256', 'rsa', { modulusLength: 2048 }],
    ['RS512', 'rsa', { modulusLength: 2048 }],
    ['PS256', 'rsa', { modulusLength: 2048 }],
    ['EdDSA', 'ed25519', {}],
    ['Ed25519', 'ed25519', {}],
  ])('verifies with %s', async (alg, type, options) => {
    const pair = generateKeyPairSync(type as 'ec', options as { namedCurve: string });
    const card = await forged({ head: { alg, kid: 'k' }, key: pair.privateKey });
    const keys = [{ ...(await exportJWK(pair.publicKey)), kid: 'k' }];
    const outcome = await verifyCard(JSON.stringify(card), { keys });
    expect(outcome).toMatchObject({ kind: 'verified', kid: 'k', algorithm: alg });
  });

  it('verifies with a key that is pinned without an id, by its thumbprint', async () => {
    const { kid: _kid, ...nameless } = jwk;
    const text = JSON.stringify(signed());
    expect(await verifyCard(text, { keys: [nameless] })).toMatchObject({ kind: 'verified', kid });
  });

  it('needs one good signature among bad and foreign ones', async () => {
    const { signatures: good } = signed();
    const { signatures: foreign } = await forged({ head: { kid: 'elsewhere' } });
    const bad = { protected: good[0]!.protected, signature: 'AAAA' };
    const card = { ...plainCard, signatures: [...foreign, bad, {}, 7, ...good] };
    expect(await check(card)).toMatchObject({ kind: 'verified', kid });
  });

  it('tries each of two pinned keys with one id', async () => {
    const other = await exportJWK(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);
    const text = JSON.stringify(signed());
    for (const keys of [
      [{ ...other, kid }, jwk],
      [jwk, { ...other, kid }],
    ]) {
      expect(await verifyCard(text, { keys })).toMatchObject({ kind: 'verified' });
    }
    expect(await verifyCard(text, { keys: [{ ...other, kid }] })).toMatchObject({
      rule: 'bad-signature',
    });
  });

  it('counts as unsigned without signatures', async () => {
    expect(await check(plainCard)).toEqual({ kind: 'unsigned', card: plainCard });
    expect(await check({ ...plainCard, signatures: [] })).toMatchObject({ kind: 'unsigned' });
    expect(await check({ ...plainCard, signatures: null })).toMatchObject({ kind: 'unsigned' });
  });
});
