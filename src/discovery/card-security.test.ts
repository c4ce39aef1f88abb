import { AgentCard } from '@a2a-js/sdk';
import { describe, expect, test } from 'vitest';
import { travel } from '../../test/support/listings.ts';
import { cardSecurity, hybridSecurity } from './card-security.ts';

const all = cardSecurity({
  publicUrl: 'https://gw.example/',
  issuers: ['https://idp.example', 'https://other.example/realm/'],
  sts: true,
  authorizationServer: true,
});

describe('what a card says of authentication', () => {
  test('names every way to a token, each enough by itself', () => {
    const { securitySchemes, securityRequirements } = all('travel');
    expect(Object.keys(securitySchemes)).toEqual(['machine', 'person', 'issuer', 'issuer-2']);
    expect(securityRequirements).toEqual(
      ['machine', 'person', 'issuer', 'issuer-2'].map((name) => ({
        schemes: { [name]: { list: ['peer:travel:call'] } },
      })),
    );
    expect(securitySchemes['issuer-2']?.['openIdConnectSecurityScheme']?.['openIdConnectUrl']).toBe(
      'https://other.example/realm/.well-known/openid-configuration',
    );
  });

  test('names only what there is', () => {
    const some = cardSecurity({
      publicUrl: 'https://gw.example',
      issuers: ['https://idp.example'],
      sts: false,
      authorizationServer: false,
    });
    expect(Object.keys(some('travel').securitySchemes)).toEqual(['issuer']);
  });

  test('is read by the SDK of 1.0 as it was meant', () => {
    const card = AgentCard.fromJSON({ ...travel.card, ...all('travel') });
    const machine = card.securitySchemes['machine']?.scheme;
    expect(machine?.$case).toBe('oauth2SecurityScheme');
    expect(AgentCard.toJSON(card)).toMatchObject({ ...all('travel') });
  });

  test('is the OpenAPI form for readers of 0.3, beside that of 1.0', () => {
    const { securitySchemes, security } = hybridSecurity(all('travel'));
    expect(security).toEqual(
      ['machine', 'person', 'issuer', 'issuer-2'].map((name) => ({ [name]: ['peer:travel:call'] })),
    );
    expect(securitySchemes).toMatchObject({
      machine: {
        type: 'oauth2',
        flows: {
          clientCredentials: {
            tokenUrl: 'https://gw.example/sts/token',
            scopes: { 'peer:travel:call': 'Have "travel" work' },
          },
        },
      },
      issuer: {
        type: 'openIdConnect',
        openIdConnectUrl: 'https://idp.example/.well-known/openid-configuration',
        openIdConnectSecurityScheme: {
          openIdConnectUrl: 'https://idp.example/.well-known/openid-configuration',
        },
      },
    });
  });
});
