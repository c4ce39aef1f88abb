/**
 * `isthmus keys`: the keys that the gateway signs and seals with. Nothing secret is ever printed.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { listSealingKeys, removeSealingKey, rotateSealingKey } from './auth/sealing-keys.ts';
import { importSigningKey, listSigningKeys, rotateSigningKey } from './auth/signing-keys.ts';
import { textTable } from './text-table.ts';

/** Where the keys are and where the lines go. */
export interface KeysCommandPlace {
  /** `keys.dir` of the configuration. */
  readonly dir: string;
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
  /** In milliseconds. */
  readonly now?: () => number;
}

/** How the command is called. */
export const keysUsage = 'isthmus keys list | rotate [sealing] | import FILE | remove ID';

/** A key in PEM or JWK is below one KiB; so much is surely none. */
const maxFile = 65_536;

/** Runs `list`, `rotate` or `import FILE`. Returns 0, 1 for a failure, 2 for a wrong call. */
export async function keysCommand(
  args: readonly string[],
  place: KeysCommandPlace,
): Promise<number> {
  const [name, ...rest] = args;
  const action = name !== undefined && Object.hasOwn(actions, name) ? actions[name] : undefined;
  const mistake =
    name === undefined
      ? 'keys needs to know what to do'
      : action === undefined
        ? `keys cannot "${name}"`
        : mistakeIn(name, rest);
  if (action === undefined || mistake !== undefined) {
    place.err(`isthmus: ${mistake}\n\nUsage: ${keysUsage}`);
    return 2;
  }
  try {
    await action(place, rest[0] ?? '');
    return 0;
  } catch (error) {
    place.err(`isthmus: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
}

/** What is wrong with the words behind an action; undefined when nothing is. */
function mistakeIn(name: string, rest: readonly string[]): string | undefined {
  const [first] = rest;
  if (name === 'import' || name === 'remove') {
    const what = name === 'import' ? 'FILE' : 'ID';
    return rest.length === 1 ? undefined : `keys ${name} needs one ${what}`;
  }
  if (rest.length === 0 || (name === 'rotate' && first === 'sealing' && rest.length === 1)) {
    return undefined;
  }
  return `keys ${name} takes no argument "${rest.join(' ')}"`;
}

type Action = (place: KeysCommandPlace, word: string) => Promise<void> | void;

const actions: Readonly<Record<string, Action>> = {
  list({ dir, out }) {
    const rows = [...signingRows(dir), ...sealingRows(dir)];
    if (rows.length === 0) {
      out(`There are no keys in ${dir} yet; they are made when the gateway first starts.`);
      return;
    }
    const header = ['KIND', 'ID', 'STATE', 'CREATED', 'RETIRED'];
    for (const line of textTable([header, ...rows])) out(line);
  },

  async rotate({ dir, out, now }, what) {
    if (what === 'sealing') {
      const kid = await rotateSealingKey(dir, now);
      out(`The active sealing key is ${kid}.`);
      out('What older keys have sealed still opens. "isthmus keys remove ID" ends that.');
      return;
    }
    const before = listSigningKeys(dir)?.[0];
    const { kid } = await rotateSigningKey(dir, now);
    sayActive(out, kid, before?.kid);
  },

  import: importKey,

  async remove({ dir, out }, kid) {
    await removeSealingKey(dir, kid);
    out(`${kid} is removed. What it has sealed is gone: people will be asked for consent again.`);
  },
};

async function importKey({ dir, out, now }: KeysCommandPlace, file: string): Promise<void> {
  const before = listSigningKeys(dir)?.[0];
  const { kid } = await importSigningKey(dir, readFile(file), now);
  sayActive(out, kid, before?.kid);
}

function sayActive(out: (line: string) => void, kid: string, before: string | undefined): void {
  out(`The active signing key is ${kid}.`);
  if (before !== undefined && before !== kid) {
    out(`${before} is retired and stays published. A running gateway takes this up by itself.`);
  }
}

function readFile(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw new Error(`There is no file ${file}.`);
  if (!stat.isFile()) throw new Error(`${file} is not a file.`);
  if (stat.size > maxFile) throw new Error(`${file} is too large for a key.`);
  return readFileSync(file, 'utf8');
}

function signingRows(dir: string): string[][] {
  return (listSigningKeys(dir) ?? []).map(({ kid, createdAt, retiredAt }) => [
    'signing ES256',
    kid,
    retiredAt === undefined ? 'active' : 'retired',
    iso(createdAt),
    retiredAt === undefined ? '' : iso(retiredAt),
  ]);
}

function sealingRows(dir: string): string[][] {
  const stat = statSync(join(dir, 'sealing.key'), { throwIfNoEntry: false });
  if (stat === undefined) return [];
  return listSealingKeys(dir).map(({ kid, state, createdAt = stat.mtimeMs }) => [
    'sealing AES-256-GCM',
    kid,
    state,
    iso(createdAt),
    '',
  ]);
}

function iso(time: number): string {
  return new Date(time).toISOString().replace(/\.\d+Z$/, 'Z');
}
