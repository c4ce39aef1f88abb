import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agent, startBorrowerWorld, type BorrowerWorld } from './borrower-world.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** What the checkout has that packing needs. */
const sources = [
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'src',
  'bin',
  'README.md',
  'LICENSE',
];

/** Prints what was loaded beside what the program does. */
const agentProgram = `
import { registerHooks } from 'node:module';
const loaded = new Set();
registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    loaded.add(found.url);
    return found;
  },
});
const { agentExtension, offerIn, openLease } = await import('isthmus/borrower');
const { message, key, issuers, clientId } = JSON.parse(process.argv[2]);
const offer = offerIn(message);
let content;
let ended;
{
  await using lease = await openLease(offer, { clientId, key, issuers });
  ended = lease.ended;
  ({ content } = await lease.client.callTool({ name: lease.tools[0], arguments: { path: '/a' } }));
}
console.log(JSON.stringify({ content, ended: ended.reason?.code, uri: agentExtension(clientId).uri, loaded: [...loaded] }));
`;

/** What the types have to allow: the README's lines. */
const typedProgram = `
import { agentExtension, BorrowError, offerIn, openLease, serverExtension } from 'isthmus/borrower';
import type { Lease, LeaseOffer, LeaseOptions } from 'isthmus/borrower';
export async function work(message: unknown, key: string): Promise<string[]> {
  const offer: LeaseOffer | undefined = offerIn(message);
  if (offer === undefined) return [];
  const issuers: LeaseOptions['issuers'] = ['https://gw.example.org/sts'];
  try {
    await using lease: Lease = await openLease(offer, { clientId: 'https://a.example/', key, issuers });
    return (await lease.client.listTools()).tools.map(({ name }) => name);
  } catch (error) {
    if (error instanceof BorrowError && error.code === 'lease-over') return [];
    throw error;
  }
}
export const declared = [agentExtension('https://a.example/'), serverExtension('https://a.example/')];
`;

let folder: string;
let consumer: string;
let world: BorrowerWorld | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-packed-'));
  const checkout = join(folder, 'checkout');
  consumer = join(folder, 'consumer');
  for (const name of sources) await cp(join(root, name), join(checkout, name), { recursive: true });
  await symlink(join(root, 'node_modules'), join(checkout, 'node_modules'));
  await run('npm', ['pack', '--pack-destination', folder], { cwd: checkout });
  await install();
  world = await startBorrowerWorld();
}, 120_000);

afterAll(async () => {
  await world?.close();
  await rm(folder, { recursive: true, force: true });
});

/** The package as it was packed, with nothing but what it depends on, as that is installed here. */
async function install(): Promise<void> {
  const packed = join(consumer, 'node_modules', 'isthmus');
  await mkdir(packed, { recursive: true });
  const archive = (await readdir(folder)).find((name) => name.endsWith('.tgz')) ?? '';
  await run('tar', ['-xzf', join(folder, archive), '-C', packed, '--strip-components=1']);
  const manifest = JSON.parse(await readFile(join(packed, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  for (const name of [...Object.keys(manifest.dependencies), '@types/node']) {
    const target = join(consumer, 'node_modules', name);
    await mkdir(dirname(target), { recursive: true });
    await symlink(join(root, 'node_modules', name), target);
  }
  await writeFile(join(consumer, 'package.json'), '{"type":"module"}');
  await writeFile(join(consumer, 'agent.js'), agentProgram);
  await writeFile(join(consumer, 'typed.ts'), typedProgram);
}

describe('the packed library', () => {
  it('lets an agent call what it was lent, closes by `await using`, and loads nothing of the gateway', async () => {
    const { lend, key, authority } = world!;
    const given = {
      message: { metadata: { 'urn:isthmus:ext:tool-lease:v1': lend() } },
      key,
      issuers: [authority.issuer],
      clientId: agent,
    };
    const { stdout } = await run(process.execPath, ['agent.js', JSON.stringify(given)], {
      cwd: consumer,
    });
    const { content, ended, uri, loaded } = JSON.parse(stdout) as {
      content: unknown;
      ended: string;
      uri: string;
      loaded: string[];
    };
    expect(content).toEqual([{ type: 'text', text: 'files__read_file {"path":"/a"}' }]);
    expect(ended).toBe('closed');
    expect(uri).toBe('urn:isthmus:ext:tool-lease:v1');

    const own = loaded.flatMap((url) => /\/isthmus\/dist\/([^/]+)\//.exec(url)?.[1] ?? []);
    expect([...new Set(own)].toSorted()).toEqual(['borrower', 'model', 'translate']);
    const unwanted = /\/(express|oidc-provider|undici|ws|pino|openid-client)\/|node:sqlite/;
    expect(loaded.filter((url) => unwanted.test(url))).toEqual([]);
    expect(loaded.some((url) => url.includes('/node_modules/jose/'))).toBe(true);
  }, 60_000);

  it('brings whatever its other parts load', async () => {
    const program = "console.log(typeof (await import('isthmus/lender')).lend)";
    const lender = await run(process.execPath, ['--input-type=module', '-e', program], {
      cwd: consumer,
    });
    expect(lender.stdout).toBe('function\n');
    const command = join('node_modules', 'isthmus', 'bin', 'isthmus.js');
    for (const words of [['--help'], ['lend', '--help']]) {
      const { stdout } = await run(process.execPath, [command, ...words], { cwd: consumer });
      expect(stdout).toContain('Usage:');
    }
  }, 60_000);

  it('has types that an agent compiles against', async () => {
    const { stdout } = await run(
      join(root, 'node_modules', '.bin', 'tsc'),
      ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--lib'].concat([
        'es2024,esnext.disposable',
        '--types',
        'node',
        '--skipLibCheck',
        'typed.ts',
      ]),
      { cwd: consumer },
    ).catch((error: { stdout: string; message: string }) => ({
      stdout: `${error.message}${error.stdout}`,
    }));
    expect(stdout).toBe('');
  }, 60_000);
});
