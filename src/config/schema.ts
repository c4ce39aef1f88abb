import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { duration, durationOrNone, flag, size, whole } from './units.ts';

/*
 * The configuration file, section by section. Every object is strict: an unknown key is a mistake.
 * Messages complete the sentence "<path>: …" and never repeat a value, which may be a secret.
 */

const word = (expected: string) =>
  z.string({ error: `expected ${expected}` }).min(1, `expected ${expected}`);

const httpUrl = z.string({ error: 'expected an http or https URL' }).transform((text, context) => {
  const url = URL.parse(text);
  if (
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    url.username === '' &&
    url.password === ''
  ) {
    return text;
  }
  context.addIssue({
    code: 'custom',
    message: 'expected an http or https URL without user name and password',
  });
  return z.NEVER;
});

const origin = httpUrl.transform((text, context) => {
  const url = new URL(text);
  if (url.pathname === '/' && url.search === '' && url.hash === '') return url.origin;
  context.addIssue({
    code: 'custom',
    message: 'expected an origin such as https://gw.example.org, without a path',
  });
  return z.NEVER;
});

const gateway = z.strictObject({
  /** Origin of every URL that is published; derived from the listener when absent. */
  publicUrl: origin.optional(),
  listen: z
    .strictObject({
      host: word('a host name or address').default('127.0.0.1'),
      port: whole(0, 65_535).default(8080),
    })
    .prefault({}),
  organization: z
    .strictObject({
      id: z
        .string({ error: 'expected an identifier of a-z, 0-9 and "-"' })
        .regex(/^[a-z0-9-]{1,63}$/, 'expected an identifier of a-z, 0-9 and "-"')
        .default('local'),
      name: word('a name').default('Isthmus'),
      url: httpUrl.optional(),
    })
    .prefault({}),
});

/** Where tasks are kept. */
export type StoreConfig = { readonly kind: 'sqlite'; readonly path: string };

const store = z.strictObject({
  url: z
    .string({ error: 'expected sqlite:<path>' })
    .transform((text, context): StoreConfig => {
      const path = /^sqlite:(?!\/\/)(.+)$/.exec(text)?.[1];
      if (path !== undefined) return { kind: 'sqlite', path };
      const message = /^postgres(ql)?:/.test(text)
        ? 'PostgreSQL is not available yet; use sqlite:<path>'
        : 'expected sqlite:./relative/path or sqlite:/absolute/path';
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    })
    .prefault('sqlite:./data/isthmus.db'),
});

const algorithms = z.enum(
  [
    'ES256',
    'ES384',
    'ES512',
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
    'EdDSA',
    'Ed25519',
  ],
  { error: 'expected an asymmetric JWS algorithm such as ES256' },
);

const auth = z.strictObject({
  mode: z.enum(['open', 'oauth'], { error: 'expected open or oauth' }).default('open'),
  issuers: z
    .array(
      z.strictObject({
        issuer: httpUrl,
        organization: word('an organization id'),
        algorithms: z
          .array(algorithms)
          .min(1, 'expected at least one algorithm')
          .default(['ES256']),
      }),
    )
    .default([]),
  clients: z
    .array(
      z.strictObject({ clientId: word('a client id'), organization: word('an organization id') }),
    )
    .default([]),
});

/** Path segments beside the peers' own, which a peer id must not shadow. */
export const reservedPeerIds = ['server-card', 'tasks', 'v1'] as const;

const futureCredentials = ['client_credentials', 'token_exchange', 'id_jag', 'user_oauth'];

/** How the gateway identifies itself to a peer. */
export type PeerCredentials =
  { readonly type: 'none' } | { readonly type: 'bearer'; readonly token: string };

