import { describe, expect, it } from 'vitest';
import { discoverJwksUri, fetchDocument } from './issuer-metadata.ts';

const signal = new AbortController().signal;

/** Answers with documents by their URL, and remembers what was asked for. */
function website(documents: Record<string, unknown>) {
  const asked: string[] = [];
  const visit: typeof fetch = async (input) => {
    const url = input instanceof Request ? input.url : input.toString();
    asked.push(url);
    const document = documents[url];
    return document === undefined
      ? new Response(null, { status: 404 })
      : new Response(typeof document === 'string' ? document : JSON.stringify(document));
  };
  return { asked, way: { fetch: visit, signal } };
}

describe('the address of keys', () => {
  it('is looked for at the three places that the specs name, in their order', async () => {
    const { asked, way } = website({});
    await expect(discoverJwksUri('https://idp.example/a/b', way)).rejects.toThrow(
      'No metadata of https://idp.example/a/b could be used.',
    );
    expect(asked).toEqual([
      'https://idp.example/.well-known/oauth-authorization-server/a/b',
      'https://idp.example/.well-known/openid-configuration/a/b',
      'https://idp.example/a/b/.well-known/openid-configuration',
    ]);
  });

  it('of an issuer that ends with a slash is looked for without it', async () => {
    const issuer = 'https://idp.example/';
    const jwks_uri = 'https://keys.example/jwks';
    const { way } = website({
      'https://idp.example/.well-known/openid-configuration': { issuer, jwks_uri },
    });
    expect(await discoverJwksUri(issuer, way)).toBe('https://keys.example/jwks');
  });

  it.each(['http://idp.example/jwks', 'file:///jwks', 'data:,{}', 'jwks', ''])(
    'is not "%s" where the issuer is encrypted',
    async (jwks_uri) => {
      const issuer = 'https://idp.example';
      const { way } = website({
        'https://idp.example/.well-known/oauth-authorization-server': { issuer, jwks_uri },
      });
      await expect(discoverJwksUri(issuer, way)).rejects.toThrow('no usable "jwks_uri"');
    },
  );

  it('is not taken from metadata of another issuer, though it stands at the right place', async () => {
    const { way } = website({
      'https://idp.example/.well-known/oauth-authorization-server': {
        issuer: 'https://evil.example',
        jwks_uri: 'https://evil.example/jwks',
      },
    });
    await expect(discoverJwksUri('https://idp.example', way)).rejects.toThrow('of another issuer');
  });
});

it('a document that is larger than any honest one is not read', async () => {
  const { way } = website({ 'https://idp.example/jwks': `{"x":"${'x'.repeat(300_000)}"}` });
  await expect(fetchDocument('https://idp.example/jwks', way)).rejects.toThrow('too large');
});
