import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import * as openid from 'openid-client';
import { CookieClient } from './cookie-client.ts';
import { startIdentityProvider, type IdentityProvider } from './identity-provider.ts';

const redirectUri = 'http://127.0.0.1:1/callback';
const client = {
  client_id: 'app',
  client_secret: 'a secret of the app that is long enough',
  redirect_uris: [redirectUri],
  grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
};

let provider: IdentityProvider | undefined;
afterEach(() => provider?.close());

test('a person logs in, consents, and the client gets an ID token and a JWT for the resource', async () => {
  provider = await startIdentityProvider({
    people: ['alice'],
    clients: [client],
    scopes: ['calendar'],
  });
  const config = await openid.discovery(
    new URL(provider.issuer),
    'app',
    client.client_secret,
    undefined,
    { execute: [openid.allowInsecureRequests] },
  );
  expect(config.serverMetadata()).toMatchObject({
    authorization_response_iss_parameter_supported: true,
    code_challenge_methods_supported: ['S256'],
  });
  const verifier = openid.randomPKCECodeVerifier();
  const url = openid.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope: 'openid profile email calendar',
    state: 's',
    nonce: 'n',
    resource: 'https://calendar.example/',
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  const browser = new CookieClient();
  const stop = { follow: (next: URL) => next.port !== '1' };
  const unknown = await browser.submit(await browser.get(url), { login: 'mallory' });
  expect(unknown.text).toContain('Nobody has this login name.');
  const back = await browser.logIn(url, 'alice', stop);
  expect(back.location?.searchParams.get('iss')).toBe(provider.issuer);
  const tokens = await openid.authorizationCodeGrant(config, back.location ?? url, {
    pkceCodeVerifier: verifier,
    expectedState: 's',
    expectedNonce: 'n',
  });
  expect(tokens.claims()?.sub).toBe('alice');
  expect(decodeProtectedHeader(tokens.access_token)['typ']).toBe('at+jwt');
  expect(decodeJwt(tokens.access_token)).toMatchObject({
    aud: 'https://calendar.example/',
    sub: 'alice',
    scope: 'calendar',
    client_id: 'app',
  });
  const again = await openid.refreshTokenGrant(config, tokens.refresh_token ?? '');
  expect(again.access_token).not.toBe(tokens.access_token);
  await openid.tokenRevocation(config, again.refresh_token ?? '');
  await expect(openid.refreshTokenGrant(config, again.refresh_token ?? '')).rejects.toMatchObject({
    error: 'invalid_grant',
  });
  expect(provider.tokenRequests.map(({ body, error }) => [body['grant_type'], error])).toEqual([
    ['authorization_code', undefined],
    ['refresh_token', undefined],
    ['refresh_token', 'invalid_grant'],
  ]);
});

test('a strange Host header changes no URL', async () => {
  provider = await startIdentityProvider();
  const { port } = new URL(provider.issuer);
  const document = await new Promise<string>((resolve, reject) => {
    request(
      {
        host: '127.0.0.1',
        port,
        path: '/.well-known/openid-configuration',
        setHost: false,
        headers: { host: 'evil.example' },
      },
      (res) => void text(res).then(resolve, reject),
    )
      .once('error', reject)
      .end();
  });
  expect(document).toContain(`"token_endpoint":"${provider.issuer}/token"`);
  expect(document).not.toContain('evil.example');
});

test('userinfo names the person', async () => {
  provider = await startIdentityProvider({ clients: [client] });
  const config = await openid.discovery(
    new URL(provider.issuer),
    'app',
    client.client_secret,
    undefined,
    { execute: [openid.allowInsecureRequests] },
  );
  const verifier = openid.randomPKCECodeVerifier();
  const url = openid.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope: 'openid profile email',
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  const back = await new CookieClient().logIn(url, 'bob', {
    follow: (next) => next.port !== '1',
  });
  const tokens = await openid.authorizationCodeGrant(config, back.location ?? url, {
    pkceCodeVerifier: verifier,
  });
  expect(await openid.fetchUserInfo(config, tokens.access_token, 'bob')).toEqual({
    sub: 'bob',
    name: 'Bob',
    preferred_username: 'bob',
    email: 'bob@example.com',
    email_verified: true,
  });
});

test('a machine gets a token for a resource, and one for an unknown resource is refused', async () => {
  provider = await startIdentityProvider({
    clients: [client],
    scopes: ['read'],
    resources: ['https://api.example/'],
  });
  const config = await openid.discovery(
    new URL(provider.issuer),
    'app',
    client.client_secret,
    undefined,
    { execute: [openid.allowInsecureRequests] },
  );
  const tokens = await openid.clientCredentialsGrant(config, {
    resource: 'https://api.example/',
    scope: 'read',
  });
  expect(decodeJwt(tokens.access_token)).toMatchObject({
    aud: 'https://api.example/',
    client_id: 'app',
    scope: 'read',
  });
  await expect(
    openid.clientCredentialsGrant(config, { resource: 'https://other.example/' }),
  ).rejects.toMatchObject({ error: 'invalid_target' });
  expect(provider.tokenRequests[1]?.error).toBe('invalid_target');
});
