import { describe, expect, it } from 'vitest';
import { canonicalForms, withoutDefaults } from './card-forms.ts';

describe('the canonical forms of a card', () => {
  it('keep required members and set optional ones, and leave empty lists out', () => {
    const card = {
      name: 'Example Agent',
      description: '',
      capabilities: { streaming: false, pushNotifications: false, extensions: [] },
      skills: [],
    };
    // The example of A2A 1.0 §8.4.1.
    expect([...canonicalForms(card).keys()][1]).toBe(
      '{"capabilities":{"pushNotifications":false,"streaming":false},"description":"","name":"Example Agent","skills":[]}',
    );
  });

  it('leave out default values at every depth, and none that is a choice or free content', () => {
    expect(
      withoutDefaults({
        provider: { url: '', organization: '' },
        documentationUrl: '',
        iconUrl: null,
        supportedInterfaces: [
          { url: 'u', protocolBinding: '', tenant: '', protocolVersion: '1.0' },
        ],
        capabilities: {
          extensions: [{ uri: 'u', description: '', required: false, params: { a: '', b: [] } }],
        },
        securitySchemes: {
          mtls: { mtlsSecurityScheme: { description: '' } },
          oauth: {
            oauth2SecurityScheme: {
              flows: {
                clientCredentials: { tokenUrl: 't', refreshUrl: '', scopes: {} },
                authorizationCode: { pkceRequired: false },
              },
              oauth2MetadataUrl: '',
            },
          },
        },
        securityRequirements: [{ schemes: { mtls: { list: [] } } }, { schemes: {} }],
        skills: [{ id: 's', tags: [], examples: [], inputModes: [], securityRequirements: [] }],
        vendor: '',
      }),
    ).toEqual({
      provider: { url: '', organization: '' },
      documentationUrl: '',
      supportedInterfaces: [{ url: 'u', protocolBinding: '', protocolVersion: '1.0' }],
      capabilities: { extensions: [{ uri: 'u', params: { a: '', b: [] } }] },
      securitySchemes: {
        mtls: { mtlsSecurityScheme: {} },
        oauth: {
          oauth2SecurityScheme: {
            flows: { clientCredentials: { tokenUrl: 't', scopes: {} }, authorizationCode: {} },
          },
        },
      },
      securityRequirements: [{ schemes: { mtls: {} } }, {}],
      skills: [{ id: 's', tags: [] }],
      vendor: '',
    });
  });

  it('order members by UTF-16 code units, write numbers as ECMAScript does and escape little', () => {
    // RFC 8785 §3.2.2 and §3.2.3, in one object.
    const [text] = canonicalForms(
      JSON.parse(
        '{"\\u20ac":"\\u20ac$\\u000f\\nA\'B\\"\\\\\\"/","\\ud83d\\ude00":1,"\\ufb33":333333333.33333329,"a":[1E30,4.50,2e-3,0.000000000000000000000000001],"signatures":[1]}',
      ),
    ).keys();
    expect(text).toBe(
      '{"a":[1e+30,4.5,0.002,1e-27],"€":"€$\\u000f\\nA\'B\\"\\\\\\"/","😀":1,"\ufb33":333333333.3333333}',
    );
  });

  it('stand once each, and never hold the signatures', () => {
    expect([...canonicalForms({ name: 'a', signatures: [{ protected: 'x' }] })]).toEqual([
      ['{"name":"a"}', 'as-served'],
    ]);
    expect([...canonicalForms({ name: '', iconUrl: 'i', url: 'u', skills: [] })]).toEqual([
      ['{"iconUrl":"i","name":"","skills":[],"url":"u"}', 'as-served'],
      ['{"iconUrl":"i","name":"","skills":[]}', 'known-members'],
      ['{"iconUrl":"i"}', 'empties-removed'],
    ]);
  });

  it('know no member by the name of what all objects inherit', () => {
    const card = JSON.parse('{"constructor":1,"__proto__":{"name":"b"},"name":"a"}');
    expect([...canonicalForms(card).keys()]).toEqual([
      '{"__proto__":{"name":"b"},"constructor":1,"name":"a"}',
      '{"name":"a"}',
    ]);
  });
});
