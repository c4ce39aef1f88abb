import { describe, expect, it } from 'vitest';
import { loadConfig, parseConfig, type LoadContext } from './load.ts';
import { formatMistakes } from './mistake.ts';
import type { Config } from './schema.ts';

const files: Record<string, string> = { 'secrets/token': 'from-file\n' };

const context: LoadContext = {
  env: { TOKEN: 'from-env', PORT: '9000', EMPTY: '' },
  readFile(path) {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
    return text;
  },
};

function config(text: string, over: Partial<LoadContext> = {}): Config {
  const result = parseConfig(text, { ...context, ...over });
  if (!result.ok) throw new Error(formatMistakes(result.mistakes));
  return result.config;
}

function mistakes(text: string, over: Partial<LoadContext> = {}): string[] {
  const result = parseConfig(text, { ...context, ...over });
  if (result.ok) throw new Error('the configuration is valid');
  return formatMistakes(result.mistakes).split('\n');
}

const peers = (entry: string) => `peers:\n  - ${entry.replaceAll('\n', '\n    ')}\n`;

describe('a configuration', () => {
  it('of nothing is a loopback gateway with defaults', () => {
    expect(config('')).toEqual({
      gateway: {
        allowedHosts: [],
        allowedOrigins: [],
        listen: { host: '127.0.0.1', port: 8080 },
        organization: { id: 'local', name: 'Isthmus' },
      },
      store: { url: { kind: 'sqlite', path: './data/isthmus.db' } },
      keys: { dir: './data/keys' },
      auth: { mode: 'open', issuers: [], clients: [], leeway: 60_000, tokenTtl: 600_000 },
      connections: [],
      peers: [],
      limits: {
        body: 4_194_304,
        receive: 60_000,
        syncCall: 55_000,
        interruptTtl: 86_400_000,
        openInterruptsPerPrincipal: 1000,
        perPeerRps: 0,
        refusedPerMinute: 120,
        bodies: 268_435_456,
        streamQueue: 1_048_576,
        artifactInline: 65_536,
        taskTtl: 604_800_000,
        peerConnect: 10_000,
        peerTimeout: 300_000,
        peerReply: 16_777_216,
        aggregateTools: 100,
        sessions: 10_000,
        sessionIdle: 1_800_000,
        drain: 20_000,
      },
      egress: { allow: [], allowLoopback: false },
      telemetry: { metrics: true },
      log: { level: 'info' },
      organizations: [],
      lending: [],
    });
  });

  it('pins who may sign the cards of an organization', () => {
    const jwks = { keys: [{ kty: 'EC', crv: 'P-256', x: 'a', y: 'b', kid: '1' }] };
    const text = JSON.stringify({
      organizations: [
        { id: 'partner', domains: ['Partner.example'], cardKeys: { jwks } },
        { id: 'other', cardSignatures: 'ignore' },
      ],
    });
    expect(config(text).organizations).toEqual([
      {
        id: 'partner',
        domains: ['partner.example'],
        cardKeys: { jwks },
        clientIds: [],
        scopes: [],
        cardSignatures: 'prefer',
      },
      { id: 'other', domains: [], clientIds: [], scopes: [], cardSignatures: 'ignore' },
    ]);
  });

  it('takes the keys of an organization from a file', () => {
    const keys = [{ kty: 'OKP', crv: 'Ed25519', x: 'a', kid: '1' }];
    const readFile = (path: string) =>
      path === 'keys.json' ? JSON.stringify({ keys }) : 'no JSON';
    const text = 'organizations: [{ id: a, cardKeys: { jwks: "${file:keys.json}" } }]';
    expect(config(text, { readFile }).organizations[0]?.cardKeys).toEqual({ jwks: { keys } });
    expect(mistakes(text.replace('keys.json', 'other'), { readFile })).toEqual([
      'organizations[0].cardKeys.jwks: expected a section with keys',
    ]);
  });

  it('knows peers of which only a place is known', () => {
    expect(config(peers('id: a\ndiscover: https://x.example')).peers).toEqual([
      {
        kind: 'discover',
        id: 'a',
        url: 'https://x.example',
        definitions: 'review',
        dedupesMessageId: false,
        idempotentTools: [],
        credentials: { type: 'none' },
        headers: {},
        public: true,
        timeouts: {},
      },
    ]);
  });

  it('knows peers of both kinds', () => {
    const text = `
organizations: [{ id: partner }]
peers:
  - id: travel
    a2a: { card: https://travel.example/.well-known/agent-card.json }
    credentials: { type: bearer, token: "\${env:TOKEN}" }
    dedupesMessageId: true
    definitions: block
    organization: partner
    timeouts: { call: 90s, idle: 0s }
  - id: files
    mcp: { url: https://files.example/mcp }
    idempotentTools: [read_file]
    headers: { X-Tenant: acme }
    public: false
`;
    expect(config(text).peers).toEqual([
      {
        kind: 'a2a',
        id: 'travel',
        card: 'https://travel.example/.well-known/agent-card.json',
        origins: ['https://travel.example'],
        signedCard: 'resign',
        definitions: 'block',
        organization: 'partner',
        dedupesMessageId: true,
        credentials: { type: 'bearer', token: 'from-env' },
        headers: {},
        public: true,
        timeouts: { call: 90_000, idle: 0 },
      },
      {
        kind: 'mcp',
        id: 'files',
        url: 'https://files.example/mcp',
        idempotentTools: ['read_file'],
        definitions: 'review',
        credentials: { type: 'none' },
        headers: { 'X-Tenant': 'acme' },
        public: false,
        timeouts: {},
      },
    ]);
  });

  it('can be written as JSON', () => {
    expect(config('{"gateway":\n\t{"listen":{"port":0}}}').gateway.listen.port).toBe(0);
  });

  it('takes sizes and times with their units', () => {
    const { limits } = config(
      'limits: { body: 512KiB, syncCall: 1.5s, taskTtl: 2d, drain: 250ms }',
    );
    expect(limits).toMatchObject({
      body: 524_288,
      syncCall: 1500,
      taskTtl: 172_800_000,
      drain: 250,
    });
  });

  it('publishes an origin without its trailing slash', () => {
    expect(config('gateway: { publicUrl: "https://GW.example.org/" }').gateway.publicUrl).toBe(
      'https://gw.example.org',
    );
  });

  it('keeps absolute and relative store paths apart', () => {
    expect(config('store: { url: "sqlite:/var/lib/x.db" }').store.url.path).toBe('/var/lib/x.db');
    expect(config('store: { url: "sqlite:./x.db" }').store.url.path).toBe('./x.db');
  });

  it('is overruled by the command line', () => {
    const listen = { host: '::1', port: 7000 };
    expect(config('gateway: { listen: { port: 1 } }', { listen }).gateway.listen).toEqual(listen);
    expect(config('', { listen: { port: 7000 } }).gateway.listen).toEqual({
      host: '127.0.0.1',
      port: 7000,
    });
  });
});

