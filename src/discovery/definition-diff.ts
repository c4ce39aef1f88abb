/**
 * A change of a definition as people read it: one line per changed member, named by its JSON
 * pointer; texts word by word; hidden characters spelled out; never longer than a screen or two, and
 * never longer to make than that takes: what is beyond is said to be there, and not compared.
 */
import { isObject, type Json, type JsonObject } from '../model/json.ts';
import { spelledOut } from './hidden-text.ts';
import { wordDiff } from './word-diff.ts';

const maxLines = 200;
const maxLine = 600;
/** More of a value is not written out: it would be clipped. */
const maxShown = 4 * maxLine;
/** Comparisons of words that one change may cost. */
const maxComparisons = 250_000;
/** Values that are looked at to find what differs. */
const maxValues = 50_000;

/** What is left of what one change may cost. */
interface Work {
  readonly lines: string[];
  comparisons: number;
  values: number;
}

/** The lines of a change, from what is approved to what waits; from null, everything is new. */
export function definitionDiff(before: JsonObject | null, after: JsonObject): string[] {
  const work: Work = { lines: [], comparisons: maxComparisons, values: maxValues };
  try {
    if (before === null) added('', after, work);
    else compare('', before, after, work);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return [...work.lines.slice(0, maxLines), '… and more, which is nested too deeply'];
  }
  if (!isDone(work)) return work.lines;
  return [...work.lines.slice(0, maxLines), '… and more, which is not compared'];
}

function isDone({ lines, values }: Work): boolean {
  return lines.length > maxLines || values <= 0;
}

function compare(pointer: string, before: Json, after: Json, work: Work): void {
  work.values -= 1;
  if (isDone(work) || before === after) return;
  const members = membersOf(before, after);
  if (members !== undefined) {
    const [old, fresh] = members;
    for (const key of new Set([...Object.keys(old), ...Object.keys(fresh)])) {
      if (isDone(work)) return;
      const at = `${pointer}/${escaped(key)}`;
      const was = Object.hasOwn(old, key) ? old[key] : undefined;
      const is = Object.hasOwn(fresh, key) ? fresh[key] : undefined;
      if (was === undefined && is !== undefined) added(at, is, work);
      else if (is === undefined && was !== undefined) push(work, at, `removed: ${shown(was)}`);
      else if (was !== undefined && is !== undefined) compare(at, was, is, work);
    }
    return;
  }
  if (typeof before === 'string' && typeof after === 'string') {
    push(work, pointer, changedText(before, after, work));
    return;
  }
  push(work, pointer, `changed: ${shown(before)} → ${shown(after)}`);
}

function changedText(before: string, after: string, work: Work): string {
  const diff = wordDiff(before, after, work.comparisons);
  work.comparisons -= diff.comparisons;
  if (diff.text !== undefined) return `changed: ${diff.text}`;
  const length = Math.min(before.length, after.length);
  let at = 0;
  while (at < length && before[at] === after[at]) at += 1;
  const words = (text: string): string => spelledOut(text.slice(at, at + maxLine / 4));
  return `text changed: ${before.length} → ${after.length} characters, first difference at ${at}: [-${words(before)}…-]{+${words(after)}…+}`;
}

/** Two objects or two lists as objects; undefined when they are neither. */
function membersOf(before: Json, after: Json): [JsonObject, JsonObject] | undefined {
  const both =
    (Array.isArray(before) && Array.isArray(after)) || (isObject(before) && isObject(after));
  return both ? [before as JsonObject, after as JsonObject] : undefined;
}

function added(pointer: string, value: Json, work: Work): void {
  if (isDone(work)) return;
  if (isObject(value) && Object.keys(value).length > 0 && pointer.split('/').length <= 3) {
    for (const [key, member] of Object.entries(value)) {
      added(`${pointer}/${escaped(key)}`, member, work);
    }
    return;
  }
  push(work, pointer, `added: ${shown(value)}`);
}

/** Spec: RFC 6901 §3 */
function escaped(key: string): string {
  return spelledOut(key).replaceAll('~', '~0').replaceAll('/', '~1');
}

function push({ lines }: Work, pointer: string, text: string): void {
  lines.push(clipped(`${pointer === '' ? '/' : pointer} ${text}`));
}

function shown(value: Json): string {
  const text = JSON.stringify(value);
  if (text.length <= maxShown) return spelledOut(text);
  return `${spelledOut(text.slice(0, maxShown))}… (${text.length} characters)`;
}

function clipped(text: string): string {
  return text.length <= maxLine ? text : `${text.slice(0, maxLine)}… (${text.length} characters)`;
}
