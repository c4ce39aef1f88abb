/** Parameters of queries to the admin API. */
import { Problem } from './problem.ts';

/** A whole number up to a bound. Throws a problem for anything else. */
export function wholeOf(query: URLSearchParams, key: string, usual: number, most: number): number {
  const text = query.get(key);
  if (text === null) return usual;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= most)) throw new Problem(400, `${key}: expected a number up to ${most}`);
  return value;
}

/** One of two words; the first is meant where there is none. Throws a problem for another. */
export function choiceOf<T extends string>(
  query: URLSearchParams,
  key: string,
  words: readonly [T, T],
): T {
  const text = query.get(key) ?? words[0];
  const word = words.find((one) => one === text);
  if (word === undefined) throw new Problem(400, `${key}: expected ${words.join(' or ')}`);
  return word;
}

const mostText = 1024;

/** Throws a problem where a parameter is not known, or very long. */
export function refuseUnknown(query: URLSearchParams, known: readonly string[]): void {
  for (const [name, value] of query) {
    if (!known.includes(name))
      throw new Problem(400, `${name}: expected one of ${known.join(', ')}`);
    if (value.length > mostText) throw new Problem(400, `${name}: expected a shorter text`);
  }
}