describe('placeholders', () => {
  it('are replaced inside strings, from the environment and from files', () => {
    const text = peers(
      'id: a\nmcp: { url: "https://x.example/${env:TOKEN}/${file:secrets/token}" }',
    );
    expect(config(text).peers[0]).toMatchObject({ url: 'https://x.example/from-env/from-file' });
  });

  it('serve numbers and flags as well', () => {
    const text =
      'gateway: { listen: { port: "${env:PORT}" } }\ntelemetry: { metrics: "${env:ON}" }';
    const made = config(text, { env: { PORT: '9000', ON: 'false' } });
    expect(made.gateway.listen.port).toBe(9000);
    expect(made.telemetry.metrics).toBe(false);
  });

  it('are not searched again in what they brought', () => {
    const env = { A: '${env:B}', B: 'secret' };
    expect(config('gateway: { organization: { name: "${env:A}" } }', { env })).toMatchObject({
      gateway: { organization: { name: '${env:B}' } },
    });
  });

  it('that lead nowhere are mistakes at their path', () => {
    const text = peers(
      'id: a\nmcp: { url: "${env:NOWHERE}" }\ncredentials: { type: bearer, token: "${file:gone}" }\nheaders: { X-A: "${vault:x}" }',
    );
    expect(mistakes(text)).toEqual([
      'peers[0].mcp.url: environment variable NOWHERE is not set',
      'peers[0].credentials.token: file gone cannot be read (ENOENT)',
      'peers[0].headers.X-A: expected ${env:NAME} or ${file:PATH} after "${"',
    ]);
  });
});

