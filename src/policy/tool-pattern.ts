/**
 * What the patterns of lending rules match: `peer/tool`, where `*` is any text at the end of either
 * part. There is nothing to try twice, so that a match takes the time of one comparison.
 */
import { lendingWords, patternParts } from '../translate/tool-pattern-shape.ts';

/** A tool that could be lent. */
export interface LendableTool {
  /**
   * A peer's; one that the caller itself serves over the reverse channel; or one that the caller's
   * message offers us from another organization.
   */
  readonly kind: 'peer' | 'own' | 'offered';
  /** The id of the peer, of the reverse channel, or of what was offered. */
  readonly peer: string;
  /** The peer's own name for it. */
  readonly name: string;
}

/** How people write a tool: `files/read_file`, `own/read_file`. */
export function toolText({ kind, peer, name }: LendableTool): string {
  return `${kind === 'peer' ? peer : kind}/${name}`;
}

/**
 * Whether a pattern matches a tool. What is the caller's own, or offered, is matched by that word
 * alone: no `*` in the place of a peer reaches it. What is no pattern matches nothing.
 */
export function matchesTool(pattern: string, tool: LendableTool): boolean {
  const slash = pattern.indexOf('/');
  if (slash < 0) return false;
  const peer = pattern.slice(0, slash);
  const isMeant =
    tool.kind === 'peer'
      ? !isLendingWord(peer) && matchesWord(peer, tool.peer)
      : peer === tool.kind;
  // Whether it is a pattern at all is looked at last: most that are compared do not match.
  return (
    isMeant &&
    matchesWord(pattern.slice(slash + 1), tool.name) &&
    patternParts(pattern) !== undefined
  );
}

/** Whether a word is the pattern, or begins with what stands before its `*`. */
export function matchesWord(pattern: string, word: string): boolean {
  return pattern.endsWith('*') ? word.startsWith(pattern.slice(0, -1)) : word === pattern;
}

/** Whether there can be a tool that both patterns match. */
export function overlap(one: string, other: string): boolean {
  const [a, b] = [patternParts(one), patternParts(other)];
  if (a === undefined || b === undefined || !wordsOverlap(a.name, b.name)) return false;
  if (isLendingWord(a.peer) || isLendingWord(b.peer)) return a.peer === b.peer;
  return wordsOverlap(a.peer, b.peer);
}

function wordsOverlap(one: string, other: string): boolean {
  if (!one.endsWith('*')) return matchesWord(other, one);
  if (!other.endsWith('*')) return matchesWord(one, other);
  const [a, b] = [one.slice(0, -1), other.slice(0, -1)];
  return a.startsWith(b) || b.startsWith(a);
}

function isLendingWord(peer: string): boolean {
  return lendingWords.some((word) => word === peer);
}
