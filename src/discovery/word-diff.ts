/** A change of a text word by word, at a cost that is known before. */
import { spelledOut } from './hidden-text.ts';

/** Unchanged words that are shown around a change. */
const around = 4;
/** Longer texts are not taken apart. */
const maxText = 64 * 1024;

/** A diff, unless it was too dear, and how many comparisons of words it has cost. */
export interface WordDiff {
  readonly text?: string;
  readonly comparisons: number;
}

/** A text with what left it in `[-…-]` and what came in `{+…+}`. */
export function wordDiff(before: string, after: string, maxComparisons: number): WordDiff {
  if (before.length + after.length > Math.min(maxText, maxComparisons)) return { comparisons: 0 };
  const old = wordsOf(before);
  const fresh = wordsOf(after);
  // Reading them costs as well.
  const read = before.length + after.length;
  let start = 0;
  while (start < old.length && start < fresh.length && old[start] === fresh[start]) start += 1;
  let end = 0;
  while (
    end < old.length - start &&
    end < fresh.length - start &&
    old[old.length - 1 - end] === fresh[fresh.length - 1 - end]
  ) {
    end += 1;
  }
  const [gone, come] = [old.slice(start, old.length - end), fresh.slice(start, fresh.length - end)];
  const comparisons = read + gone.length * come.length;
  if (comparisons > maxComparisons) return { comparisons: read };
  const head: Run = { kind: 'same', words: old.slice(0, start) };
  const tail: Run = { kind: 'same', words: old.slice(old.length - end) };
  const all = [head, ...runs(gone, come), tail].filter(({ words }) => words.length > 0);
  const text = all.map((run, at) => rendered(run, at === 0, at === all.length - 1)).join('');
  return { text, comparisons };
}

interface Run {
  kind: 'same' | 'gone' | 'new';
  words: string[];
}

function rendered({ kind, words }: Run, first: boolean, last: boolean): string {
  if (kind === 'gone') return `[-${spelledOut(words.join(''))}-]`;
  if (kind === 'new') return `{+${spelledOut(words.join(''))}+}`;
  // A word and the space behind it are two.
  const keep = around * 2;
  if (words.length <= keep * 2) return spelledOut(words.join(''));
  const head = first ? '' : words.slice(0, keep).join('');
  const tail = last ? '' : words.slice(-keep).join('');
  return spelledOut(`${head}…${tail}`);
}

function wordsOf(text: string): string[] {
  return text.match(/\s+|\S+/g) ?? [];
}

/** The longest common subsequence. */
function runs(old: string[], fresh: string[]): Run[] {
  const width = fresh.length + 1;
  const longest = new Uint32Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = fresh.length - 1; j >= 0; j -= 1) {
      longest[i * width + j] =
        old[i] === fresh[j]
          ? (longest[(i + 1) * width + j + 1] ?? 0) + 1
          : Math.max(longest[(i + 1) * width + j] ?? 0, longest[i * width + j + 1] ?? 0);
    }
  }
  return walk(old, fresh, longest);
}

function walk(old: string[], fresh: string[], longest: Uint32Array): Run[] {
  const width = fresh.length + 1;
  const found: Run[] = [];
  const put = (kind: Run['kind'], word: string): void => {
    const last = found.at(-1);
    if (last?.kind === kind) last.words.push(word);
    else found.push({ kind, words: [word] });
  };
  let i = 0;
  let j = 0;
  while (i < old.length || j < fresh.length) {
    const gone = old[i];
    const come = fresh[j];
    if (gone !== undefined && gone === come) {
      put('same', gone);
      i += 1;
      j += 1;
    } else if (
      come === undefined ||
      (gone !== undefined &&
        (longest[(i + 1) * width + j] ?? 0) >= (longest[i * width + j + 1] ?? 0))
    ) {
      put('gone', gone ?? '');
      i += 1;
    } else {
      put('new', come);
      j += 1;
    }
  }
  return found;
}
