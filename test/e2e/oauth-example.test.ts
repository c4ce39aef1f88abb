/** The configurations that operators copy, from `deploy/` and from the documents, are ones. */
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { decideLend } from '../../src/policy/lending.ts';
import { SchemaValidator } from '../../src/translate/json-schema.ts';

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

  it('lends public notes to the agent of the partner, and the calendar on request', () => {
    const { result } = read();
    if (!result.ok) throw new Error('the example is no configuration');
    const { lending: rules, gateway } = result.config;
    const alice = {
      organization: 'example',
      issuer: 'https://login.example.org',
      subject: 'alice',
      client: 'desktop-assistant',
      scopes: ['peer:*:call'],
    };
    const rule = (to: string, text: string, asked: 'standing' | 'request', lender = alice) => {
      const [peer = '', name = ''] = text.split('/');
      const tool = { kind: 'peer', peer, name } as const;
      const ownOrganization = gateway.organization.id;
      const decision = decideLend({ rules, ownOrganization, lender, to, tool, asked });
      return decision.allowed ? decision.terms.rule : 'nothing';
    };
    expect(rule('travel', 'files/read_file', 'standing')).toBe('lending[0]');
    expect(rule('travel', 'files/write_file', 'request')).toBe('nothing');
    expect(rule('hr', 'files/read_file', 'standing')).toBe('nothing');
    expect(rule('travel', 'calendar/list_events', 'standing')).toBe('nothing');
    expect(rule('travel', 'calendar/list_events', 'request')).toBe('lending[1]');
    const partner = { ...alice, organization: 'partner' };
    expect(rule('travel', 'files/read_file', 'request', partner)).toBe('nothing');
    const schema = rules[0]?.arguments['files/read_file'] ?? {};
    const check = (path: string) => new SchemaValidator().check(schema, { path });
    expect(check('/public/trip.md')).toEqual({ ok: true });
    expect(check('/public/../secret.md').ok).toBe(false);
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

const travel = 'peers: [{ id: travel, a2a: { card: "https://travel.partner.example/card" } }]';

describe('the configurations in the documents', () => {
  it('are ones, in the README', () => {
    const found = yamlIn('README.md');
    expect(found).toHaveLength(3);
    for (const yaml of found) {
      // The rules of lending are a part: they name peers of the whole.
      const peers = yaml.includes('peers:') ? '' : `${travel}\n`;
      expect(readDocumented(peers + yaml)).toMatchObject({ ok: true });
    }
  });

  it('are ones, with rules of lending', () => {
    const result = readDocumented(`${travel}\n${yamlIn('docs/operations.md').join('')}`);
    expect(result.ok ? result.config.lending.map(({ tools }) => tools) : result.mistakes).toEqual([
      ['files/read_file'],
      ['own/*'],
    ]);
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
