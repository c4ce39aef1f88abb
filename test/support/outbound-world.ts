/** Connectors with credentials, wired as the gateway wires them, until the end of a test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import {
  createPeerCredentials,
  type PeerCredentialsParts,
} from '../../src/auth/credentials/peer-credentials.ts';
import { agentResource, serverResource } from '../../src/auth/credentials/resource.ts';
import type { CredentialsSettings } from '../../src/auth/credentials/settings.ts';
import { openSigningKeys, type SigningKeys } from '../../src/auth/signing-keys.ts';
import type { Principal } from '../../src/model/principal.ts';
import { createA2aPeer, type A2aPeer } from '../../src/peers/a2a/a2a-peer.ts';
import { createEgress } from '../../src/peers/guarded-fetch.ts';
import { createMcpPeer, type McpPeer } from '../../src/peers/mcp/peer.ts';
import { renewingEgress } from '../../src/peers/renewing-egress.ts';
import type { PeerCredentials } from '../../src/ports/credentials.ts';
import { createMintId } from '../../src/model/ids.ts';

const open: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Closes something when the test has ended. */
export function closing<T extends { close(): Promise<void> }>(one: T): T {
  open.push(() => one.close());
  return one;
}

/** The gateway's public origin in these tests. */
export const publicUrl = 'https://gw.example';

/** The gateway's client id where it has no other. */
export const ownClientId = `${publicUrl}/oauth-client.json`;

/** Keys of a gateway. */
export function gatewayKeys(): SigningKeys {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-keys-'));
  open.push(() => rmSync(dir, { recursive: true, force: true }));
  return openSigningKeys(dir);
}

/** A person of an organization. */
export function person(subject: string, organization = 'acme', issuer = 'https://idp.example') {
  const principal: Principal = { organization, issuer, subject, client: 'client-1', scopes: [] };
  return principal;
}

/** The parts of credentials, with everything that a test does not care for. */
export function partsFor(
  resource: string,
  over: Partial<PeerCredentialsParts> = {},
): PeerCredentialsParts {
  const egress = closing(createEgress({ allow: [], allowLoopback: true }));
  return {
    peerId: 'files',
    resource,
    fetch: egress.fetch,
    keys: over.keys ?? gatewayKeys(),
    publicUrl,
    clock: Date.now,
    allowLoopback: true,
    ...over,
  };
}

/** A peer's credentials. */
export function credentialsFor(
  settings: CredentialsSettings,
  parts: PeerCredentialsParts,
): PeerCredentials {
  return createPeerCredentials(settings, parts);
}

const mintId = createMintId();

/** The connector to an MCP server with these credentials. */
export function serverWith(
  url: string,
  settings: CredentialsSettings,
  over: Partial<PeerCredentialsParts> = {},
): McpPeer {
  const credentials = credentialsFor(settings, partsFor(serverResource(url), over));
  const egress = closing(createEgress({ allow: [], allowLoopback: true }));
  return closing(
    createMcpPeer({
      id: 'files',
      url,
      egress: renewingEgress(egress, credentials),
      credentials: (behalf) => credentials.headers(behalf),
      timeouts: { requestMs: 5000, connectMs: 5000, idleMs: 5000 },
      idempotentTools: [],
      clock: Date.now,
      mintId,
    }),
  );
}

/** The connector to an agent with these credentials. */
export function agentWith(
  card: string,
  settings: CredentialsSettings,
  over: Partial<PeerCredentialsParts> = {},
): A2aPeer {
  const credentials = credentialsFor(settings, partsFor(agentResource(card), over));
  const egress = closing(createEgress({ allow: [], allowLoopback: true }));
  return closing(
    createA2aPeer({
      id: 'files',
      card: new URL(card),
      egress: renewingEgress(egress, credentials),
      credentials: (behalf) => credentials.headers(behalf),
      timeouts: { requestMs: 5000, connectMs: 5000, idleMs: 5000, recoverMs: 1000 },
      dedupesMessageId: false,
      clock: Date.now,
      mintId,
    }),
  );
}
