/** Clients that others wrote get their tokens from the STS with nothing but their usual settings. */
import {
  auth,
  CrossAppAccessProvider,
  createPrivateKeyJwtAuth,
  PrivateKeyJwtProvider,
} from '@modelcontextprotocol/client';
import { calculateJwkThumbprint, decodeJwt } from 'jose';
import * as oauth from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../support/issuer.ts';
import { jwtBearer, startSts, type StsWorld } from './sts-world.ts';

let sts: StsWorld;
beforeAll(async () => {
  sts = await startSts();
});
afterAll(() => sts.close());

describe('openid-client', () => {
  const discover = (): Promise<oauth.Configuration> => {
    const { privateKey: key, kid } = sts.keys.robot;
    const method = oauth.PrivateKeyJwt({ key, kid });
    return oauth.discovery(new URL(sts.issuer), 'robot', undefined, method, {
      algorithm: 'oauth2',
      execute: [oauth.allowInsecureRequests],
    });
  };

  it('finds the endpoints in the metadata, at the one place where RFC 8414 puts it', async () => {
    const metadata = (await discover()).serverMetadata();
    expect(metadata).toMatchObject({
      issuer: sts.issuer,
      token_endpoint: `${sts.issuer}/token`,
      revocation_endpoint: `${sts.issuer}/revoke`,
      introspection_endpoint: `${sts.issuer}/introspect`,
      jwks_uri: `${sts.origin}/.well-known/jwks.json`,
      grant_types_supported: ['client_credentials', jwtBearer],
      authorization_grant_profiles_supported: ['urn:ietf:params:oauth:grant-profile:id-jag'],
      response_types_supported: [],
      token_endpoint_auth_methods_supported: ['private_key_jwt'],
      client_id_metadata_document_supported: true,
    });
    expect(metadata.dpop_signing_alg_values_supported).toContain('ES256');
    expect(metadata.token_endpoint_auth_signing_alg_values_supported).not.toContain('HS256');
    const place = await fetch(`${sts.origin}/.well-known/oauth-authorization-server/sts`);
    expect(place.headers.get('content-type')).toBe('application/json');
    expect(place.headers.get('access-control-allow-origin')).toBe('*');
    for (const other of [
      '/.well-known/openid-configuration/sts',
      '/sts/.well-known/openid-configuration',
    ]) {
      expect((await fetch(`${sts.origin}${other}`)).status).toBe(404);
    }
  });

  it('gets, looks at and revokes a token bound to its key', async () => {
    const config = await discover();
    const pair = await oauth.randomDPoPKeyPair('ES256', { extractable: true });
    const DPoP = oauth.getDPoPHandle(config, pair);
    const resource = `${sts.origin}/mcp/travel`;
    const tokens = await oauth.clientCredentialsGrant(
      config,
      { resource, scope: 'peer:travel:read' },
      { DPoP },
    );
    expect(tokens.token_type).toBe('dpop');
    const jwk = await crypto.subtle.exportKey('jwk', pair.publicKey);
    const jkt = await calculateJwkThumbprint(jwk);
    expect(decodeJwt(tokens.access_token)).toMatchObject({ aud: resource, cnf: { jkt } });
    const seen = await oauth.tokenIntrospection(config, tokens.access_token);
    expect(seen).toMatchObject({ active: true, token_type: 'DPoP', cnf: { jkt } });
    await oauth.tokenRevocation(config, tokens.access_token);
    expect(await oauth.tokenIntrospection(config, tokens.access_token)).toEqual({ active: false });
  });

  it('exchanges an ID-JAG', async () => {
    const idp = await startIssuer();
    sts.issuers.set(idp.issuer, { organization: 'acme', jwksUri: idp.jwksUri });
    const resource = `${sts.origin}/mcp/travel`;
    const grant = { aud: sts.issuer, client_id: 'robot', resource };
    const assertion = await idp.token(grant, { typ: 'oauth-id-jag+jwt' });
    const config = await discover();
    const tokens = await oauth.genericGrantRequest(config, jwtBearer, { assertion, resource });
    expect(decodeJwt(tokens.access_token)).toMatchObject({ sub: 'alice', idp: idp.issuer });
    await idp.close();
  });
});

describe('the MCP client', () => {
  const serverUrl = (): string => `${sts.origin}/mcp/travel`;

  it('gets a token for itself, from the resource metadata on', async () => {
    const provider = new PrivateKeyJwtProvider({
      clientId: 'robot',
      privateKey: sts.keys.robot.privateJwk,
      algorithm: 'ES256',
      expectedIssuer: sts.issuer,
    });
    expect(await auth(provider, { serverUrl: serverUrl() })).toBe('AUTHORIZED');
    const claims = decodeJwt(provider.tokens()?.access_token ?? '');
    expect(claims).toMatchObject({ sub: 'robot', aud: serverUrl(), org: 'acme' });
  });

  it('gets a token for a person, by an ID-JAG', async () => {
    const idp = await startIssuer();
    sts.issuers.set(idp.issuer, { organization: 'acme', jwksUri: idp.jwksUri });
    const provider = new CrossAppAccessProvider({
      clientId: 'robot',
      clientSecret: 'never sent',
      expectedIssuer: sts.issuer,
      assertion: ({ authorizationServerUrl, resourceUrl }) =>
        idp.token(
          { aud: authorizationServerUrl, client_id: 'robot', resource: resourceUrl },
          { typ: 'oauth-id-jag+jwt' },
        ),
    });
    // The provider knows secrets only; the SDK's other half replaces them.
    const signing = Object.assign(provider, {
      addClientAuthentication: createPrivateKeyJwtAuth({
        issuer: 'robot',
        subject: 'robot',
        privateKey: sts.keys.robot.privateJwk,
        alg: 'ES256',
      }),
    });
    expect(await auth(signing, { serverUrl: serverUrl() })).toBe('AUTHORIZED');
    const claims = decodeJwt(provider.tokens()?.access_token ?? '');
    expect(claims).toMatchObject({ sub: 'alice', aud: serverUrl(), idp: idp.issuer });
    await idp.close();
  });
});
