/**
 * Organization A has a gateway, a search, a memory and a vault; organization B has a research agent,
 * which A reaches directly or through the gateway of B. Every program of examples/ is a process of its own, and every wire between them is tapped.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, heard, startChild, type Child } from '../faults/child.ts';
import { startGateway, type TestGateway, type TestPeer } from '../support/gateway.ts';
import { startIdentityProvider, type IdentityProvider } from '../support/identity-provider.ts';
import { startWireTap, type TappedConnection, type WireTap } from '../support/wire-tap.ts';
import { logIn } from './federation-world.ts';

/** The programs, by what they are called in this world. */
export type Program = 'search' | 'memory' | 'vault' | 'research';

/** The world. */
export interface Organizations {
  readonly gateway: TestGateway;
  /** The gateway of B, where there is one. */
  readonly far?: TestGateway;
  readonly idp: IdentityProvider;
  /** What the vault asks its callers for: the gateway's credential there. */
  readonly vaultToken: string;
  /** The PEM files of the vault and of the agent. */
  keyFileOf(program: 'vault' | 'research'): string;
  /** A token of a person of A, for the endpoint of all peers. */
  logIn(who: string): Promise<string>;
  /** Everything that was said or written down, by where. */
  places(): Record<string, string>;
  close(): Promise<void>;
}

const examples: Readonly<Record<Program, string>> = {
  search: 'search-server',
  memory: 'memory-server',
  vault: 'signing-vault',
  research: 'research-agent',
};

const cardPath = '/.well-known/agent-card.json';
const secretOfA = 'mz27-4qhk-w0vt-x9pe';

