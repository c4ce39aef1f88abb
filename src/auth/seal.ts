/**
 * AES-256-GCM with keys derived from the gateway's one sealing secret.
 *
 * Spec: MCP 2026-07-28 basic/patterns/mrtr (integrity of requestState)
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { isObject, type JsonObject } from '../model/json.ts';
import type { Seal } from '../ports/seal.ts';

const nonceBytes = 12;
const tagBytes = 16;

/** A seal over a secret of at least 32 bytes. */
export function createSeal(secret: Buffer): Seal {
  if (secret.length < 32) throw new Error('A sealing secret has at least 32 bytes.');
  // Key objects: importing the bytes anew for each use costs four times the sealing itself.
  const derive = (use: string): KeyObject =>
    createSecretKey(
      Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), `isthmus seal ${use}`, 32)),
    );
  const fresh = derive('fresh');
  const stable = derive('stable');
  const stableNonce = derive('stable nonce');
  return {
    seal: (value, aad) => encrypt(fresh, randomBytes(nonceBytes), JSON.stringify(value), aad),
    open: (text, aad) => parseObject(decrypt(fresh, text, aad)),
    sealStable: (text, aad) => {
      // A synthetic nonce: it repeats only together with its plain text and its use.
      const nonce = createHmac('sha256', stableNonce)
        .update(JSON.stringify([aad, text]))
        .digest()
        .subarray(0, nonceBytes);
      return encrypt(stable, nonce, text, aad);
    },
    openStable: (sealed, aad) => decrypt(stable, sealed, aad),
  };
}

function encrypt(key: KeyObject, nonce: Buffer, text: string, aad: string): string {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(Buffer.from(aad));
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64url');
}

function decrypt(key: KeyObject, text: string, aad: string): string | undefined {
  const bytes = Buffer.from(text, 'base64url');
  // Base64 decoding forgives: only the one canonical spelling is ours.
  if (bytes.length < nonceBytes + tagBytes || bytes.toString('base64url') !== text)
    return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes));
  decipher.setAAD(Buffer.from(aad));
  decipher.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes));
  try {
    const body = bytes.subarray(nonceBytes + tagBytes);
    return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}

function parseObject(text: string | undefined): JsonObject | undefined {
  if (text === undefined) return undefined;
  const value: unknown = JSON.parse(text);
  return isObject(value) ? (value as JsonObject) : undefined;
}
