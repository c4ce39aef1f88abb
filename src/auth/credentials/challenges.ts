/** What a `WWW-Authenticate` header asks for. Spec: RFC 9110 §11.6.1, RFC 6750 §3 */

/** One challenge: its scheme and its parameters by their names, both in lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const tokenChars = "[\\w!#$%&'*+.^`|~-]+";
/** A parameter, or the scheme of the next challenge; sticky, so that no text takes long. */
const parameterAt = new RegExp(
  `(${tokenChars})[ \\t]*=[ \\t]*(?:"((?:[^"\\\\]|\\\\.)*)"|(${tokenChars}))`,
  'y',
);
const schemeAt = new RegExp(`(${tokenChars})(?=[ \\t,]|$)`, 'y');
/** What some schemes carry in place of parameters; of no interest here. */
const token68At = /[ \t]+[\w.~+/-]+=*(?=[ \t]*(?:,|$))/y;
const separatorAt = /[ \t,]+/y;
const longest = 8192;

/** Reads the challenges of a reply. What cannot be read ends a value. */
export function parseChallenges(values: readonly string[]): Challenge[] {
  return values.flatMap((value) => parseOne(value.slice(0, longest)));
}

function parseOne(text: string): Challenge[] {
  const found: { scheme: string; parameters: Map<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  while (at < text.length) {
    if (take(separatorAt) !== null) continue;
    const parameter = take(parameterAt);
    const current = found.at(-1);
    if (parameter !== null && current !== undefined) {
      const [, name = '', quoted, plain = ''] = parameter;
      const value = quoted === undefined ? plain : quoted.replace(/\\(.)/g, '$1');
      const key = name.toLowerCase();
      if (!current.parameters.has(key)) current.parameters.set(key, value);
      continue;
    }
    const scheme = parameter === null ? take(schemeAt) : null;
    if (scheme === null) break;
    found.push({ scheme: (scheme[1] ?? '').toLowerCase(), parameters: new Map() });
    take(token68At);
  }
  return found;
}

/** The first value of a parameter in the challenges that are about OAuth tokens. */
export function challengeParameter(
  challenges: readonly Challenge[],
  name: string,
): string | undefined {
  for (const { scheme, parameters } of challenges) {
    const value = scheme === 'bearer' || scheme === 'dpop' ? parameters.get(name) : undefined;
    if (value !== undefined) return value;
  }
  return undefined;
}
