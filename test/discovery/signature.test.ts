/** The signatures on our cards, checked by code that is not ours. */
import { AgentCard, verifyAgentCardSignature } from '@a2a-js/sdk';
import { errors, exportJWK, FlattenedSign, generateKeyPair } from 'jose';
import type { JSONWebKeySet } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startChild, until } from '../faults/child.ts';
import { startGatewayProcess } from '../faults/gateway-process.ts';
import { covers } from '../requirements/requirement.ts';
import { startModernServer } from '../support/modern-server.ts';
import { canonical, tampered, verifyCard, withoutDefaults } from './card-signature.ts';
import { cardPaths, cardReaders, fetchDocument, objectsIn, startSite, type Site } from './site.ts';

let site: Site;

beforeAll(async () => {
  site = await startSite();
});

afterAll(() => site.close());

async function publishedKeys(): Promise<JSONWebKeySet> {
  const { json } = await site.get('/.well-known/jwks.json');
  return json as unknown as JSONWebKeySet;
}

const everyCard = cardPaths.flatMap((path) =>
  cardReaders.map(([reader, headers]) => ({ path, reader, headers })),
);

describe.each(everyCard)('$path for $reader', ({ path, headers }) => {
  it('is signed over its canonical form by a published key', async () => {
    covers('A2A-8.4.1-01', 'A2A-8.4.1-03', 'A2A-8.4.2-01', 'A2A-8.4.2-02');
    const { text } = await site.get(path, headers);
    const keys = await publishedKeys();
    for (const { header } of await verifyCard(text, keys)) {
      expect(header).toMatchObject({ alg: 'ES256', typ: 'JOSE' });
      expect(keys.keys.map(({ kid }) => kid)).toContain(header.kid);
      // A verifier that follows it has to arrive at the keys of this gateway and nowhere else.
      expect([undefined, `${site.gateway.url}/.well-known/jwks.json`]).toContain(header.jku);
    }
  });

  it('holds nothing that a reader of the protobuf definition would leave out of the check', async () => {
    covers('A2A-8.4.1-02');
    const { json } = await site.get(path, headers);
    const { signatures: _signatures, ...content } = json;
    expect(canonical(withoutDefaults(content))).toBe(canonical(content));
  });

  it('verifies no longer when any part of it is another', async () => {
    const { text } = await site.get(path, headers);
    const keys = await publishedKeys();
    expect((await verifyCard(text, keys)).length).toBeGreaterThan(0);
    const unnoticed: string[] = [];
    let tried = 0;
    for (const { where, text: changed } of sampled(tampered(text), 60)) {
      tried += 1;
      const verdict = await verifyCard(changed, keys).catch((error: unknown) => error);
      if (!(verdict instanceof errors.JWSSignatureVerificationFailed)) unnoticed.push(where);
    }
    expect(unnoticed).toEqual([]);
    expect(tried).toBeGreaterThan(20);
  });

  it('verifies no longer under the signature of another of our cards, or of a stranger', async () => {
    const { json } = await site.get(path, headers);
    const keys = await publishedKeys();
    const foreign = cardPaths.find((other) => other !== path) ?? '';
    const { signatures } = (await site.get(foreign, headers)).json;
    await expect(verifyCard(JSON.stringify({ ...json, signatures }), keys)).rejects.toThrow(
      'signature verification failed',
    );
    await expect(verifyCard(await signedByStranger(json, keys), keys)).rejects.toThrow(
      'signature verification failed',
    );
  });
});

/** The same card under a new key that takes the name of a published one. */
async function signedByStranger(card: Record<string, unknown>, keys: JSONWebKeySet) {
  const { signatures: _ours, ...content } = card;
  const { privateKey } = await generateKeyPair('ES256');
  const kid = keys.keys[0]?.kid ?? '';
  const jws = await new FlattenedSign(Buffer.from(canonical(content)))
    .setProtectedHeader({ alg: 'ES256', typ: 'JOSE', kid })
    .sign(privateKey);
  const signatures = [{ protected: jws.protected, signature: jws.signature }];
  return JSON.stringify({ ...content, signatures });
}

/** The first, and then every so many, so that a large card is not taken apart for minutes. */
function* sampled<T>(all: Iterable<T>, most: number): Generator<T> {
  const list = [...all];
  const step = Math.max(1, Math.floor(list.length / most));
  for (let n = 0; n < list.length; n += step) yield list[n] as T;
}

