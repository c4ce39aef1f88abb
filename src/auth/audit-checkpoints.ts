/**
 * Signed checkpoints of the audit log: lines of a file in the keys directory, each of which says
 * which hash the log had at an entry. The chain alone cannot tell that its end was cut off, or that
 * all of it was written anew; a checkpoint can.
 *
 * Spec: RFC 7515 §A.5, appendix F (JWS with detached content), RFC 8785 (canonical JSON)
 */
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import canonicalize from 'canonicalize';
import { base64url, CompactSign, compactVerify } from 'jose';
import { isObject } from '../model/json.ts';
import { isCode, syncFolder } from './locked-file.ts';
import type { SigningKey } from './signing-key.ts';

/** An entry of the log that was signed. */
export interface Checkpoint {
  readonly seq: number;
  /** The hash of that entry. */
  readonly hash: string;
  /** When it was signed, in milliseconds. */
  readonly at: number;
  readonly kid: string;
  /** A compact JWS whose payload, the canonical JSON of `seq`, `hash` and `at`, is left out. */
  readonly signature: string;
}

/** What the file holds. */
export interface Checkpoints {
  /** With their lines, 1 the first. */
  readonly lines: readonly { readonly line: number; readonly checkpoint: Checkpoint }[];
  /** Lines that are no checkpoint. */
  readonly unreadable: readonly number[];
}

/** Whole lines are far shorter, in bytes. */
const longestLine = 4096;

/** No token and no card has it: nothing else that these keys sign is a checkpoint. */
const type = 'isthmus-audit-checkpoint';

/** The file of the checkpoints in a keys directory. */
export function checkpointsPath(dir: string): string {
  return join(dir, 'audit-checkpoints.jsonl');
}

/** Signs an entry. */
export async function signCheckpoint(
  { seq, hash, at }: Pick<Checkpoint, 'seq' | 'hash' | 'at'>,
  { kid, privateKey }: Pick<SigningKey, 'kid' | 'privateKey'>,
): Promise<Checkpoint> {
  const jws = await new CompactSign(payloadOf({ seq, hash, at }))
    .setProtectedHeader({ alg: 'ES256', typ: type, kid })
    .sign(privateKey);
  const [header, , signature] = jws.split('.');
  return { seq, hash, at, kid, signature: `${header}..${signature}` };
}

/** Why a checkpoint does not count; undefined when it does. */
export async function checkpointFault(
  checkpoint: Checkpoint,
  keys: readonly SigningKey[],
): Promise<string | undefined> {
  const key = keys.find(({ kid }) => kid === checkpoint.kid);
  if (key === undefined) return 'it is signed with a key that is not in this keys directory';
  const [header, , signature] = checkpoint.signature.split('.');
  const payload = base64url.encode(payloadOf(checkpoint));
  try {
    const { protectedHeader } = await compactVerify(
      `${header}.${payload}.${signature}`,
      key.publicJwk,
      { algorithms: ['ES256'] },
    );
    if (protectedHeader.typ === type && protectedHeader.kid === key.kid) return undefined;
  } catch {
    // Said below.
  }
  return 'its signature is not right';
}

/** Appends a checkpoint; resolves when it is on disk. What a crash left unfinished goes. */
export async function appendCheckpoint(dir: string, checkpoint: Checkpoint): Promise<void> {
  const path = checkpointsPath(dir);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = await open(path, 'a+', 0o600);
  try {
    await file.chmod(0o600);
    const { size } = await file.stat();
    const whole = await wholeLines(file, size);
    if (whole < size) await file.truncate(whole);
    const { seq, hash, at, kid, signature } = checkpoint;
    await file.appendFile(`${JSON.stringify({ seq, hash, at, kid, signature })}\n`);
    await file.sync();
    if (size === 0) syncFolder(path);
  } finally {
    await file.close();
  }
}

/** The checkpoints of a keys directory. A last line without its end was not finished: none. */
export function readCheckpoints(dir: string): Checkpoints {
  const bytes = readBytes(checkpointsPath(dir));
  const lines: { line: number; checkpoint: Checkpoint }[] = [];
  const unreadable: number[] = [];
  let from = 0;
  // All of it may be longer than a string can be.
  for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, from)) {
    const checkpoint = parse(bytes.toString('utf8', from, end));
    const line = lines.length + unreadable.length + 1;
    if (checkpoint === undefined) unreadable.push(line);
    else lines.push({ line, checkpoint });
    from = end + 1;
  }
  return { lines, unreadable };
}

/** The last of them; undefined where there is none, or its line cannot be read. */
export function lastCheckpoint(dir: string): Checkpoint | undefined {
  const path = checkpointsPath(dir);
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size === 0) return undefined;
  const file = openSync(path, 'r');
  try {
    // The file is years long, and this is asked before the gateway serves.
    const tail = Buffer.alloc(Math.min(size, longestLine));
    readSync(file, tail, { position: size - tail.length });
    return parse(tail.toString('utf8').split('\n').at(-2) ?? '');
  } finally {
    closeSync(file);
  }
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return Buffer.alloc(0);
    throw error;
  }
}

/** How many bytes of the file are lines with an end. */
async function wholeLines(file: FileHandle, size: number): Promise<number> {
  const step = 4096;
  for (let end = size; end > 0; end -= step) {
    const start = Math.max(0, end - step);
    const { buffer } = await file.read(Buffer.alloc(end - start), 0, end - start, start);
    const newline = buffer.lastIndexOf('\n');
    if (newline >= 0) return start + newline + 1;
  }
  return 0;
}

function parse(text: string): Checkpoint | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { seq, hash, at, kid, signature } = isObject(value) ? value : {};
  return isCount(seq) &&
    isCount(at) &&
    typeof hash === 'string' &&
    typeof kid === 'string' &&
    typeof signature === 'string'
    ? { seq, hash, at, kid, signature }
    : undefined;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

function payloadOf({ seq, hash, at }: Pick<Checkpoint, 'seq' | 'hash' | 'at'>): Uint8Array {
  return new TextEncoder().encode(canonicalize({ seq, hash, at }));
}
