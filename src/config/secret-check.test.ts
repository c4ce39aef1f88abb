import { describe, expect, it } from 'vitest';
import { parseConfig } from './load.ts';
import { secretMistakes } from './secret-check.ts';

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
