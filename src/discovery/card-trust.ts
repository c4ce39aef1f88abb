/**
 * What an organisation's policy makes of a card: trusted, passed without trust, or refused with the
 * rule and a way out. Trust is pinned in the configuration, never learnt from a card.
 *
 * Spec: A2A 1.0 §8.4.3 (clients SHOULD verify at least one signature, MAY keep a trusted key store)
 */
import { GatewayError } from '../model/errors.ts';
import type { JsonObject } from '../model/json.ts';
import type { CardForm } from './card-forms.ts';
import { readObject, type SignatureRule } from './card-jws.ts';
import { verifyCard } from './card-signature.ts';
import type { PinnedKeys } from './pinned-keys.ts';

/** An organisation that we federate with, as configured. */
export interface TrustedOrganization {
  readonly id: string;
  /** Hosts of its cards; each also stands for all names below it. */
  readonly domains: readonly string[];
  readonly cardKeys?: { readonly jwks: PinnedKeys };
  readonly cardSignatures: 'require' | 'prefer' | 'ignore';
}

/** The rule by which a card is refused. */
export type CardRule = SignatureRule | 'unsigned' | 'no-pinned-keys';

/**
 * What became of a card. `card` is what may be used from here on: of a trusted card that which its
 * signature covers, without `signatures`; else the document.
 */
export type CardVerdict =
  | {
      readonly kind: 'trusted';
      readonly organization: string;
      readonly kid: string;
      readonly form: CardForm;
      readonly card: JsonObject;
    }
  /** Passed without trust: it carries no signature, none that we hold a key for, or none was looked at. */
  | {
      readonly kind: 'unsigned' | 'unverified' | 'unchecked';
      readonly reason: string;
      readonly card: JsonObject;
    }
  | { readonly kind: 'refused'; readonly rule: CardRule; readonly reason: string };

/** Judges a card as it was fetched. Without an organisation nobody's keys can be expected. */
export async function judgeCard(
  text: string,
  organization: TrustedOrganization | undefined,
): Promise<CardVerdict> {
  if (organization === undefined || organization.cardSignatures === 'ignore') {
    return uncheckedCard(text, organization);
  }
  const { id, cardKeys } = organization;
  if (cardKeys === undefined || cardKeys.jwks.keys.length === 0) {
    return cardWithoutKeys(text, organization);
  }
  const outcome = await verifyCard(text, cardKeys.jwks);
  switch (outcome.kind) {
    case 'verified': {
      const { kid, form, card } = outcome;
      return { kind: 'trusted', organization: id, kid, form, card };
    }
    case 'unsigned':
      return unsignedCard(outcome.card, organization);
    case 'refused':
      return refused(outcome.rule, `${outcome.reason}. ${remedies[outcome.rule](id)}`);
    default:
      return outcome satisfies never;
  }
}

function unsignedCard(card: JsonObject, organization: TrustedOrganization): CardVerdict {
  if (organization.cardSignatures !== 'require') {
    return { kind: 'unsigned', reason: 'The card is not signed.', card };
  }
  const { id } = organization;
  return refused(
    'unsigned',
    `it is not signed, and the organization "${id}" must sign its cards. Ask ${id} to sign it, or set its cardSignatures to prefer.`,
  );
}

/** A signature that nobody can check is not trust, and none is missed either. */
function cardWithoutKeys(text: string, organization: TrustedOrganization): CardVerdict {
  const { id, cardSignatures } = organization;
  if (cardSignatures === 'require') {
    return refused(
      'no-pinned-keys',
      `the organization "${id}" must sign its cards, but none of its keys is pinned. Add its public keys as cardKeys, or set its cardSignatures to prefer.`,
    );
  }
  const card = readObject(text);
  if (typeof card === 'string') return unreadable(card);
  const { signatures } = card;
  if (!Array.isArray(signatures) || signatures.length === 0) {
    return unsignedCard(card, organization);
  }
  const reason = `The card is signed, but no key of the organization "${id}" is pinned: add its public keys as cardKeys to have it verified.`;
  return { kind: 'unverified', reason, card };
}

