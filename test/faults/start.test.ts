/** A gateway that cannot start says why and ends: it does not linger, half of it alive. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { freePort, startChild } from './child.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-start-'));
  mkdirSync(join(dir, 'keys'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const breakages: Record<string, { harm: () => void; says: RegExp }> = {
  'a weak admin token': {
    harm: () => writeFileSync(join(dir, 'keys', 'admin-token'), 'secret\n'),
    says: /^isthmus: .*admin-token holds no token of 32 characters/m,
  },
  'signing keys that are none': {
    harm: () => writeFileSync(join(dir, 'keys', 'signing-keys.json'), '{"keys":[]}'),
    says: /^isthmus: .*signing-keys\.json/m,
  },
  'a store of a newer program': {
    harm: () => {
      const db = new DatabaseSync(join(dir, 'isthmus.db'));
      db.exec('PRAGMA user_version = 999');
      db.close();
    },
    says: /^isthmus: The database has schema version 999/m,
  },
  'a store that lost a table': {
    harm: () => {
      const db = new DatabaseSync(join(dir, 'isthmus.db'));
      db.exec('PRAGMA user_version = 2');
      db.close();
    },
    says: /^isthmus: no such table/m,
  },
};

it.each(Object.entries(breakages))('%s ends the start', async (_what, { harm, says }) => {
  harm();
  const configFile = join(dir, 'isthmus.json');
  const port = await freePort();
  writeFileSync(
    configFile,
    JSON.stringify({
      gateway: { listen: { port } },
      store: { url: `sqlite:${join(dir, 'isthmus.db')}` },
      keys: { dir: join(dir, 'keys') },
    }),
  );
  const child = startChild('src/cli.ts', ['serve', '--config', configFile]);
  try {
    const late = new Promise((resolve) => setTimeout(resolve, 15_000, 'still alive'));
    expect(await Promise.race([child.ended, late])).toBe(1);
    expect(child.output()).toMatch(says);
  } finally {
    await child.end('SIGKILL');
  }
});
