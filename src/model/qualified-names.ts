/**
 * Names at the endpoint of all peers: `ask_<agent>` for an agent, `<peer>__<name>` for a tool or a
 * prompt of a peer. A peer's id holds no "_", so that no two peers can share a name, and the first
 * "__" always ends the id.
 *
 * A name that would be longer than 128 characters, or that holds other characters than letters,
 * digits, "_", "-" and ".", is made valid, cut, and told apart by eight digits of the SHA-256 of
 * the whole name: `files__read me` is `files__read_me_77852338`. What a name becomes depends on
 * the peer alone, so that it is the same on every replica and after every start. A peer that lists
 * one name twice has it once.
 *
 * Spec: MCP 2026-07-28 server/tools, "Tool Names" (1 to 128 characters; unique)
 */
import { createHash } from 'node:crypto';

/** With more tools of peers than this, only those that find and call them are listed. */
export const defaultToolThreshold = 100;

/** The longest name. */
const maxLength = 128;

const separator = '__';
const askPrefix = 'ask_';

/** A name of a peer, and what it is called at the endpoint of all peers. */
export interface QualifiedName {
  readonly name: string;
  readonly own: string;
}

/** The tool that asks an agent. */
export function askName(agentId: string): string {
  return `${askPrefix}${agentId}`;
}

/** The agent that a tool of this name would ask. */
export function askedAgent(name: string): string | undefined {
  return /^ask_([a-z0-9-]+)$/.exec(name)?.[1];
}

/** The names of a peer's tools or prompts, in their order. */
export function qualifiedNames(peerId: string, names: readonly string[]): QualifiedName[] {
  const own = [...new Set(names)];
  const used = new Set(own.map((name) => full(peerId, name)).filter(isValid));
  return own.map((name) => {
    const whole = full(peerId, name);
    if (isValid(whole)) return { name: whole, own: name };
    const made = madeValid(whole, used);
    used.add(made);
    return { name: made, own: name };
  });
}

/** The peer and its own name for something, read from a name; undefined for any other name. */
export function splitName(name: string): { peerId: string; own: string } | undefined {
  const [, peerId, own] = /^([a-z0-9-]+)__(.+)$/s.exec(name) ?? [];
  return peerId === undefined || own === undefined ? undefined : { peerId, own };
}

function full(peerId: string, own: string): string {
  return `${peerId}${separator}${own}`;
}

function isValid(name: string): boolean {
  return name.length <= maxLength && /^[A-Za-z0-9_.-]+$/.test(name);
}

function madeValid(whole: string, used: ReadonlySet<string>): string {
  const words = whole.normalize('NFKD').replace(/[^A-Za-z0-9_.-]+/g, '_');
  for (let attempt = 0; ; attempt += 1) {
    const digest = createHash('sha256').update(attempt === 0 ? whole : `${whole}#${attempt}`);
    const mark = `_${digest.digest('hex').slice(0, 8)}`;
    const name = `${words.slice(0, maxLength - mark.length)}${mark}`;
    if (!used.has(name)) return name;
  }
}