/** Starts it all, with a gateway of B in front of the agent where that is wanted. */
export async function startOrganizations(options: { far: boolean }): Promise<Organizations> {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-vault-'));
  const vaultToken = randomBytes(24).toString('base64url');
  const tokenFile = join(dir, 'vault-token');
  writeFileSync(tokenFile, vaultToken, { mode: 0o600 });
  const keyFileOf = (program: string): string => join(dir, `${program}.pem`);

  const gatewayPort = await freePort();
  const gatewayTap = await startWireTap(gatewayPort);
  const farPort = await freePort();
  const farTap = await startWireTap(farPort);
  const nearest = options.far ? farTap : gatewayTap;
  const parts = {
    search: await startPart('search', []),
    memory: await startPart('memory', ['--file', join(dir, 'memory.json')]),
    vault: await startPart('vault', ['--key-file', keyFileOf('vault'), '--token-file', tokenFile]),
    research: await startPart('research', [
      '--key-file',
      keyFileOf('research'),
      '--issuer',
      `${nearest.origin}/sts`,
    ]),
  };
  const idp = await startIdentityProvider({
    people: ['alice'],
    clients: [
      {
        client_id: 'gateway-a',
        client_secret: secretOfA,
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        redirect_uris: [`${gatewayTap.origin}/login/callback/a`],
      },
    ],
  });
  const { origin: agentOrigin } = parts.research.tap;
  const agentClient = `${agentOrigin}/client.json`;
  const direct = { a2a: `${agentOrigin}${cardPath}` };
  const far = options.far
    ? await startFar({ port: farPort, publicUrl: farTap.origin }, gatewayTap.origin, {
        clientId: agentClient,
        peer: { id: 'research', ...direct },
      })
    : undefined;
  const throughFar = {
    a2a: `${farTap.origin}/a2a/research${cardPath}`,
    credentials: { type: 'client_credentials', issuer: `${farTap.origin}/sts`, dpop: true },
  };
  const gateway = await startGateway({
    port: gatewayPort,
    gateway: { publicUrl: gatewayTap.origin, organization: { id: 'a', name: 'A' } },
    peers: [
      { id: 'search', mcp: `${parts.search.tap.origin}/mcp` },
      { id: 'memory', mcp: `${parts.memory.tap.origin}/mcp` },
      {
        id: 'vault',
        mcp: `${parts.vault.tap.origin}/mcp`,
        credentials: { type: 'bearer', token: vaultToken },
      },
      { id: 'research', organization: 'b', ...(options.far ? throughFar : direct) },
    ],
    organizations: [
      { id: 'b', clientIds: [options.far ? `${farTap.origin}/oauth-client.json` : agentClient] },
    ],
    auth: {
      issuers: [
        {
          issuer: idp.issuer,
          organization: 'a',
          login: { clientId: 'gateway-a', clientSecret: secretOfA },
        },
      ],
      authorizationServer: { registration: true },
    },
    lending: [
      {
        to: 'research',
        tools: ['search/*', 'memory/remember', 'vault/sign'],
        maxCallsPerTool: { 'vault/sign': 1 },
        depth: 1,
      },
    ],
  });
  return {
    gateway,
    ...(far !== undefined && { far }),
    idp,
    vaultToken,
    keyFileOf,
    logIn: (who) => logIn(gateway, `${gateway.url}/mcp`, who),
    places: () => ({
      ...gatewayPlaces(gatewayTap, gateway),
      ...(far !== undefined && farPlaces(farTap, far)),
      'sent to the identity provider': idp.bytes(),
      ...Object.assign({}, ...Object.entries(parts).map(([name, part]) => partPlaces(name, part))),
      'what the memory keeps': readFileSync(join(dir, 'memory.json'), 'latin1'),
    }),
    async close() {
      await gateway.close();
      await far?.close();
      const all = Object.values(parts);
      await Promise.all(all.map(({ child }) => child.end('SIGTERM')));
      await Promise.all(
        [gatewayTap, farTap, ...all.map(({ tap }) => tap)].map((tap) => tap.close()),
      );
      await idp.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** The gateway of B: it takes the offers of A in, and lends less of them on to its agent. */
function startFar(
  { port, publicUrl }: { port: number; publicUrl: string },
  originOfA: string,
  agent: { clientId: string; peer: TestPeer },
): Promise<TestGateway> {
  return startGateway({
    port,
    gateway: { publicUrl, organization: { id: 'b', name: 'B' } },
    peers: [agent.peer],
    organizations: [
      {
        id: 'a',
        domains: [new URL(originOfA).hostname],
        clientIds: [`${originOfA}/oauth-client.json`],
        scopes: ['peer:research:call'],
      },
      { id: 'agents', clientIds: [agent.clientId] },
    ],
    auth: {},
    lending: [{ to: 'research', tools: ['offered/*'], from: [{ organization: 'a' }], ttl: '5m' }],
  });
}

interface Part {
  readonly child: Child;
  readonly tap: WireTap;
}

/** Starts an example by its one command, behind a tap that is the address others know. */
async function startPart(program: Program, args: readonly string[]): Promise<Part> {
  const port = await freePort();
  const tap = await startWireTap(port);
  const name = examples[program];
  const place = ['--port', `${port}`, '--origin', tap.origin];
  const child = startChild('examples/start.ts', [name, ...place, ...args]);
  await heard(child, new RegExp(`^${name}: http`, 'm'));
  return { child, tap };
}

function partPlaces(name: string, { child, tap }: Part): Record<string, string> {
  return {
    [`sent to ${name}`]: all(tap.connections, 'sent'),
    [`answered by ${name}`]: all(tap.connections, 'answered'),
    [`log of ${name}`]: child.output(),
  };
}

function farPlaces(tap: WireTap, gateway: TestGateway): Record<string, string> {
  return {
    'sent to the gateway of B': all(tap.connections, 'sent'),
    'answered by the gateway of B': all(tap.connections, 'answered'),
    'log of the gateway of B': JSON.stringify(gateway.log),
    'store of the gateway of B': filesIn(gateway.dir, (path) => !path.includes('keys')),
  };
}

/** The borrower and the person's client are told apart by the connections that they made. */
function gatewayPlaces(tap: WireTap, gateway: TestGateway): Record<string, string> {
  const isBorrower = (one: TappedConnection): boolean => / \/(sts|callback)\//.test(one.sent());
  const ofBorrower = tap.connections.filter(isBorrower);
  const ofClient = tap.connections.filter((one) => !isBorrower(one));
  return {
    'sent to the gateway by the borrower': all(ofBorrower, 'sent'),
    'answered to the borrower': all(ofBorrower, 'answered'),
    'sent to the gateway by the client': all(ofClient, 'sent'),
    'answered to the client': all(ofClient, 'answered'),
    'log of the gateway': JSON.stringify(gateway.log),
    'store of the gateway': filesIn(gateway.dir, (path) => !path.includes('keys')),
  };
}

function all(connections: readonly TappedConnection[], way: 'sent' | 'answered'): string {
  return connections.map((one) => one[way]()).join('\n');
}

/** The files below a directory, as text. */
export function filesIn(dir: string, wanted: (path: string) => boolean = () => true): string {
  const paths = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter(wanted);
  const files = paths.map((path) => join(dir, path)).filter((path) => statSync(path).isFile());
  return files.map((path) => readFileSync(path, 'latin1')).join('\n');
}
