import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseDocument, type Document } from 'yaml';
import type { z } from 'zod';
import { lendingMistakes } from './lending.ts';
import { pathText, type Mistake } from './mistake.ts';
import { substitute } from './placeholders.ts';
import { peer, type PeerConfig } from './peer.ts';
import { inlineSecretMistakes, secretMistakes } from './secret-check.ts';
import { connectionMistakes } from './token-places.ts';
import { configSchema, isLoopbackHost, type Config } from './schema.ts';

/** A configuration, or every reason why it is none. */
export type LoadResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly mistakes: readonly Mistake[] };

/** What the configuration may depend on besides its text. */
export interface LoadContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads the file of a `${file:…}`, as text. */
  readonly readFile: (path: string) => string;
  /** The command line's `--host` and `--port`. */
  readonly listen?: { readonly host?: string; readonly port?: number };
}

/** The context of a real process: its environment, and files relative to its working directory. */
export function processContext(listen: LoadContext['listen'] = {}): LoadContext {
  return {
    env: process.env,
    readFile: (path) => readFileSync(resolve(path), 'utf8'),
    listen,
  };
}

/** Reads and checks a YAML or JSON file. A file that cannot be read is a mistake like any other. */
export function loadConfig(file: string, context: LoadContext): LoadResult {
  let text: string;
  try {
    text = context.readFile(file);
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    return failed([{ path: '', message: `cannot read ${file} (${reason})` }]);
  }
  return parseConfig(text, context);
}

/** Checks the text of a configuration; JSON is read as the YAML that it is. */
export function parseConfig(text: string, context: LoadContext): LoadResult {
  const document = parseDocument(text, { prettyErrors: false });
  const syntax = document.errors[0];
  if (syntax !== undefined) {
    return failed([{ path: '', message: `${positionOf(text, syntax.pos[0])}: ${syntax.message}` }]);
  }
  const written = plainValueOf(document);
  if (written === undefined) {
    return failed([{ path: '', message: 'an alias (*name) leads to itself or is used too often' }]);
  }
  const { value, mistakes } = substitute(written, context);
  if (mistakes.length > 0) return failed(mistakes);
  const secrets = secretMistakes(value);
  if (secrets.length > 0) return failed(secrets);

  const result = configSchema.safeParse(withListen(value, context.listen), { error: describe });
  if (!result.success) return failed(result.error.issues.flatMap(mistakesOf));
  // Where strangers can reach the gateway, its file must not be what they are after.
  const inline = result.data.auth.mode === 'oauth' ? inlineSecretMistakes(written) : [];
  const semantic = [...inline, ...semanticMistakes(result.data)];
  return semantic.length > 0 ? failed(semantic) : { ok: true, config: result.data };
}

/**
 * Checks one entry of `peers` that was not written by who owns the file: placeholders stay text, so
 * that nobody reads the environment or files through them.
 */
export function parsePeer(
  entry: unknown,
):
  | { readonly ok: true; readonly config: PeerConfig }
  | { readonly ok: false; readonly mistakes: readonly Mistake[] } {
  const result = peer.safeParse(entry, { error: describe });
  if (result.success) return { ok: true, config: result.data };
  return { ok: false, mistakes: result.error.issues.flatMap(mistakesOf) };
}

/** The YAML without its aliases; undefined where they have no end. */
function plainValueOf(document: Document): unknown {
  try {
    const value: unknown = document.toJS() ?? {};
    JSON.stringify(value);
    return value;
  } catch {
    return undefined;
  }
}

function failed(mistakes: readonly Mistake[]): LoadResult {
  return { ok: false, mistakes };
}

