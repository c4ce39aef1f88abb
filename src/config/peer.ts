/** An entry of `peers`: a remote system, how it is reached and what it may be shown as. */
import { z } from 'zod';
import { lendingWords } from '../translate/tool-pattern-shape.ts';
import { credentials, type PeerCredentials } from './credentials.ts';
import { duration, durationOrNone, flag } from './units.ts';
import { httpUrl, origin, word } from './words.ts';

/** Path segments beside the peers' own, and words of lending, which a peer id must not shadow. */
export const reservedPeerIds = ['server-card', 'tasks', 'v1', ...lendingWords] as const;

const ownHeaders =
  /^(authorization|host|content-length|content-type|accept|connection|keep-alive|transfer-encoding|te|trailer|upgrade|proxy-.*|cookie|mcp-.*|a2a-.*|traceparent|tracestate|last-event-id)$/i;

const headers = z.record(
  z
    .string()
    .regex(/^[\w!#$%&'*+.^`|~-]+$/, 'expected a header name')
    .refine((name) => !ownHeaders.test(name), 'this header is set by the gateway itself'),
  z
    .string({ error: 'expected a string' })
    .regex(/^[\t\x20-\x7e]*$/, 'expected printable ASCII text'),
);

/** What becomes of a signed card: ours in its place, the card itself, or no card. */
export const signedCardModes = ['resign', 'verbatim', 'reject'] as const;

/** What happens to a changed definition: taken, held back until approved, or not served at all. */
export const definitionPolicies = ['accept', 'review', 'block'] as const;

const lease = z
  .strictObject({
    /** The OAuth client that redeems leases there, whatever the peer says. */
    clientId: word('an OAuth client id').optional(),
    /** Where the peer declares that it understands offers, or in any case. */
    offer: z
      .enum(['declared', 'always'], { error: 'expected declared or always' })
      .default('declared'),
  })
  .refine(({ clientId, offer }) => offer === 'declared' || clientId !== undefined, {
    path: ['clientId'],
    message: 'expected the OAuth client of a peer that does not declare one itself',
  })
  .transform(({ clientId, offer }): PeerLease => ({
    ...(clientId !== undefined && { clientId }),
    offer,
  }));

const peerBase = z.strictObject({
  id: z
    .string({ error: 'expected an identifier of a-z, 0-9 and "-", at most 63 characters' })
    .regex(/^[a-z0-9-]{1,63}$/, 'expected an identifier of a-z, 0-9 and "-", at most 63 characters')
    .refine((id) => !reservedPeerIds.some((reserved) => reserved === id), {
      message: `reserved; choose another than ${reservedPeerIds.join(', ')}`,
    }),
  a2a: z
    .strictObject({
      card: httpUrl,
      /** Origins beside the card's own that may have the credentials and headers. */
      origins: z.array(origin).default([]),
      /** What becomes of a signed card on our faces. */
      signedCard: z
        .enum(signedCardModes, { error: `expected ${signedCardModes.join(', ')}` })
        .optional(),
    })
    .optional(),
  mcp: z.strictObject({ url: httpUrl }).optional(),
  /** An origin, card, server card, catalog or registry entry that leads to the peer. */
  discover: httpUrl.optional(),
  /** Who runs it, when its host does not say so. */
  organization: word('an organization id').optional(),
  /** What happens when a tool or skill is not what it was at first sight. */
  definitions: z
    .enum(definitionPolicies, { error: `expected ${definitionPolicies.join(', ')}` })
    .default('review'),
  credentials: credentials.prefault({ type: 'none' }),
  /** Sent with every request to the peer. */
  headers: headers.default({}),
  /** Whether the peer is shown in the gateway's own card and catalogs. */
  public: flag().default(true),
  timeouts: z
    .strictObject({
      /** A whole call that is not a task; default `limits.peerTimeout`. */
      call: duration().optional(),
      /** Silence in an event stream before it is opened anew; `0s` waits for ever. */
      idle: durationOrNone().optional(),
    })
    .default({}),
  /** How it is lent to. */
  lease: lease.optional(),
  /** A2A: the agent recognises a `messageId` that it has seen, so that repeating is safe. */
  dedupesMessageId: flag().optional(),
  /** MCP: tools that are safe to repeat. */
  idempotentTools: z.array(word('a tool name')).optional(),
});

/** How a peer is lent to. */
export interface PeerLease {
  /** The OAuth client that redeems leases there; the one that the peer declares when absent. */
  readonly clientId?: string;
  /** Whether offers are made although the peer does not declare that it understands them. */
  readonly offer: 'declared' | 'always';
}

interface PeerBase {
  readonly id: string;
  readonly organization?: string;
  readonly definitions: (typeof definitionPolicies)[number];
  readonly credentials: PeerCredentials;
  readonly headers: Readonly<Record<string, string>>;
  readonly public: boolean;
  readonly timeouts: { readonly call?: number; readonly idle?: number };
  readonly lease?: PeerLease;
}

/** A remote A2A agent. */
export interface A2aPeerConfig extends PeerBase {
  readonly kind: 'a2a';
  readonly card: string;
  /** Origins that may have the credentials and headers. */
  readonly origins: readonly string[];
  readonly signedCard: (typeof signedCardModes)[number];
  readonly dedupesMessageId: boolean;
}

/** A remote MCP server. */
export interface McpPeerConfig extends PeerBase {
  readonly kind: 'mcp';
  readonly url: string;
  readonly idempotentTools: readonly string[];
}

/** A peer of which only a place is known that leads to it. */
export interface DiscoverPeerConfig extends PeerBase {
  readonly kind: 'discover';
  readonly url: string;
  readonly dedupesMessageId: boolean;
  readonly idempotentTools: readonly string[];
}

/** A remote system that the gateway serves on both faces. */
export type ResolvedPeerConfig = A2aPeerConfig | McpPeerConfig;

/** Every origin that is sent a peer's credentials and headers. */
export function originsOf(peer: ResolvedPeerConfig): readonly string[] {
  return peer.kind === 'a2a' ? peer.origins : [new URL(peer.url).origin];
}

/** An entry of `peers`: what it is, or where that can be found out. */
export type PeerConfig = ResolvedPeerConfig | DiscoverPeerConfig;

/** One entry of `peers`. */
export const peer = peerBase.transform((value, context): PeerConfig => {
  const { id, credentials: identity, headers: extra, public: isPublic, timeouts } = value;
  const { organization, definitions, lease: lent } = value;
  const base: PeerBase = {
    id,
    ...(organization !== undefined && { organization }),
    definitions,
    credentials: identity,
    headers: extra,
    public: isPublic,
    timeouts,
    ...(lent !== undefined && { lease: lent }),
  };
  const mistake = (key: string, message: string) =>
    context.addIssue({ code: 'custom', path: [key], message });
  const kinds = [value.a2a, value.mcp, value.discover].filter((kind) => kind !== undefined);
  if (kinds.length !== 1) {
    context.addIssue({ code: 'custom', message: 'expected exactly one of a2a, mcp and discover' });
  } else if (value.discover !== undefined) {
    const { discover: url, dedupesMessageId = false, idempotentTools = [] } = value;
    return { kind: 'discover', url, dedupesMessageId, idempotentTools, ...base };
  } else if (value.a2a !== undefined) {
    if (value.idempotentTools === undefined) {
      const dedupesMessageId = value.dedupesMessageId ?? false;
      const { card, signedCard = 'resign' } = value.a2a;
      const origins = [new URL(card).origin, ...value.a2a.origins];
      return { kind: 'a2a', card, origins, signedCard, dedupesMessageId, ...base };
    }
    mistake('idempotentTools', 'only an mcp peer has tools; an a2a peer takes dedupesMessageId');
  } else if (value.mcp !== undefined) {
    if (value.dedupesMessageId === undefined) {
      const idempotentTools = value.idempotentTools ?? [];
      return { kind: 'mcp', url: value.mcp.url, idempotentTools, ...base };
    }
    mistake('dedupesMessageId', 'only an a2a peer has messages; an mcp peer takes idempotentTools');
  }
  return z.NEVER;
});
