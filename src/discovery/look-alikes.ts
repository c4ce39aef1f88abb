/**
 * Names that a person, or a model, takes for one another. The skeleton of a name is what is left
 * when look-alike letters become Latin ones and case, hyphens and underscores are ignored.
 *
 * The table is our own: the packages that carry the whole of Unicode's confusables are not kept up,
 * and nearly all of that list concerns scripts in which no tool is named. Cyrillic, Greek, Armenian
 * and full-width letters are what passes for Latin; compatibility forms fold by NFKD.
 *
 * Spec: Unicode TR39 §4 (confusable detection), in part
 */

/** Cyrillic, Greek, Armenian and Latin-extended letters, by the Latin letter that they look like. */
const lookAlikes: Readonly<Record<string, string>> = {
  a: 'аαɑΑА',
  b: 'ЬьВΒвƅ',
  c: 'сϲСϹᴄ',
  d: 'ԁժɗ',
  e: 'еєЕΕҽ℮',
  f: 'ғſϝ',
  g: 'ɡցԍ',
  h: 'һհНΗнħ',
  i: 'іιІΙӏɩıŀǀ',
  j: 'јϳЈ',
  k: 'кκКΚĸ',
  m: 'мМΜʍ',
  n: 'пηΝɴո',
  o: 'оοσОΟօՕᴏø',
  p: 'рρРΡ',
  q: 'ԛգզ',
  r: 'гᴦɾ',
  s: 'ѕЅꜱՏ',
  t: 'тτТΤ',
  u: 'υսʋμ',
  v: 'νѵᴠ',
  w: 'ԝшωѡաᴡ',
  x: 'хχХΧ×',
  y: 'уγУΥүҮʏ',
  z: 'ᴢΖʐ',
};

const latinOf: ReadonlyMap<string, string> = new Map(
  Object.entries(lookAlikes).flatMap(([latin, others]) =>
    Array.from(others, (other) => [other, latin] as const),
  ),
);

/** Digits that stand in for letters, and letters that cannot be told apart in many typefaces. */
const shared: Readonly<Record<string, string>> = { '0': 'o', '1': 'i', l: 'i', '|': 'i' };

const ignored = /[\s\-_.‐‑‒–—―−·]/g;
const marks = /\p{M}/gu;

/** Two names with the same skeleton are look-alikes. */
export function skeleton(name: string): string {
  let folded = '';
  for (const character of name.normalize('NFKD').replace(marks, '').replace(ignored, '')) {
    const latin = latinOf.get(character) ?? character;
    const lower = latin.toLowerCase();
    folded += latinOf.get(lower) ?? shared[lower] ?? lower;
  }
  return folded.replaceAll('rn', 'm').replaceAll('vv', 'w');
}

const printableAscii = /^[\x20-\x7e]*$/;

/** Whether a name is written in plain letters, so that it cannot pose as another one unseen. */
export function isPlain(name: string): boolean {
  return printableAscii.test(name);
}

/** Whether a name mixes Latin letters with those of a script that looks like it. */
export function mixesScripts(name: string): boolean {
  const latin = /\p{Script=Latin}/u.test(name);
  return latin && /\p{Script=Cyrillic}|\p{Script=Greek}|\p{Script=Armenian}/u.test(name);
}
