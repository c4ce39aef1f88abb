/**
 * `isthmus well-known`: the discovery documents as static files, byte for byte as they are served.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CardEndpoint, cardPaths } from './a2a/card-endpoint.ts';
import type { Config } from './config/schema.ts';
import { GatewayError } from './model/errors.ts';
import type { PeerRegistry } from './ports/peer.ts';

/** A file that was written, or why it was not. */
export interface WrittenDocument {
  path: string;
  problem?: string;
}

/** Writes each document below `out` at the path of its URL. */
export async function writeWellKnown(
  config: Config,
  peers: PeerRegistry,
  out: string,
): Promise<WrittenDocument[]> {
  const {
    listen,
    organization,
    publicUrl = `http://${listen.host}:${listen.port}`,
  } = config.gateway;
  const log = { event: () => {} };
  const cards = new CardEndpoint({ peers, publicUrl, organization, log });
  const written: WrittenDocument[] = [];
  for (const { id } of config.peers) {
    const paths = [...cardPaths].map((path) => join(out, 'a2a', id, path));
    try {
      const body = await cards.document(id);
      for (const path of paths) {
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, body);
        written.push({ path });
      }
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      written.push(...paths.map((path) => ({ path, problem: error.message })));
    }
  }
  return written;
}
