import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { auth } from './auth.ts';
import { connection } from './connection.ts';
import { lending } from './lending.ts';
import { organization } from './organization.ts';
import { peer } from './peer.ts';
import { duration, flag, size, whole } from './units.ts';
import { httpUrl, later, origin, word } from './words.ts';

/*
 * The configuration file, section by section. Every object is strict: an unknown key is a mistake.
 * Messages complete the sentence "<path>: …" and never repeat a value, which may be a secret.
 */

const hostValue = word('a host name, with or without a port')
  .toLowerCase()
  .refine(isHost, 'expected a host name, with or without a port, such as gw.internal:8080');

const gateway = z.strictObject({
  /** Origin of every URL that is published; derived from the listener when absent. */
  publicUrl: origin.optional(),
  /** Further `Host` values to be called by: those of a proxy or a health check. */
  allowedHosts: z.array(hostValue).default([]),
  /** Origins of web pages that may call the faces. */
  allowedOrigins: z.array(origin).default([]),
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
  /**
   * What one caller may do. In `open` mode, where everybody is one caller, each is without a bound
   * unless it is set; 0 takes a bound away.
   */
  perPrincipalRps: whole(0, 1_000_000).optional(),
  perPrincipalBurst: whole(1, 1_000_000).optional(),
  runningTasksPerPrincipal: whole(0, 1_000_000).optional(),
  streamsPerPrincipal: whole(0, 1_000_000).optional(),
  sessionsPerPrincipal: whole(0, 1_000_000).optional(),
  /** Requests a second to one peer, of all callers together; 0: no bound. */
  perPeerRps: whole(0, 1_000_000).prefault(0),
  perPeerBurst: whole(1, 1_000_000).optional(),
  /** Refused credentials a minute from one network address; 0: no bound. */
  refusedPerMinute: whole(0, 1_000_000).prefault(120),
  /** Request bodies that may be on their way at the same time, in bytes. */
  bodies: size().prefault('256MiB'),
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
  return ipaddr.isValid(text) || isHost(text);
}

function isHost(text: string): boolean {
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
  connections: z
    .array(connection, { error: 'expected a list of connections' })
    .superRefine((connections, context) => {
      const seen = new Set<string>();
      for (const [index, { id }] of connections.entries()) {
        if (seen.has(id)) {
          const message = 'used by another connection';
          context.addIssue({ code: 'custom', path: [index, 'id'], message });
        }
        seen.add(id);
      }
    })
    .default([]),
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
  lending,
});

/** The configuration with every default filled in; sizes in bytes, times in milliseconds. */
export type Config = z.output<typeof configSchema>;

/** Whether a listener on this host can be reached from this machine only. */
export function isLoopbackHost(host: string): boolean {
  const bare = host.toLowerCase().replace(/^\[|\]$/g, '');
  if (bare === 'localhost') return true;
  return ipaddr.isValid(bare) && ipaddr.process(bare).range() === 'loopback';
}