describe('mistakes', () => {
  const url = 'mcp: { url: https://x.example/mcp }';

  it.each([
    ['gatway: {}', ['gatway: unknown key']],
    ['gateway: { listen: { hots: x } }', ['gateway.listen.hots: unknown key']],
    ['gateway: 3', ['gateway: expected a section with keys']],
    ['[]', ['expected a section with keys']],
    [
      'gateway: { listen: { port: 65536 } }',
      ['gateway.listen.port: expected a whole number from 0 to 65535'],
    ],
    [
      'gateway: { listen: { port: abc } }',
      ['gateway.listen.port: expected a whole number from 0 to 65535'],
    ],
    [
      'gateway: { publicUrl: gw.example.org }',
      ['gateway.publicUrl: expected an http or https URL without user name and password'],
    ],
    [
      'gateway: { publicUrl: https://gw.example.org/x }',
      ['gateway.publicUrl: expected an origin such as https://gw.example.org, without a path'],
    ],
    [
      'store: { url: postgres://db/x }',
      ['store.url: PostgreSQL is not available yet; use sqlite:<path>'],
    ],
    [
      'store: { url: x.db }',
      ['store.url: expected sqlite:./relative/path or sqlite:/absolute/path'],
    ],
    ['auth: { mode: none }', ['auth.mode: expected open or oauth']],
    [
      'auth: { mode: oauth }',
      [
        'gateway.publicUrl: expected the origin that tokens are for; oauth needs it',
        'auth: expected somebody whose tokens are accepted: issuers or clients',
      ],
    ],
    [
      'gateway: { publicUrl: "http://gw.example" }\nauth: { mode: oauth, issuers: [{ issuer: https://i.example, organization: local }] }',
      ['gateway.publicUrl: expected https: tokens must not travel in the clear'],
    ],
    [
      'gateway: { publicUrl: "https://gw.example" }\nauth: { mode: oauth, issuers: [{ issuer: https://gw.example/sts, organization: local }] }',
      ['auth.issuers[0].issuer: this is the gateway itself, whose tokens are accepted anyway'],
    ],
    [
      'auth: { issuers: [{ issuer: https://i.example, organization: a }] }',
      [
        'auth.issuers[0].organization: expected the id of gateway.organization or of an entry of organizations',
      ],
    ],
    [
      'auth: { clients: [{ clientId: a, organization: local }] }',
      [
        'auth.clients[0]: expected jwks or jwksUri; only a client id that is a URL leads to its keys',
      ],
    ],
    [
      'auth: { clients: [{ clientId: https://a.example/c.json, organization: local, scopes: [all] }] }',
      [
        'auth.clients[0].scopes[0]: expected a scope such as peer:travel:call, peer:*:read, lend or admin',
      ],
    ],
    [
      'auth: { authorizationServer: {} }',
      ['auth.authorizationServer: expected an entry of issuers with login, where people log in'],
    ],
    [
      'auth: { issuers: [{ issuer: https://i.example, organization: a, algorithms: [HS256] }] }',
      ['auth.issuers[0].algorithms[0]: expected an asymmetric JWS algorithm such as ES256'],
    ],
    ['limits: { body: 4 }', ['limits.body: expected a size such as 4MiB or 512KiB']],
    ['limits: { syncCall: 55 }', ['limits.syncCall: expected a duration such as 55s, 15m or 24h']],
    ['limits: { syncCall: 0s }', ['limits.syncCall: expected a duration such as 55s, 15m or 24h']],
    [
      'egress: { allow: [10.0.0.0/33] }',
      ['egress.allow[0]: expected an address range such as 10.0.0.0/8, an address, or host[:port]'],
    ],
    [
      'egress: { allow: ["http://x/"] }',
      ['egress.allow[0]: expected an address range such as 10.0.0.0/8, an address, or host[:port]'],
    ],
    [
      'egress: { allow: ["*.example.org"] }',
      ['egress.allow[0]: expected an address range such as 10.0.0.0/8, an address, or host[:port]'],
    ],
    ['peers: &all [*all]', ['an alias (*name) leads to itself or is used too often']],
    ['egress: { allowLoopback: yes please }', ['egress.allowLoopback: expected true or false']],
    [
      'log: { level: loud }',
      ['log.level: expected trace, debug, info, warn, error, fatal or silent'],
    ],
    ['lending: { to: a }', ['lending: expected a list of rules']],
    ['peers: { id: a }', ['peers: expected a list of peers']],
    [
      'organizations: [{ id: a, cardSignatures: require }]',
      ['organizations[0].cardKeys: expected the keys that cards must be signed with'],
    ],
    [
      'organizations: [{ id: a, cardKeys: { jwks: { keys: [{ kty: EC, d: x }] } } }]',
      [
        'organizations[0].cardKeys.jwks.keys[0].d: this is a private key; only its public half belongs here',
      ],
    ],
    [
      'organizations: [{ id: a, cardKeys: { jwks: { keys: [{ kty: oct, k: x }] } } }]',
      ['organizations[0].cardKeys.jwks.keys[0].kty: expected a public key (EC, RSA or OKP)'],
    ],
    [
      'organizations: [{ id: a, clientIds: [x] }]',
      [
        'organizations[0].clientIds[0]: expected an http or https URL without user name and password',
      ],
    ],
    [
      'organizations: [{ id: a, domains: ["https://x.example"] }]',
      ['organizations[0].domains[0]: expected a host name such as partner.example'],
    ],
    [
      'organizations: [{ id: a }, { id: a }]',
      ['organizations[1].id: used by another organization'],
    ],
    [
      peers(`id: a\n${url}\norganization: nobody`),
      ['peers[0].organization: expected the id of an entry of organizations'],
    ],
    [
      peers(`id: a\n${url}\ndefinitions: never`),
      ['peers[0].definitions: expected accept, review, block'],
    ],
    [
      peers(`id: Travel\n${url}`),
      ['peers[0].id: expected an identifier of a-z, 0-9 and "-", at most 63 characters'],
    ],
    [
      peers(`id: ${'a'.repeat(64)}\n${url}`),
      ['peers[0].id: expected an identifier of a-z, 0-9 and "-", at most 63 characters'],
    ],
    [
      peers(url),
      ['peers[0].id: expected an identifier of a-z, 0-9 and "-", at most 63 characters'],
    ],
    [
      peers(`id: tasks\n${url}`),
      ['peers[0].id: reserved; choose another than server-card, tasks, v1, own, offered'],
    ],
    [peers('id: a'), ['peers[0]: expected exactly one of a2a, mcp and discover']],
    [
      peers(`id: a\n${url}\na2a: { card: https://x.example/c }`),
      ['peers[0]: expected exactly one of a2a, mcp and discover'],
    ],
    [
      peers(`id: a\n${url}\ndedupesMessageId: true`),
      [
        'peers[0].dedupesMessageId: only an a2a peer has messages; an mcp peer takes idempotentTools',
      ],
    ],
    [
      peers('id: a\nmcp: { url: ftp://x }'),
      ['peers[0].mcp.url: expected an http or https URL without user name and password'],
    ],
    [
      peers('id: a\nmcp: { url: https://u:p@x.example }'),
      ['peers[0].mcp.url: expected an http or https URL without user name and password'],
    ],
    [peers('id: a\nmcp: {}'), ['peers[0].mcp.url: expected an http or https URL']],
    [
      peers(`id: a\n${url}\ncredentials: { type: bearer }`),
      ['peers[0].credentials.token: expected a token'],
    ],
    [
      peers(`id: a\n${url}\ncredentials: { type: bearer, token: x, scope: y }`),
      ['peers[0].credentials.scope: unknown key'],
    ],
    [
      peers(`id: a\n${url}\ncredentials: { type: user_oauth }`),
      ['peers[0].credentials.connection: expected the id of an entry of connections'],
    ],
    [
      peers(`id: a\n${url}\ncredentials: { type: basic }`),
      [
        'peers[0].credentials.type: expected none, bearer, client_credentials, token_exchange, id_jag or user_oauth',
      ],
    ],
    [
      peers(`id: a\n${url}\nheaders: { Authorization: x }`),
      ['peers[0].headers.Authorization: this header is set by the gateway itself'],
    ],
    [
      peers(`id: a\n${url}\nheaders: { X-A: "a\\r\\nb" }`),
      ['peers[0].headers.X-A: expected printable ASCII text'],
    ],
    [`peers:\n  - { id: a, ${url} }\n  - { id: a, ${url} }`, ['peers[1].id: used by another peer']],
  ])('%s', (text, expected) => {
    expect(mistakes(text)).toEqual(expected);
  });

  it('are all reported at once', () => {
    expect(mistakes('limits: { body: 1, syncCall: 2 }\nfoo: 1')).toEqual([
      'limits.body: expected a size such as 4MiB or 512KiB',
      'limits.syncCall: expected a duration such as 55s, 15m or 24h',
      'foo: unknown key',
    ]);
  });

  it('of syntax name line and column', () => {
    expect(mistakes('gateway:\n  listen: { port: 1')[0]).toMatch(/^line 2, column \d+: /);
    expect(mistakes('a: 1\na: 2')[0]).toBe('line 2, column 1: Map keys must be unique');
  });

  it('never repeat a value', () => {
    const text = peers(
      'id: a\nmcp: { url: "${env:S}" }\ncredentials: { type: bearer, token: "${env:S}" }',
    );
    expect(mistakes(text, { env: { S: 'hunter2 hunter2' } }).join()).not.toContain('hunter2');
  });

  it('include a file that is not there', () => {
    expect(loadConfig('gone.yaml', context)).toEqual({
      ok: false,
      mistakes: [{ path: '', message: 'cannot read gone.yaml (ENOENT)' }],
    });
  });
});

describe('open mode', () => {
  it.each(['127.0.0.1', '127.8.9.1', '::1', 'localhost', '::ffff:127.0.0.1'])(
    'may listen on %s',
    (host) => {
      expect(config(`gateway: { listen: { host: "${host}" } }`).gateway.listen.host).toBe(host);
    },
  );

  it.each(['0.0.0.0', '::', '192.168.1.4', 'gw.example.org', '8.8.8.8', 'localhost.example'])(
    'is refused on %s',
    (host) => {
      const expected = [
        'auth.mode: open is refused on a listener that is not loopback; set gateway.listen.host to 127.0.0.1',
      ];
      expect(mistakes(`gateway: { listen: { host: "${host}" } }`)).toEqual(expected);
      expect(mistakes('', { listen: { host } })).toEqual(expected);
    },
  );
});