function uncheckedCard(text: string, organization: TrustedOrganization | undefined): CardVerdict {
  const card = readObject(text);
  if (typeof card === 'string') return unreadable(card);
  const reason =
    organization === undefined
      ? 'The peer belongs to no configured organization, so no signature was looked at.'
      : `The organization "${organization.id}" has cardSignatures: ignore, so no signature was looked at.`;
  return { kind: 'unchecked', reason, card };
}

function unreadable(why: string): CardVerdict {
  return refused('unreadable-card', `${why}. ${remedies['unreadable-card']()}`);
}

function refused(rule: CardRule, reason: string): CardVerdict {
  return { kind: 'refused', rule, reason: `The card is refused (${rule}): ${reason}` };
}

/** What a person can do about each refusal. */
const remedies = {
  'too-large': () => 'Its owner has to publish a smaller one.',
  'unreadable-card': () => 'Its owner has to publish valid JSON with unique member names.',
  'too-many-signatures': () => 'Its owner has to publish fewer.',
  'malformed-signature': () => 'Its owner has to sign it as A2A 1.0 §8.4 says.',
  'missing-kid': () => 'Its owner has to name the signing key, as A2A 1.0 §8.4.2 says.',
  'algorithm-not-allowed': () => 'Its owner has to sign with another algorithm.',
  'critical-header': () => 'Its owner has to sign without extensions.',
  'unpinned-key': (id) =>
    `If ${id} has a new key, get it from ${id} by a way you trust and add it to cardKeys. The card's own word (jku, jwk) does not count.`,
  'key-mismatch': (id) => `Compare the key in cardKeys with the one that ${id} publishes.`,
  'bad-signature': (id) =>
    `It was changed after it was signed, or signed by somebody else. Ask ${id} before you trust it.`,
} as const satisfies Record<SignatureRule, (id: string) => string>;

/**
 * The organisation of a peer: the one that it names, else the one with the closest domain at or
 * above the host of its card.
 */
export function organizationOf<T extends Pick<TrustedOrganization, 'id' | 'domains'>>(
  peer: { readonly organization?: string; readonly url: string },
  organizations: readonly T[],
): T | undefined {
  const { organization: named, url } = peer;
  if (named !== undefined) {
    const found = organizations.find(({ id }) => id === named);
    if (found !== undefined) return found;
    // A slip of the pen must not turn into a peer without a policy.
    throw new GatewayError(
      'invalid-params',
      `There is no organization "${named}". Add it to organizations, or correct the peer.`,
      { facts: { field: 'organization' } },
    );
  }
  const host = hostOf(url);
  if (host === undefined) return undefined;
  let best: { organization: T; length: number } | undefined;
  for (const organization of organizations) {
    for (const domain of organization.domains) {
      const name = hostOf(`https://${domain}`, domain);
      if (name === undefined || !isAtOrBelow(host, name)) continue;
      if (best === undefined || name.length > best.length) {
        best = { organization, length: name.length };
      }
    }
  }
  return best?.organization;
}

/** The host as URLs spell it: lower case, punycode, without the root's dot. Spec: RFC 5890, URL Standard */
function hostOf(url: string, bare?: string): string | undefined {
  // A domain is a name alone: whatever else a URL may hold makes it match nothing.
  if (bare !== undefined && !/^([^\s/\\?#@:*%]+|\[[\da-f:.]+\])$/i.test(bare)) return undefined;
  const host = URL.parse(url)?.hostname.replace(/\.$/, '');
  return host === '' ? undefined : host;
}

function isAtOrBelow(host: string, domain: string): boolean {
  if (host === domain) return true;
  // Nothing lies below an address.
  return !/^[\d.]+$|^\[/.test(domain) && host.endsWith(`.${domain}`);
}
