/**
 * The text of a document that somebody publishes, read strictly: what two readers could understand
 * differently is refused, as is what cannot be worked on.
 */
import { isObject } from '../model/json.ts';
import { jsonFlaw } from './strict-json.ts';
import type { JsonFlaw } from './strict-json.ts';

/** The value, or what is wrong; `problem` completes "It …". */
export type JsonDocument =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly flaw: JsonFlaw | 'not-json'; readonly problem: string };

const problems: Readonly<Record<JsonFlaw | 'not-json', string>> = {
  'not-json': 'is not JSON',
  'duplicate-member': 'has the same member twice in one object, which two readers read differently',
  'too-deep': 'is nested too deeply',
  'too-many-members': 'has too many members',
};

/** Reads the text of a document. A byte order mark is ignored. */
export function readJsonDocument(text: string): JsonDocument {
  let value: unknown;
  const bare = text.startsWith('\ufeff') ? text.slice(1) : text;
  try {
    value = JSON.parse(bare);
  } catch {
    return { ok: false, flaw: 'not-json', problem: problems['not-json'] };
  }
  const flaw = jsonFlaw(bare);
  return flaw === undefined ? { ok: true, value } : { ok: false, flaw, problem: problems[flaw] };
}

/** A member that is a text with something in it. */
export function textMember(value: unknown, name: string): string | undefined {
  if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
  const member = value[name];
  return typeof member === 'string' && member.trim() !== '' ? member : undefined;
}

/** A member that is a list; empty where it is anything else. */
export function listMember(value: unknown, name: string): unknown[] {
  const member: unknown = isObject(value) ? value[name] : undefined;
  return Array.isArray(member) ? member : [];
}
