/** A call of `covers` in the source of a test: the file, and one id that it names. */
export interface Citation {
  readonly file: string;
  readonly id: string;
}

/** The citations in one file, and what in it stops a citation from being proof. */
export interface FileCitations {
  readonly citations: readonly Citation[];
  readonly problems: readonly string[];
}

const comments = /^\s*\/\/.*$|^\s*\/\*[\s\S]*?\*\//gm;
const calls = /\bcovers\(([^)]*)\)/g;
const literals = /(['"`])([^'"`]*)\1/g;
const unrun = /\b(?:it|test|describe)(?:\.\w+)*\.(?:skip|todo|fails|only)\b/;

/**
 * Reads the citations from the source of a test file.
 *
 * A call in a comment does not count. A call without a literal, and a file that cites and also
 * holds tests that do not run, are problems: such a citation would prove nothing.
 */
export function citationsIn(file: string, source: string): FileCitations {
  const code = source.replace(comments, '');
  const citations: Citation[] = [];
  const problems: string[] = [];
  for (const [call, args = ''] of code.matchAll(calls)) {
    const ids = [...args.matchAll(literals)].map((match) => match[2] ?? '');
    if (ids.length === 0) problems.push(`${file}: ${call} names no id as a literal`);
    citations.push(...ids.map((id) => ({ file, id })));
  }
  if (citations.length > 0 && unrun.test(code)) {
    problems.push(`${file}: cites requirements and has tests that are skipped or run alone`);
  }
  return { citations, problems };
}
