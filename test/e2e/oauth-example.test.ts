/** The configurations that operators copy, from `deploy/` and from the documents, are ones. */
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';

const fileText = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const text = fileText('deploy/oauth.yaml');

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const jwks = JSON.stringify({ keys: [publicKey.export({ format: 'jwk' })] });

/** Reads the example with everything in place that it asks for. */
function read(over: { readonly env?: Record<string, string>; readonly secret?: string } = {}) {
  const asked: string[] = [];
  const result = parseConfig(text, {
    env: over.env ?? { CALENDAR_CLIENT_ID: 'gateway-at-calendar' },
    readFile: (path) => {
      asked.push(path);
      return path.endsWith('.jwks.json') ? jwks : (over.secret ?? 'Ohp4eiza7Noo');
    },
  });
  return { result, asked };
}

describe('the example of a gateway between organizations', () => {
  it('is a configuration, and uses every kind of credentials', () => {
    const { result } = read();
    expect(result).toMatchObject({ ok: true });
    if (!result.ok) return;
    expect(result.config.peers.map(({ credentials }) => credentials.type)).toEqual([
      'token_exchange',
      'client_credentials',
      'id_jag',
      'user_oauth',
      'bearer',
    ]);
    expect(result.config.auth.issuers.map(({ organization }) => organization)).toEqual([
      'example',
      'partner',
    ]);
  });

  it('has its secrets in files and in the environment', () => {
    expect(new Set(read().asked)).toEqual(
      new Set([
        '/run/secrets/login-example',
        '/etc/isthmus/nightly-report.jwks.json',
        '/etc/isthmus/partner-cards.jwks.json',
        '/run/secrets/calendar-client',
        '/run/secrets/files-client',
        '/run/secrets/hr-client',
        '/run/secrets/search',
      ]),
    );
    expect(read({ env: {} }).result).toMatchObject({
      ok: false,
      mistakes: [{ path: 'connections[0].clientId' }],
    });
  });

  it('is refused while its secrets are placeholders', () => {
    expect(read({ secret: 'changeme' }).result).toMatchObject({
      ok: false,
      mistakes: expect.arrayContaining([
        expect.objectContaining({ path: 'peers[4].credentials.token' }),
      ]),
    });
  });
});

/** The YAML in a document. */
function yamlIn(path: string): string[] {
  return [...fileText(path).matchAll(/^```yaml\n(.*?)^```/gms)].map(([, yaml = '']) => yaml);
}

function readDocumented(yaml: string) {
  return parseConfig(yaml, {
    env: { AS_SECRET: 'Oov3aiphoh9u' },
    readFile: (path) => (path.endsWith('.pem') ? pem : 'Ohp4eiza7Noo'),
  });
}

describe('the configurations in the documents', () => {
  it('are ones, in the README', () => {
    const found = yamlIn('README.md');
    expect(found).toHaveLength(2);
    for (const yaml of found) expect(readDocumented(yaml)).toMatchObject({ ok: true });
  });

  it('are ones, for each kind of credentials', () => {
    const connections = [{ id: 'calendar', issuer: 'https://as.example', clientId: 'gateway' }];
    const yaml = yamlIn('docs/identity.md').join('');
    const result = readDocumented(`connections: ${JSON.stringify(connections)}\n${yaml}`);
    const types = result.ok
      ? result.config.peers.map(({ credentials }) => credentials.type)
      : result.mistakes;
    expect(types).toEqual([
      'bearer',
      'client_credentials',
      'token_exchange',
      'id_jag',
      'user_oauth',
    ]);
  });
});
