/**
 * A resource server on a real socket, in front of nothing: a request that it lets in is answered
 * with its principal. The world knows it as https://gw.example.org.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request as httpRequest, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { onTestFinished } from 'vitest';
import {
  ResourceServer,
  type Refused,
  type ResourceServerFault,
  type ResourceServerOptions,
} from '../../src/auth/resource-server/resource-server.ts';
import type { TrustedIssuer } from '../../src/auth/resource-server/trusted-issuer.ts';
import type { Principal } from '../../src/model/principal.ts';
import { openSigningKeys } from '../../src/auth/signing-keys.ts';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { SqliteReplayStore } from '../../src/store/sqlite/replay-store.ts';
import { startIssuer, type IssuerOptions, type TestIssuer } from '../support/issuer.ts';

export const publicUrl = 'https://gw.example.org';
export const travel = `${publicUrl}/mcp/travel`;
export const sts = `${publicUrl}/sts`;

/** An answer as it came over the wire. */
export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly challenge: string;
  /** A principal, or an error. */
  readonly body: Partial<Principal & Refused['body']>;
}

/** What `send` may be told. */
export interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string | string[]>;
}

/** See the file comment. */
export interface World {
  readonly server: ResourceServer;
  readonly faults: ResourceServerFault[];
  send(sent: Sent): Promise<Answer>;
  /** Presents a bearer token at `/mcp/travel`. */
  bearer(token: string, sent?: Sent): Promise<Answer>;
  /** A token that the gateway signs itself. */
  ownToken(claims: Record<string, unknown>, typ?: string): Promise<string>;
}

/** An issuer that lives as long as the test. */
export async function issuerFor(options: IssuerOptions = {}): Promise<TestIssuer> {
  const issuer = await startIssuer(options);
  onTestFinished(() => issuer.close());
  return issuer;
}

/** How a test trusts an issuer unless it says otherwise. */
export function trust(issuer: TestIssuer, more: Partial<TrustedIssuer> = {}): TrustedIssuer {
  return { issuer: issuer.issuer, organization: 'example', algorithms: ['ES256'], ...more };
}

/** Starts the server; everything ends with the test. */
export async function resourceServer(
  options: Partial<ResourceServerOptions> & { requireDpop?: boolean } = {},
): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-rs-'));
  const database = openDatabase(join(dir, 'x.db'));
  const keys = openSigningKeys(dir);
  const faults: ResourceServerFault[] = [];
  const { requireDpop = false, ...given } = options;
  const server = new ResourceServer({
    publicUrl,
    issuers: [],
    ownIssuers: { sts, as: `${publicUrl}/as` },
    ownKeys: () => keys.current().jwks,
    fetch,
    replay: new SqliteReplayStore(database),
    clock: Date.now,
    report: (fault) => faults.push(fault),
    ...given,
  });
  const http = createServer((req, res) => {
    const url = new URL(req.url ?? '/', 'http://unused');
    const answer = server.authenticate({
      method: req.method ?? '',
      path: url.pathname,
      resourcePath: url.pathname.replace(/\/$/, ''),
      authorization: req.headers.authorization,
      dpop: req.headersDistinct['dpop'],
      hasQueryToken: url.searchParams.has('access_token'),
      requireDpop,
    });
    void Promise.resolve(answer).then((outcome) => {
      if (outcome.kind === 'admitted') return res.end(JSON.stringify(outcome.principal));
      if (outcome.kind === 'refused') return sendRefusal(res, outcome);
      return res.writeHead(429).end();
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;
  onTestFinished(async () => {
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
    database.close();
    rmSync(dir, { recursive: true });
  });

  const send = (sent: Sent): Promise<Answer> => sendTo(port, sent);
  return {
    server,
    faults,
    send,
    bearer: (token, sent = {}) =>
      send({ ...sent, headers: { authorization: `Bearer ${token}`, ...sent.headers } }),
    ownToken: (claims, typ = 'at+jwt') => {
      const { kid, privateKey } = keys.current().active;
      const now = Math.floor(Date.now() / 1000);
      const payload = {
        iss: sts,
        aud: travel,
        sub: 'agent-7',
        client_id: 'agent-7',
        org: 'partner',
        idp: sts,
        jti: 'own-1',
        iat: now,
        exp: now + 120,
        ...claims,
      };
      return new SignJWT(payload).setProtectedHeader({ alg: 'ES256', typ, kid }).sign(privateKey);
    },
  };
}

function sendRefusal(res: ServerResponse, refused: Refused): void {
  res.writeHead(refused.status, { ...refused.headers, 'content-type': 'application/json' });
  res.end(JSON.stringify(refused.body));
}

function sendTo(port: number, sent: Sent): Promise<Answer> {
  const { method = 'POST', path = '/mcp/travel', headers = {} } = sent;
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { host: '127.0.0.1', port, method, path, headers, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('end', () => {
          const { statusCode: status = 0, headers: received } = response;
          const challenge = received['www-authenticate'] ?? '';
          const body = JSON.parse(text) as Answer['body'];
          resolve({ status, headers: received, challenge, body });
        });
      },
    );
    request.on('error', reject);
    request.end();
  });
}
