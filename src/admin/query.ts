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
