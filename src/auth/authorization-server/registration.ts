/**
 * Clients that register themselves, where the operator has opened this door.
 *
 * Spec: RFC 7591 §3
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../model/ids.ts';
import { createRateLimit } from '../rate-limit.ts';
import { callerOf, type ClientPayload } from './adapter.ts';
import { readClientMetadata } from './client-metadata.ts';
import type { Clients } from './clients.ts';
import { sendJson } from './json-reply.ts';

/** Answers a registration. */
export type Registration = (req: IncomingMessage, res: ServerResponse) => Promise<void>;

const maxBodyBytes = 16 * 1024;
/** Registrations of everybody together: each one is a row. */
const ofAll = { perSecond: 1, burst: 200 };
/** Of one address, unless many may share it. */
const ofOne = { perSecond: 1 / 6, burst: 20 };

/** Builds the endpoint. */
export function createRegistration({
  clients,
  clock,
}: {
  readonly clients: Pick<Clients, 'register'>;
  readonly clock: Clock;
}): Registration {
  const all = createRateLimit({ ...ofAll, clock });
  const one = createRateLimit({ ...ofOne, clock });
  const waitOf = (req: IncomingMessage): number | undefined => {
    const caller = callerOf(req);
    return (caller === undefined ? undefined : one.take(caller)) ?? all.take('all');
  };
  return async (req, res) => {
    if (req.method !== 'POST') {
      return sendJson(res, 405, { error: 'invalid_request' }, { allow: 'POST' });
    }
    const read = readClientMetadata(await jsonBodyOf(req), { origin: 'registration' });
    if (read.flaw !== undefined) {
      const { error, description } = read.flaw;
      return sendJson(res, 400, { error, error_description: description });
    }
    const wait = waitOf(req);
    if (wait !== undefined) {
      const error = 'temporarily_unavailable';
      return sendJson(res, 429, { error }, { 'retry-after': String(Math.ceil(wait / 1000)) });
    }
    const client = { ...read.metadata, client_id: randomUUID() } as ClientPayload;
    await clients.register(client);
    sendJson(res, 201, { ...client, client_id_issued_at: Math.floor(clock() / 1000) });
  };
}

/** Undefined when it is too large or no JSON. */
async function jsonBodyOf(req: IncomingMessage): Promise<unknown> {
  if (!/^application\/json\b/i.test(req.headers['content-type'] ?? '')) return undefined;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes) return undefined;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}