const credentials = z
  .looseObject({ type: z.string({ error: 'expected none or bearer' }) })
  .transform((value, context): PeerCredentials => {
    const shapes = {
      none: z.strictObject({ type: z.literal('none') }),
      bearer: z.strictObject({
        type: z.literal('bearer'),
        token: word('a token').regex(/^[\w.~+/-]+=*$/, 'expected a token without spaces'),
      }),
    } as const;
    if (value.type === 'none' || value.type === 'bearer') {
      const result = shapes[value.type].safeParse(value);
      if (result.success) return result.data;
      for (const issue of result.error.issues) context.issues.push({ ...issue, input: undefined });
      return z.NEVER;
    }
    const message = futureCredentials.includes(value.type)
      ? `${value.type} is not available yet; use none or bearer`
      : 'expected none or bearer';
    context.addIssue({ code: 'custom', path: ['type'], message });
    return z.NEVER;
  });

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

/** Whether a card must be signed with a pinned key, is checked if it is, or is not checked. */
export const signaturePolicies = ['require', 'prefer', 'ignore'] as const;

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
  /** A2A: the agent recognises a `messageId` that it has seen, so that repeating is safe. */
  dedupesMessageId: flag().optional(),
  /** MCP: tools that are safe to repeat. */
  idempotentTools: z.array(word('a tool name')).optional(),
});