it.each(cardPaths)('%s of 1.0 satisfies the verifier of the A2A SDK', async (path) => {
  covers('A2A-8.4.3-01');
  const keys = await publishedKeys();
  const verify = verifyAgentCardSignature((kid, jku) => {
    expect([undefined, `${site.gateway.url}/.well-known/jwks.json`]).toContain(jku);
    const key = keys.keys.find((one) => one.kid === kid);
    if (key === undefined) throw new Error(`no key ${kid}`);
    return Promise.resolve(key);
  });
  const { json } = await site.get(path, { 'A2A-Version': '1.0' });
  await expect(verify(AgentCard.fromJSON(json))).resolves.toBeUndefined();
});

it('the published keys are public, for signing with ES256, and each has a name of its own', async () => {
  const { keys } = await publishedKeys();
  expect(keys.length).toBeGreaterThan(0);
  for (const key of keys) {
    expect(key).toMatchObject({ kty: 'EC', crv: 'P-256', use: 'sig', alg: 'ES256' });
    for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'])
      expect(key).not.toHaveProperty(secret);
  }
  expect(new Set(keys.map(({ kid }) => kid)).size).toBe(keys.length);
});

it('keys outlive a restart', async () => {
  const own = await startSite();
  try {
    const card = await own.get('/.well-known/agent-card.json');
    await own.gateway.restart();
    const { json } = await own.get('/.well-known/jwks.json');
    const good = await verifyCard(card.text, json as unknown as JSONWebKeySet);
    expect(good.length).toBeGreaterThan(0);
  } finally {
    await own.close();
  }
});

describe('after `isthmus keys rotate` beside the running gateway', () => {
  it('new cards have a new key, and cards that somebody kept still verify', async () => {
    covers('A2A-8.4.3-02');
    const server = await startModernServer();
    const gateway = await startGatewayProcess({ peers: [{ id: 'tools', mcp: server.url }] });
    try {
      const paths = ['/.well-known/agent-card.json', '/a2a/tools/.well-known/agent-card.json'];
      const get = async (path: string) => (await fetchDocument(`${gateway.url}${path}`)).text;
      const keys = async () => JSON.parse(await get('/.well-known/jwks.json')) as JSONWebKeySet;
      await until('the skills are there', 10_000, async () => {
        const { skills } = JSON.parse(await get(paths[0] ?? '')) as Record<string, unknown>;
        return objectsIn(skills).some(({ id }) => id === 'tools/echo') ? true : undefined;
      });
      const kept = await Promise.all(paths.map(get));
      const before = await kidsOf(kept, await keys());

      const printed = await command(['keys', 'rotate', '--config', gateway.configFile]);
      expect(printed).not.toContain('PRIVATE');

      for (const path of paths) {
        const now = await until(`${path} has a new signature`, 10_000, async () => {
          const text = await get(path);
          const [kid] = await kidsOf([text], await keys());
          return kid !== undefined && !before.includes(kid) ? text : undefined;
        });
        await verifyCard(now, await keys());
      }
      for (const text of kept) await verifyCard(text, await keys());
      const listed = await command(['keys', 'list', '--config', gateway.configFile]);
      for (const { kid } of (await keys()).keys) expect(listed).toContain(kid);
      expect(listed).not.toMatch(/"d"\s*:/);
    } finally {
      await gateway.close();
      await server.close();
    }
  }, 60_000);
});

async function kidsOf(cards: readonly string[], keys: JSONWebKeySet): Promise<string[]> {
  const found = await Promise.all(cards.map((card) => verifyCard(card, keys)));
  return found.flat().map(({ header }) => header.kid ?? '');
}

async function command(args: readonly string[]): Promise<string> {
  const child = startChild('src/cli.ts', args);
  const code = await child.ended;
  expect(child.output()).not.toBe('');
  expect([code, child.output()]).toEqual([0, child.output()]);
  return child.output();
}

it('a key of ours cannot be mistaken for one that anybody can make', async () => {
  const { publicKey } = await generateKeyPair('ES256', { extractable: true });
  const { kid } = (await publishedKeys()).keys[0] ?? {};
  const strange: JSONWebKeySet = { keys: [{ ...(await exportJWK(publicKey)), kid, alg: 'ES256' }] };
  const { text } = await site.get('/.well-known/agent-card.json');
  await expect(verifyCard(text, strange)).rejects.toThrow('signature verification failed');
});
