import { generateKeyPairSync } from 'node:crypto';
import { exportJWK, type JWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { signCard } from './card-signature.ts';
import { judgeCard, organizationOf, type TrustedOrganization } from './card-trust.ts';

const card = { name: 'Travel', description: 'Books trips.', version: '1.0.0' };
const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const theirs = pair();
const kid = 'partner-1';
const jwk: JWK = { ...(await exportJWK(theirs.publicKey)), kid };
const signedCard = signCard(card, { kid, privateKey: theirs.privateKey });
const text = JSON.stringify(signedCard);
const attacker = JSON.stringify(signCard(card, { kid: 'evil', privateKey: pair().privateKey }));
const changed = text.replace('Books trips.', 'Sends money.');
const unsigned = JSON.stringify(card);

const partner = (
  cardSignatures: TrustedOrganization['cardSignatures'],
  keys: JWK[] | undefined = [jwk],
): TrustedOrganization => ({
  id: 'partner',
  domains: ['partner.example'],
  ...(keys.length > 0 && { cardKeys: { jwks: { keys } } }),
  cardSignatures,
});

describe('the policy on signed cards', () => {
  it.each(['require', 'prefer'] as const)(
    '%s: a card signed by a pinned key is trusted',
    async (p) => {
      expect(await judgeCard(text, partner(p))).toEqual({
        kind: 'trusted',
        organization: 'partner',
        kid,
        form: 'as-served',
        card,
      });
    },
  );

  it('require: an unsigned card is refused, in words to act on', async () => {
    expect(await judgeCard(unsigned, partner('require'))).toEqual({
      kind: 'refused',
      rule: 'unsigned',
      reason:
        'The card is refused (unsigned): it is not signed, and the organization "partner" must sign its cards. Ask partner to sign it, or set its cardSignatures to prefer.',
    });
    const stripped = JSON.stringify({ ...signedCard, signatures: [] });
    expect(await judgeCard(stripped, partner('require'))).toMatchObject({ rule: 'unsigned' });
  });

  it('prefer: an unsigned card passes, without trust', async () => {
    expect(await judgeCard(unsigned, partner('prefer'))).toEqual({
      kind: 'unsigned',
      reason: 'The card is not signed.',
      card,
    });
  });

  it.each(['require', 'prefer'] as const)('%s: a changed card is refused', async (policy) => {
    expect(await judgeCard(changed, partner(policy))).toEqual({
      kind: 'refused',
      rule: 'bad-signature',
      reason:
        'The card is refused (bad-signature): its signature by the key "partner-1" does not fit its content. It was changed after it was signed, or signed by somebody else. Ask partner before you trust it.',
    });
  });

  it.each(['require', 'prefer'] as const)('%s: a wrongly keyed card is refused', async (policy) => {
    expect(await judgeCard(attacker, partner(policy))).toEqual({
      kind: 'refused',
      rule: 'unpinned-key',
      reason:
        'The card is refused (unpinned-key): its signature names the key "evil", which is not pinned. If partner has a new key, get it from partner by a way you trust and add it to cardKeys. The card\'s own word (jku, jwk) does not count.',
    });
  });

  it('every refusal ends with what can be done', async () => {
    const head = (header: object) => Buffer.from(JSON.stringify(header)).toString('base64url');
    const cases: [string, unknown][] = [
      ['malformed-signature', [{}]],
      ['missing-kid', [{ protected: head({ alg: 'ES256' }), signature: '' }]],
      ['algorithm-not-allowed', [{ protected: head({ alg: 'none', kid }), signature: '' }]],
      ['critical-header', [{ protected: head({ alg: 'ES256', kid, crit: [] }), signature: '' }]],
      ['key-mismatch', [{ protected: head({ alg: 'RS256', kid }), signature: '' }]],
      ['too-many-signatures', Array(17).fill({})],
    ];
    for (const [rule, signatures] of cases) {
      const verdict = await judgeCard(JSON.stringify({ ...card, signatures }), partner('prefer'));
      expect(verdict).toMatchObject({ kind: 'refused', rule });
      expect(verdict).toHaveProperty(
        'reason',
        expect.stringMatching(
          new RegExp(
            `^The card is refused \\(${rule}\\): (it|the).+\\. (Its owner has to|Compare) .+\\.$`,
          ),
        ),
      );
    }
  });

  it('ignore: nothing is checked, not even a bad signature', async () => {
    for (const any of [text, changed, attacker, unsigned]) {
      expect(await judgeCard(any, partner('ignore'))).toEqual({
        kind: 'unchecked',
        reason:
          'The organization "partner" has cardSignatures: ignore, so no signature was looked at.',
        card: JSON.parse(any),
      });
    }
  });

  it('without an organization nothing is checked either', async () => {
    expect(await judgeCard(attacker, undefined)).toMatchObject({
      kind: 'unchecked',
      reason: 'The peer belongs to no configured organization, so no signature was looked at.',
    });
  });

  it('require without pinned keys refuses every card', async () => {
    for (const any of [text, unsigned]) {
      expect(await judgeCard(any, partner('require', []))).toEqual({
        kind: 'refused',
        rule: 'no-pinned-keys',
        reason:
          'The card is refused (no-pinned-keys): the organization "partner" must sign its cards, but none of its keys is pinned. Add its public keys as cardKeys, or set its cardSignatures to prefer.',
      });
    }
  });

  it('prefer without pinned keys lets a signed card pass, without trust', async () => {
    expect(await judgeCard(changed, partner('prefer', []))).toEqual({
      kind: 'unverified',
      reason:
        'The card is signed, but no key of the organization "partner" is pinned: add its public keys as cardKeys to have it verified.',
      card: JSON.parse(changed),
    });
    expect(await judgeCard(unsigned, partner('prefer', []))).toMatchObject({ kind: 'unsigned' });
  });

  it('no policy lets a card pass that cannot be read in one way only', async () => {
    const twice = text.replace('{', '{"name":"Bank",');
    for (const organization of [
      undefined,
      partner('ignore'),
      partner('prefer'),
      partner('prefer', []),
      partner('require'),
    ]) {
      expect(await judgeCard(twice, organization)).toEqual({
        kind: 'refused',
        rule: 'unreadable-card',
        reason:
          'The card is refused (unreadable-card): a member stands twice in one object. Its owner has to publish valid JSON with unique member names.',
      });
    }
  });
});

describe("a peer's organization", () => {
  const organizations = [
    { id: 'partner', domains: ['partner.example', 'Partner-Two.example.'] },
    { id: 'branch', domains: ['branch.partner.example'] },
    { id: 'umlaut', domains: ['bücher.example'] },
    { id: 'address', domains: ['192.0.2.7', '[2001:db8::7]'] },
    {
      id: 'odd',
      domains: ['', '.', '*.wild.example', 'port.example:8443', 'user@at.example', 'a b'],
    },
  ];
  const found = (url: string) => organizationOf({ url }, organizations)?.id;

  it.each([
    ['https://partner.example/card.json', 'partner'],
    ['https://travel.partner.example/.well-known/agent-card.json', 'partner'],
    ['https://a.b.c.PARTNER.Example:8443/', 'partner'],
    ['https://partner.example./', 'partner'],
    ['https://x.partner-two.EXAMPLE/', 'partner'],
    ['https://x.branch.partner.example/', 'branch'],
    ['https://BÜCHER.example/', 'umlaut'],
    ['https://shop.xn--bcher-kva.example/', 'umlaut'],
    ['http://192.0.2.7:8080/', 'address'],
    ['http://0xc0000207/', 'address'],
    ['http://[2001:db8:0::7]/', 'address'],
  ])('%s belongs to %s', (url, id) => {
    expect(found(url)).toBe(id);
  });

  it.each([
    'https://evilpartner.example/',
    'https://partner.example.evil.example/',
    'https://partner.example@evil.example/',
    'https://evil.example/partner.example',
    'https://evil.example/?h=.partner.example',
    'https://example/',
    'https://partner.example../',
    'https://x.wild.example/',
    'https://port.example:8443/',
    'https://at.example/',
    'data:text/plain,partner.example',
    'not a url',
  ])('%s belongs to nobody', (url) => {
    expect(found(url)).toBeUndefined();
  });

  it('is the one that the peer names, whatever its host', () => {
    const peer = { organization: 'umlaut', url: 'https://partner.example/' };
    expect(organizationOf(peer, organizations)?.id).toBe('umlaut');
  });

  it('is never silently none because of a slip', () => {
    const peer = { organization: 'parnter', url: 'https://partner.example/' };
    expect(() => organizationOf(peer, organizations)).toThrow(
      'There is no organization "parnter". Add it to organizations, or correct the peer.',
    );
  });
});
