/**
 * Files of keys: replaced as a whole, so that a reader sees the old one or the new one, and changed
 * by one process after the other.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const lockPatience = 5000;
const lockStaleAfter = 30_000;

/** Acts while no other process holds the lock of this file. */
export async function locked(path: string, act: () => void): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const lock = `${path}.lock`;
  await takeLock(lock);
  try {
    act();
  } finally {
    rmSync(lock, { force: true });
  }
}

async function takeLock(lock: string): Promise<void> {
  for (let waited = 0; ; waited += 50) {
    try {
      closeSync(openSync(lock, 'wx', 0o600));
      return;
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error;
    }
    const held = statSync(lock, { throwIfNoEntry: false });
    // An update takes milliseconds: such an old lock belongs to a process that died.
    if (held !== undefined && Date.now() - held.mtimeMs > lockStaleAfter) {
      rmSync(lock, { force: true });
    }
    if (waited >= lockPatience) {
      throw new Error(`${lock} is held by another command. Remove it when none is running.`);
    }
    // Waiting is the point.
    await wait(50);
  }
}

/** Puts a text in the place of a file, for its owner alone. */
export function replaceFile(path: string, text: string): void {
  renameSync(writeDraft(path, text), path);
  syncFolder(path);
}

/** Writes a text beside a file, for its owner alone; its path. */
export function writeDraft(path: string, text: string): string {
  const draft = `${path}.${randomBytes(8).toString('hex')}.new`;
  writeFileSync(draft, text, { mode: 0o600, flag: 'wx', flush: true });
  return draft;
}

/** A rename is durable only with its folder. */
export function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Whether an error is one of the system's, with one of these codes. */
export function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.some((code) => code === error.code);
}