/** Mistakes that only show when several settings are seen together. */
function semanticMistakes(config: Config): Mistake[] {
  const mistakes: Mistake[] = [];
  if (config.auth.mode === 'oauth') {
    if (config.gateway.publicUrl === undefined) {
      const message = 'expected the origin that tokens are for; oauth needs it';
      mistakes.push({ path: 'gateway.publicUrl', message });
    } else if (!isSafeOrigin(config.gateway.publicUrl)) {
      const message = 'expected https: tokens must not travel in the clear';
      mistakes.push({ path: 'gateway.publicUrl', message });
    }
    const { issuers, clients } = config.auth;
    const { publicUrl = '' } = config.gateway;
    for (const [index, { issuer }] of issuers.entries()) {
      if (issuer !== `${publicUrl}/sts` && issuer !== `${publicUrl}/as`) continue;
      const message = 'this is the gateway itself, whose tokens are accepted anyway';
      mistakes.push({ path: `auth.issuers[${index}].issuer`, message });
    }
    const hasClients = config.organizations.some(({ clientIds }) => clientIds.length > 0);
    if (issuers.length === 0 && clients.length === 0 && !hasClients) {
      const message = 'expected somebody whose tokens are accepted: issuers or clients';
      mistakes.push({ path: 'auth', message });
    }
  } else if (!isLoopbackHost(config.gateway.listen.host)) {
    mistakes.push({
      path: 'auth.mode',
      message:
        'open is refused on a listener that is not loopback; set gateway.listen.host to 127.0.0.1',
    });
  }
  for (const [index, entry] of config.peers.entries()) {
    for (const { path, message } of connectionMistakes(entry, config.connections)) {
      mistakes.push({ path: `peers[${index}].${path}`, message });
    }
  }
  const known = new Set(config.organizations.map(({ id }) => id));
  const own = config.gateway.organization.id;
  for (const [index, { id }] of config.organizations.entries()) {
    if (id !== own) continue;
    const message = 'this is gateway.organization, which is no other organization';
    mistakes.push({ path: `organizations[${index}].id`, message });
  }
  for (const list of ['issuers', 'clients'] as const) {
    for (const [index, { organization }] of config.auth[list].entries()) {
      if (organization === own || known.has(organization)) continue;
      const message = 'expected the id of gateway.organization or of an entry of organizations';
      mistakes.push({ path: `auth.${list}[${index}].organization`, message });
    }
  }
  for (const [index, { organization }] of config.peers.entries()) {
    if (organization === undefined || known.has(organization)) continue;
    const message = 'expected the id of an entry of organizations';
    mistakes.push({ path: `peers[${index}].organization`, message });
  }
  return [...mistakes, ...lendingMistakes(config.lending, config.peers)];
}

/** Spec: RFC 9700 §2.6 (TLS); plain HTTP is for this machine alone */
function isSafeOrigin(origin: string): boolean {
  const { protocol, hostname } = new URL(origin);
  return protocol === 'https:' || isLoopbackHost(hostname);
}

function withListen(value: unknown, listen: LoadContext['listen']): unknown {
  const over = Object.entries(listen ?? {}).filter(([, set]) => set !== undefined);
  if (over.length === 0 || !isRecord(value)) return value;
  const gateway = value['gateway'] ?? {};
  if (!isRecord(gateway)) return value;
  const written = gateway['listen'] ?? {};
  if (!isRecord(written)) return value;
  const merged = { ...written, ...Object.fromEntries(over) };
  return { ...value, gateway: { ...gateway, listen: merged } };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const kinds: Readonly<Record<string, string>> = {
  object: 'a section with keys',
  record: 'a section with keys',
  array: 'a list',
  string: 'a string',
  number: 'a number',
  boolean: 'true or false',
};

/** Words for what the schema itself has no words for. */
const describe: z.core.$ZodErrorMap = (issue) => {
  if (issue.code === 'invalid_type') return `expected ${kinds[issue.expected] ?? issue.expected}`;
  return undefined;
};

function mistakesOf(issue: z.core.$ZodIssue): Mistake[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: pathText([...issue.path, key]),
      message: 'unknown key',
    }));
  }
  if (issue.code === 'invalid_key') {
    const messages = issue.issues.map(({ message }) => message).join('; ');
    return [{ path: pathText(issue.path), message: messages }];
  }
  return [{ path: pathText(issue.path), message: issue.message }];
}

function positionOf(text: string, offset: number): string {
  const before = text.slice(0, offset).split('\n');
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}
