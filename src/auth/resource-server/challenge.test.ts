import { expect, it } from 'vitest';
import { challengeHeader } from './challenge.ts';

const resourceMetadata = 'https://gw.example/.well-known/oauth-protected-resource/mcp';
const algs = 'algs="ES256 ES384 ES512 EdDSA Ed25519 PS256 PS384 PS512 RS256 RS384 RS512"';

it('a bearer challenge is complete, and names DPoP beside it', () => {
  const challenge = challengeHeader({
    scheme: 'Bearer',
    resourceMetadata,
    scopes: ['peer:*:read', 'peer:*:call'],
    error: 'invalid_token',
    description: 'It has expired.',
  });
  expect(challenge).toBe(
    `Bearer error="invalid_token", error_description="It has expired.", resource_metadata="${resourceMetadata}", scope="peer:*:read peer:*:call", DPoP ${algs}`,
  );
});

it('a DPoP challenge stands alone', () => {
  const scheme = 'DPoP';
  expect(challengeHeader({ scheme, resourceMetadata, scopes: [], error: 'invalid_token' })).toBe(
    `DPoP error="invalid_token", resource_metadata="${resourceMetadata}", ${algs}`,
  );
});

it('a description cannot end its quotes, nor the header', () => {
  const challenge = challengeHeader({
    scheme: 'DPoP',
    resourceMetadata,
    scopes: [],
    error: 'invalid_token',
    description: 'a", error="none\\"\r\nSet-Cookie: x=1 é\u2028',
  });
  expect(challenge).toContain(
    `error_description="a', error='none''??Set-Cookie: x=1 ??", resource_metadata=`,
  );
});
