/**
 * Names like one that was named in vain. Only names are looked at, so many of them and no more, so
 * that a wrong name costs next to nothing.
 */

/** Names that are looked at. */
const mostCompared = 5000;

/** Longer names are compared by how they begin. */
const longestCompared = 64;

/** The names that differ from `wanted` by few characters, the nearest first. */
export function nearNames(wanted: string, names: Iterable<string>, count: number): string[] {
  const one = flat(wanted);
  const most = Math.min(4, Math.floor(one.length / 3));
  const near: { name: string; distance: number }[] = [];
  let compared = 0;
  for (const name of names) {
    compared += 1;
    if (compared > mostCompared) break;
    if (name === wanted) continue;
    const other = flat(name);
    // The name alone, or that of another peer: all but the peer is right.
    const distance = other.endsWith(`_${one}`) ? 0 : distanceOf(one, other, most);
    if (distance <= most) near.push({ name, distance });
  }
  return near
    .toSorted((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map(({ name }) => name);
}

/** Upper case and separators are no difference that people remember. */
function flat(name: string): string {
  return name
    .slice(0, longestCompared)
    .toLowerCase()
    .replace(/[-_.]+/g, '_');
}

/**
 * How many characters have to be added, dropped or changed; more than `most` where that is too far.
 * Only what can still be near is looked at: a band around the diagonal.
 */
function distanceOf(one: string, other: string, most: number): number {
  const far = most + 1;
  if (Math.abs(one.length - other.length) > most) return far;
  let row = Array.from({ length: other.length + 1 }, (_, n) => n);
  for (let at = 1; at <= one.length; at += 1) {
    const next = row.map(() => far);
    if (at <= most) next[0] = at;
    let least = at <= most ? at : far;
    for (let n = Math.max(1, at - most); n <= Math.min(other.length, at + most); n += 1) {
      const change = (row[n - 1] ?? far) + (one[at - 1] === other[n - 1] ? 0 : 1);
      const cost = Math.min(change, (row[n] ?? far) + 1, (next[n - 1] ?? far) + 1);
      next[n] = cost;
      least = Math.min(least, cost);
    }
    if (least > most) return far;
    row = next;
  }
  return row[other.length] ?? far;
}
