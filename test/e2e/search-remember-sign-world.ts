/**
 * Organization A has a gateway, a search, a memory and a vault; organization B has a research agent.
 * Every program of examples/ is a process of its own, and every wire between them is tapped.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, heard, startChild, type Child } from '../faults/child.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startIdentityProvider, type IdentityProvider } from '../support/identity-provider.ts';
import { startWireTap, type TappedConnection, type WireTap } from '../support/wire-tap.ts';
import { logIn } from './federation-world.ts';

/** The programs, by what they are called in this world. */
export type Program = 'search' | 'memory' | 'vault' | 'research';

/** The world. */
export interface Organizations {
  readonly gateway: TestGateway;
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

const secretOfA = 'mz27-4qhk-w0vt-x9pe';

/** Starts it all. */
export async function startOrganizations(): Promise<Organizations> {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-vault-'));
  const vaultToken = randomBytes(24).toString('base64url');
  const tokenFile = join(dir, 'vault-token');
  writeFileSync(tokenFile, vaultToken, { mode: 0o600 });
  const keyFileOf = (program: string): string => join(dir, `${program}.pem`);

  const gatewayPort = await freePort();
  const gatewayTap = await startWireTap(gatewayPort);
  const issuer = `${gatewayTap.origin}/sts`;
  const parts = {
    search: await startPart('search', []),
    memory: await startPart('memory', ['--file', join(dir, 'memory.json')]),
    vault: await startPart('vault', ['--key-file', keyFileOf('vault'), '--token-file', tokenFile]),
    research: await startPart('research', [
      '--key-file',
      keyFileOf('research'),
      '--issuer',
      issuer,
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
      {
        id: 'research',
        a2a: `${agentOrigin}/.well-known/agent-card.json`,
        organization: 'b',
      },
    ],
    organizations: [{ id: 'b', clientIds: [`${agentOrigin}/client.json`] }],
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
      },
    ],
  });
  return {
    gateway,
    idp,
    vaultToken,
    keyFileOf,
    logIn: (who) => logIn(gateway, `${gateway.url}/mcp`, who),
    places: () => ({
      ...gatewayPlaces(gatewayTap, gateway),
      'sent to the identity provider': idp.bytes(),
      ...Object.assign({}, ...Object.entries(parts).map(([name, part]) => partPlaces(name, part))),
      'what the memory keeps': readFileSync(join(dir, 'memory.json'), 'latin1'),
    }),
    async close() {
      await gateway.close();
      const all = Object.values(parts);
      await Promise.all(all.map(({ child }) => child.end('SIGTERM')));
      await Promise.all([gatewayTap, ...all.map(({ tap }) => tap)].map((tap) => tap.close()));
      await idp.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
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

/** The agent and the person's client are told apart by the connections that they made. */
function gatewayPlaces(tap: WireTap, gateway: TestGateway): Record<string, string> {
  const isAgent = (one: TappedConnection): boolean => / \/(sts|callback)\//.test(one.sent());
  const ofAgent = tap.connections.filter(isAgent);
  const ofClient = tap.connections.filter((one) => !isAgent(one));
  return {
    'sent to the gateway by the agent': all(ofAgent, 'sent'),
    'answered to the agent': all(ofAgent, 'answered'),
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
