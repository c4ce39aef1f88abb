/**
 * A vault: it signs with a key that it shows to nobody. There is no tool, resource or error that
 * the key could come out of.
 *
 * Spec: RFC 8032 (Ed25519)
 */
import { createHash, createPublicKey, sign, type KeyObject } from 'node:crypto';
import { McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { keyOf } from '../hosting/key-file.ts';
import { serveMcp, type HostOptions } from '../hosting/mcp-host.ts';
import { result } from '../hosting/tool-result.ts';

/** Starts it; without a file for the key, the key lasts as long as the program. */
export async function startSigningVault({
  keyFile,
  ...options
}: HostOptions & { keyFile?: string }) {
  const key = keyOf('ed25519', keyFile);
  return serveMcp(() => vaultServer(key), options);
}

function vaultServer(key: KeyObject): McpServer {
  const shown = publicFacts(key);
  const server = new McpServer({ name: 'vault', title: 'Signing vault', version: '1.0.0' });
  server.registerTool(
    'sign',
    {
      title: 'Sign a text',
      description: 'Signs a text (UTF-8) with the Ed25519 key of the vault',
      inputSchema: z.object({ text: z.string().min(1).max(100_000).describe('What to sign') }),
      annotations: { readOnlyHint: true },
    },
    ({ text }) => {
      const signature = sign(null, Buffer.from(text), key).toString('base64url');
      return result({ signature, algorithm: 'Ed25519', keyId: shown.keyId });
    },
  );
  server.registerTool(
    'public_key',
    {
      title: 'Show the public key',
      description: 'The public key that signatures of the vault are checked with',
      inputSchema: z.object({}),
      annotations: { readOnlyHint: true },
    },
    () => result(shown),
  );
  return server;
}

function publicFacts(key: KeyObject) {
  const publicKey = createPublicKey(key);
  const der = publicKey.export({ type: 'spki', format: 'der' });
  const keyId = createHash('sha256').update(der).digest('base64url').slice(0, 16);
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  return { algorithm: 'Ed25519', keyId, pem };
}
