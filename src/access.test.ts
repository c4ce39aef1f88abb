import { createServer } from 'node:http';
import { mkdtempSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { startIssuer } from '../test/support/issuer.ts';
import { tokenAccess } from './access.ts';
import { ResourceServer } from './auth/resource-server/resource-server.ts';
import { createAdmission } from './caller-limits.ts';
import { parseConfig } from './config/load.ts';
import { openDatabase } from './store/sqlite/database.ts';
import { SqliteReplayStore } from './store/sqlite/replay-store.ts';

const publicUrl = 'https://gateway.example';
const database = openDatabase(join(mkdtempSync(join(tmpdir(), 'isthmus-')), 'x.db'));
const issuer = await startIssuer();
const config = parseConfig('{}', { env: {}, readFile: () => '' });
if (!config.ok) throw new Error('The empty configuration is not accepted.');

/** What callers of the issuer's organization may do at the most. */
let bounds: readonly string[] = ['peer:travel:call'];

const access = tokenAccess(
  new ResourceServer({
    publicUrl,
    issuers: [{ issuer: issuer.issuer, organization: 'partner', algorithms: ['ES256'] }],
    ownIssuers: { sts: `${publicUrl}/sts` },
    ownKeys: () => ({ keys: [] }),
    fetch,
    replay: new SqliteReplayStore(database),
    clock: Date.now,
  }),
  {
    admission: createAdmission(config.config, performance.now.bind(performance)),
    boundsOf: () => bounds,
    events: { emit: () => {} },
    refusals: { record: () => {} },
    leewayMs: 0,
  },
);
const server = createServer((req, res) => {
  void (async () => {
    const who = await access.identify(req, res, '/mcp/travel');
    if (who !== undefined) res.end(JSON.stringify(who.principal.scopes));
  })();
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp/travel`;

afterAll(async () => {
  server.close();
  server.closeAllConnections();
  await issuer.close();
  database.close();
});

async function scopesOf(token: string): Promise<unknown> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  return response.json();
}

it('bounds that have changed hold at once, also for a token that was seen before', async () => {
  const claims = { aud: `${publicUrl}/mcp/travel`, scope: 'peer:*:call' };
  const token = await issuer.token(claims);
  expect(await scopesOf(token)).toEqual(['peer:travel:call']);
  expect(await scopesOf(token)).toEqual(['peer:travel:call']);
  bounds = ['peer:travel:read'];
  expect(await scopesOf(token)).toEqual(['peer:travel:read']);
  bounds = [];
  expect(await scopesOf(token)).toEqual([]);
});

it('two callers with tokens of their own keep their own scopes', async () => {
  bounds = ['peer:*:call'];
  const aud = `${publicUrl}/mcp/travel`;
  const [one, other] = await Promise.all([
    issuer.token({ aud, scope: 'peer:travel:read' }),
    issuer.token({ aud, scope: 'peer:travel:call', sub: 'bob' }),
  ]);
  for (let n = 0; n < 2; n += 1) {
    expect(await scopesOf(one)).toEqual(['peer:travel:read']);
    expect(await scopesOf(other)).toEqual(['peer:travel:call']);
  }
});

it('what is no token is refused before and after one that is', async () => {
  const token = await issuer.token({ aud: `${publicUrl}/mcp/travel` });
  for (const wrong of [`${token} ${token}`, `${token}\u00e9`, `${token}"`]) {
    const response = await fetch(url, { headers: { authorization: `Bearer ${wrong}` } });
    expect([response.status, await response.json()]).toMatchObject([
      401,
      { error: 'unauthorized', error_description: expect.stringMatching(/^Send an access token/) },
    ]);
    expect(await scopesOf(token)).toEqual([]);
  }
});
