import { describe, expect, it } from 'vitest';
import { parseConfig } from './load.ts';
import { inlineSecretMistakes, secretMistakes } from './secret-check.ts';

const placeholders = [
  'changeme',
  'CHANGE_ME',
  'change-me-please',
  'replace-this',
  'password',
  'secret',
  'my-secret',
  'your-api-key',
  'YOUR_TOKEN_HERE',
  'token1',
  'admin',
  'todo',
  'xxxxxx',
  '***',
  '<token>',
  'Bearer changeme',
];

describe('a secret that is none', () => {
  it.each(placeholders)('"%s" is a mistake, and is not repeated', (value) => {
    expect(secretMistakes({ a: [{ clientSecret: value }] })).toEqual([
      {
        path: 'a[0].clientSecret',
        message: 'is the placeholder of an example; put the real secret there',
      },
    ]);
  });

  it('is found whatever it is called', () => {
    const document = {
      token: '',
      client_secret: ' ',
      'X-Api-Key': 'changeme',
      Password: 'changeme',
      refresh: { idpClientSecret: 'changeme' },
    };
    expect(secretMistakes(document).map(({ path }) => path)).toEqual([
      'token',
      'client_secret',
      'X-Api-Key',
      'Password',
      'refresh.idpClientSecret',
    ]);
  });

  it('is a mistake of the file, also where it comes from the environment', () => {
    const peer = (token: string) => `
peers:
  - id: a
    mcp: { url: https://a.example/mcp }
    credentials: { type: bearer, token: "${token}" }`;
    const env = { EMPTY: '', DEFAULT: 'changeme', REAL: 'k9-Zr_4TqL0' };
    const mistakes = (token: string) => {
      const result = parseConfig(peer(token), { env, readFile: () => 'changeme\n' });
      return result.ok ? [] : result.mistakes.map(({ path, message }) => `${path}: ${message}`);
    };
    const at = 'peers[0].credentials.token';
    expect(mistakes('${env:EMPTY}')).toEqual([
      `${at}: is empty; put the secret there, for example with \${env:…} or \${file:…}`,
    ]);
    const placeholder = `${at}: is the placeholder of an example; put the real secret there`;
    expect(mistakes('${env:DEFAULT}')).toEqual([placeholder]);
    expect(mistakes('${file:/run/secrets/a}')).toEqual([placeholder]);
    expect(mistakes('${env:REAL}')).toEqual([]);
  });
});

it('what merely sounds like one is left alone', () => {
  const document = {
    token: 'k9-Zr_4TqL0',
    clientSecret: 'secretariat-4711',
    password: 'changeover at noon',
    tokenEndpoint: 'todo',
    scopes: ['admin', 'none'],
    id: 'secret',
    secret: { id: 'admin' },
  };
  expect(secretMistakes(document)).toEqual([]);
});

describe('a secret in the file itself', () => {
  const file = (secret: string, mode = 'oauth') => `
gateway: { publicUrl: https://gw.example }
auth: { mode: ${mode}, issuers: [{ issuer: https://i.example, organization: local }] }
peers: [{ id: a, mcp: { url: https://a.example }, credentials: { type: bearer, token: "${secret}" } }]
`;
  const context = { env: { TOKEN: 'kd83hq27zmx1' }, readFile: () => 'kd83hq27zmx1' };

  it('is a mistake where strangers can reach the gateway, and is not repeated', () => {
    expect(parseConfig(file('kd83hq27zmx1'), context)).toEqual({
      ok: false,
      mistakes: [
        {
          path: 'peers[0].credentials.token',
          message: 'stands in this file; put it into ${env:NAME} or ${file:PATH}',
        },
      ],
    });
  });

  it.each(['${env:TOKEN}', '${file:token.txt}'])('is none as %s', (secret) => {
    expect(parseConfig(file(secret), context).ok).toBe(true);
  });

  it('may be there on a machine of its own', () => {
    expect(parseConfig(file('kd83hq27zmx1', 'open'), context).ok).toBe(true);
  });

  it('is a private key too', () => {
    expect(inlineSecretMistakes({ connections: [{ key: '{"kty":"EC"}' }] })).toHaveLength(1);
  });
});
