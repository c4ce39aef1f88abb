import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { credentials } from './credentials.ts';
import { pathText } from './mistake.ts';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const jwk = JSON.stringify(privateKey.export({ format: 'jwk' }));
const issuer = 'https://as.example';

function read(value: object): unknown {
  return credentials.parse(value);
}

function mistakes(value: object): string[] {
  const result = credentials.safeParse(value);
  if (result.success) throw new Error('these credentials are valid');
  return result.error.issues.map((issue) => `${pathText(issue.path)}: ${issue.message}`);
}

describe('credentials for a peer', () => {
  it('of an authorization server need its issuer alone', () => {
    expect(read({ type: 'client_credentials', issuer })).toEqual({
      type: 'client_credentials',
      issuer: 'https://as.example',
      scopes: [],
      dpop: false,
    });
  });

  it('take a key as a JWK and as PKCS#8 PEM', () => {
    for (const key of [pem, jwk]) {
      expect(read({ type: 'token_exchange', issuer, key })).toMatchObject({ key });
    }
  });

  it('of an identity assertion name both issuers', () => {
    const idp = 'https://idp.example/tenant';
    const more = { idpClientId: 'gw', idpClientSecret: 's', scopes: ['a', 'b'], dpop: 'true' };
    expect(read({ type: 'id_jag', issuer, idp, ...more })).toEqual({
      type: 'id_jag',
      issuer: 'https://as.example',
      idp: 'https://idp.example/tenant',
      idpClientId: 'gw',
      idpClientSecret: 's',
      scopes: ['a', 'b'],
      dpop: true,
    });
  });

  it.each<[string, object, string[]]>([
    ['no issuer', { type: 'client_credentials' }, ['issuer: expected an http or https URL']],
    [
      'an issuer on plain http',
      { type: 'client_credentials', issuer: 'http://as.example' },
      ['issuer: expected an issuer: an https URL without query and fragment'],
    ],
    [
      'an issuer with a query',
      { type: 'client_credentials', issuer: 'https://as.example/?t=1' },
      ['issuer: expected an issuer: an https URL without query and fragment'],
    ],
    [
      'an issuer that is a script',
      { type: 'client_credentials', issuer: 'javascript:alert(1)' },
      ['issuer: expected an http or https URL without user name and password'],
    ],
    [
      'a secret and a key',
      { type: 'token_exchange', issuer, clientSecret: 's', key: pem },
      ['key: give either a secret or a key, not both'],
    ],
    [
      'a public key',
      {
        type: 'client_credentials',
        issuer,
        key: JSON.stringify(publicKey.export({ format: 'jwk' })),
      },
      ['key: expected a private key as a JWK or PKCS#8 PEM'],
    ],
    [
      'two scopes in one',
      { type: 'client_credentials', issuer, scopes: ['a b'] },
      ['scopes[0]: expected one scope per entry'],
    ],
    [
      'a resource with a fragment',
      { type: 'client_credentials', issuer, resource: 'https://x.example/#a' },
      ['resource: expected an absolute URI without a fragment'],
    ],
    [
      'no connection',
      { type: 'user_oauth' },
      ['connection: expected the id of an entry of connections'],
    ],
    ['no identity provider', { type: 'id_jag', issuer }, ['idp: expected an http or https URL']],
  ])('with %s are refused', (_, value, expected) => {
    expect(mistakes(value)).toEqual(expected);
  });

  it('have no keys beside their own', () => {
    const result = credentials.safeParse({ type: 'id_jag', issuer, idp: issuer, audience: 'x' });
    expect(result.error?.issues[0]).toMatchObject({
      code: 'unrecognized_keys',
      keys: ['audience'],
    });
  });

  it('are never repeated in what is wrong with them', () => {
    const result = credentials.safeParse({ type: 'client_credentials', issuer, key: 'canary-key' });
    expect(z.prettifyError(result.error ?? new z.ZodError([]))).not.toContain('canary');
    expect(JSON.stringify(result.error)).not.toContain('canary');
  });
});
