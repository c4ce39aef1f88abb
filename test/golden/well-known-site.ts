/**
 * The documents of the quickstart's gateway, as `isthmus well-known` writes them.
 * `node test/golden/well-known-site.ts` writes them into `well-known/` anew.
 */
import { createECDH, createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, heard, startChild, type Child } from '../faults/child.ts';

/** Where the files are kept. */
export const goldenDir = fileURLToPath(new URL('../../well-known', import.meta.url));

/** The peers of the quickstart on free ports, and a folder with its configuration and keys. */
export interface Quickstart {
  /** A folder of its own for everything that the commands write. */
  readonly dir: string;
  /** Runs a command of the gateway there; throws, with all it said, when it fails. */
  command(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<string>;
  /** Starts the gateway there on a free port; it names itself as the quickstart's does. */
  serve(): Promise<{ origin: string; stop(): Promise<void> }>;
  close(): Promise<void>;
}

/** The time that the files are of. */
export const sourceDate = { SOURCE_DATE_EPOCH: String(Date.UTC(2026, 10, 21) / 1000) };

/** Starts the demo peers and makes the folder. */
export async function prepareQuickstart(): Promise<Quickstart> {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-well-known-'));
  const children: Child[] = [];
  const close = async (): Promise<void> => {
    for (const child of children) await child.end('SIGTERM');
    rmSync(dir, { recursive: true, force: true });
  };
  const command: Quickstart['command'] = async (args, env = {}) => {
    const child = startChild('src/cli.ts', [...args, '--config', 'quickstart.yaml'], env, dir);
    const code = await child.ended;
    if (code !== 0)
      throw new Error(`isthmus ${args.join(' ')} ended with ${code}: ${child.output()}`);
    return child.output();
  };
  try {
    const [travel, notes] = [await freePort(), await freePort()];
    children.push(
      startChild('examples/travel-agent/main.ts', ['--port', `${travel}`]),
      startChild('examples/notes-server/main.ts', ['--port', `${notes}`]),
    );
    for (const child of children) await heard(child, /http:/);
    const original = new URL('../../deploy/quickstart.yaml', import.meta.url);
    const config = readFileSync(original, 'utf8')
      .replaceAll(':41241', `:${travel}`)
      .replaceAll(':41242', `:${notes}`);
    writeFileSync(join(dir, 'quickstart.yaml'), config);
    writeFileSync(join(dir, 'key.json'), JSON.stringify(knownKey()));
    await command(['keys', 'import', 'key.json']);
  } catch (error) {
    await close();
    throw error;
  }
  const serve = async () => {
    const port = await freePort();
    const args = ['serve', '--config', 'quickstart.yaml', '--port', `${port}`];
    const child = startChild('src/cli.ts', args, {}, dir);
    children.unshift(child);
    await heard(child, /server\.started/);
    return {
      origin: `http://127.0.0.1:${port}`,
      stop: async () => void (await child.end('SIGTERM')),
    };
  };
  return { dir, command, serve, close };
}

/** Writes the documents below a folder. */
export async function writeDocuments(quickstart: Quickstart, out: string): Promise<void> {
  await quickstart.command(['well-known', '--out', out], sourceDate);
}

/** Every document below a folder, by its path, as text. */
export function documentsIn(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file): [string, string] => [
      relative(folder, file).split(sep).join('/'),
      readFileSync(file, 'utf8'),
    ])
    .filter(([path]) => path !== 'README.md');
  return new Map(files.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * A key that everybody can make from a sentence, so that signatures can be compared byte for byte.
 * It proves nothing about who signed.
 */
function knownKey(): Record<string, string> {
  const secret = createHash('sha256')
    .update('The key of the golden files: never trust it.')
    .digest();
  const pair = createECDH('prime256v1');
  pair.setPrivateKey(secret);
  const point = pair.getPublicKey();
  const [x, y] = [point.subarray(1, 33), point.subarray(33)];
  const text = (bytes: Buffer): string => bytes.toString('base64url');
  return { kty: 'EC', crv: 'P-256', d: text(secret), x: text(x), y: text(y) };
}

async function main(): Promise<void> {
  const quickstart = await prepareQuickstart();
  try {
    const out = join(quickstart.dir, 'out');
    await writeDocuments(quickstart, out);
    for (const entry of readdirSync(goldenDir)) {
      if (entry !== 'README.md') rmSync(join(goldenDir, entry), { recursive: true });
    }
    cpSync(out, goldenDir, { recursive: true });
    for (const path of documentsIn(goldenDir).keys()) console.log(path);
  } finally {
    await quickstart.close();
  }
}

if (import.meta.main) await main();