interface PeerBase {
  readonly id: string;
  readonly organization?: string;
  readonly definitions: (typeof definitionPolicies)[number];
  readonly credentials: PeerCredentials;
  readonly headers: Readonly<Record<string, string>>;
  readonly public: boolean;
  readonly timeouts: { readonly call?: number; readonly idle?: number };
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

/** An entry of `peers`: what it is, or where that can be found out. */
export type PeerConfig = ResolvedPeerConfig | DiscoverPeerConfig;

/** One entry of `peers`. */
export const peer = peerBase.transform((value, context): PeerConfig => {
  const { id, credentials: identity, headers: extra, public: isPublic, timeouts } = value;
  const { organization, definitions } = value;
  const base: PeerBase = {
    id,
    ...(organization !== undefined && { organization }),
    definitions,
    credentials: identity,
    headers: extra,
    public: isPublic,
    timeouts,
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

const hostName = z
  .string({ error: 'expected a host name' })
  .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/i, 'expected a host name such as partner.example')
  .transform((name) => name.toLowerCase());

const publicKey = z.looseObject({
  kty: z.enum(['EC', 'RSA', 'OKP'], { error: 'expected a public key (EC, RSA or OKP)' }),
  d: z.undefined({ error: 'this is a private key; only its public half belongs here' }).optional(),
});

const later = (what: string) =>
  z.undefined({ error: `${what} is not available yet; remove this section` }).optional();

/** A key set that `${file:…}` brought is its text. */
function fromJson(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** Who we federate with. Trust is pinned here, and never learnt. */
const organization = z.strictObject({
  id: z
    .string({ error: 'expected an identifier of a-z, 0-9 and "-"' })
    .regex(/^[a-z0-9-]{1,63}$/, 'expected an identifier of a-z, 0-9 and "-"'),
  /** Hosts, and those below them, whose peers are this organization's. */
  domains: z.array(hostName).default([]),
  /** The keys that its cards are signed with. */
  cardKeys: z
    .strictObject({
      jwks: z.preprocess(
        fromJson,
        z.strictObject({ keys: z.array(publicKey).min(1, 'expected at least one key') }),
      ),
    })
    .optional(),
  clientIds: later("naming an organization's clients"),
  cardSignatures: z
    .enum(signaturePolicies, { error: `expected ${signaturePolicies.join(', ')}` })
    .default('prefer'),
});

/** An organization that we federate with. */
export type OrganizationConfig = z.output<typeof organization>;

const limits = z.strictObject({
  /** Largest request body, in bytes. */
  body: size().prefault('4MiB'),
  /** How long a request may take to arrive. */
  receive: duration().prefault('60s'),
  /** How long a call is held open before the caller is told how to go on. */
  syncCall: duration().prefault('55s'),
  /** How long a question stays open. */
  interruptTtl: duration().prefault('24h'),
  openInterruptsPerPrincipal: whole(1, 1_000_000).prefault(1000),
  /** Bytes that may wait for a slow reader before its stream is closed. */
  streamQueue: size().prefault('1MiB'),
  /** Largest part that is returned inline; a larger one becomes a link. */
  artifactInline: size().prefault('64KiB'),
  /** How long a finished task is kept. */
  taskTtl: duration().prefault('7d'),
  /** How long a connection to a peer may take. */
  peerConnect: duration().prefault('10s'),
  /** How long a peer may take over a call that is not a task. */
  peerTimeout: duration().prefault('5m'),
  /** Largest reply of a peer, or event of its streams, in bytes. */
  peerReply: size().prefault('16MiB'),
  /** Tools on `/mcp` above which it lists `find_tools` and `call_tool` in their place. */
  aggregateTools: whole(0, 1_000_000).prefault(100),
  /** Legacy MCP sessions: how many at a time, and how long one may be idle. */
  sessions: whole(1, 10_000_000).prefault(10_000),
  sessionIdle: duration().prefault('30m'),
  /** How long running requests may take after SIGTERM. */
  drain: duration().prefault('20s'),
});

const allowEntry = word('an address range or host[:port]').refine(
  isAllowEntry,
  'expected an address range such as 10.0.0.0/8, an address, or host[:port]',
);

const egress = z.strictObject({
  allow: z.array(allowEntry).default([]),
  allowLoopback: flag().default(false),
});

function isAllowEntry(text: string): boolean {
  if (text.includes('/')) return ipaddr.isValidCIDR(text);
  if (ipaddr.isValid(text)) return true;
  return (
    /^(\[[0-9a-f:.]+\]|[^\s:/@?#*]+)(:\d{1,5})?$/i.test(text) && URL.canParse(`http://${text}`)
  );
}

/** The whole file. */
export const configSchema = z.strictObject({
  gateway: gateway.prefault({}),
  store: store.prefault({}),
  keys: z.strictObject({ dir: word('a directory').default('./data/keys') }).prefault({}),
  auth: auth.prefault({}),
  peers: z
    .array(peer, { error: 'expected a list of peers' })
    .superRefine((peers, context) => {
      const seen = new Set<string>();
      for (const [index, { id }] of peers.entries()) {
        if (seen.has(id)) {
          context.addIssue({
            code: 'custom',
            path: [index, 'id'],
            message: 'used by another peer',
          });
        }
        seen.add(id);
      }
    })
    .default([]),
  limits: limits.prefault({}),
  egress: egress.prefault({}),
  telemetry: z
    .strictObject({ metrics: flag().default(true), otlp: later('telemetry export') })
    .prefault({}),
  log: z
    .strictObject({
      level: z
        .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
          error: 'expected trace, debug, info, warn, error, fatal or silent',
        })
        .default('info'),
    })
    .prefault({}),
  connections: later('connecting users to third parties'),
  organizations: z
    .array(organization, { error: 'expected a list of organizations' })
    .superRefine((organizations, context) => {
      const seen = new Set<string>();
      for (const [index, { id, cardKeys, cardSignatures }] of organizations.entries()) {
        if (seen.has(id)) {
          const message = 'used by another organization';
          context.addIssue({ code: 'custom', path: [index, 'id'], message });
        }
        seen.add(id);
        if (cardSignatures === 'require' && cardKeys === undefined) {
          const message = 'expected the keys that cards must be signed with';
          context.addIssue({ code: 'custom', path: [index, 'cardKeys'], message });
        }
      }
    })
    .default([]),
  lending: later('lending tools'),
});

/** The configuration with every default filled in; sizes in bytes, times in milliseconds. */
export type Config = z.output<typeof configSchema>;

/** Whether a listener on this host can be reached from this machine only. */
export function isLoopbackHost(host: string): boolean {
  const bare = host.toLowerCase().replace(/^\[|\]$/g, '');
  if (bare === 'localhost') return true;
  return ipaddr.isValid(bare) && ipaddr.process(bare).range() === 'loopback';
}
