/**
 * How tools are written in lending rules and in requests to lend: `peer/tool`, with `*` in the
 * place of either part or at its end. What such a pattern matches is decided in `policy`.
 */

/** The words that stand in the place of a peer. No peer can have them as its id. */
export const lendingWords = ['own', 'offered'] as const;

/** The longest pattern, and the longest name of a tool. */
export const maxToolName = 256;

/**
 * The two parts of a pattern, or undefined where it is none. A peer's id has no "/"; a tool's name
 * may have some, so that everything behind the first one is the tool.
 */
export function patternParts(text: string): { peer: string; name: string } | undefined {
  if (text.length > maxToolName) return undefined;
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const [peer, name] = [text.slice(0, slash), text.slice(slash + 1)];
  return isPeerPattern(peer) && isNamePattern(name) ? { peer, name } : undefined;
}

/** Whether this is a peer's id, or a pattern for some. */
export function isPeerPattern(text: string): boolean {
  return /^[a-z0-9-]{1,63}$/.test(text) || /^[a-z0-9-]{0,62}\*$/.test(text);
}

/** Whether this is a tool's name, or a pattern for some: `*` stands at the end, if at all. */
export function isNamePattern(text: string): boolean {
  if (text === '' || text.length > maxToolName || isControlled(text)) return false;
  const star = text.indexOf('*');
  return star < 0 || star === text.length - 1;
}

/** Whether there is a control character in it. */
function isControlled(text: string): boolean {
  return /\p{Cc}/u.test(text);
}
