/**
 * What JSON.parse lets pass and we do not: members that stand twice in one object, of which two
 * readers may take different ones, nesting that cannot be written again, and more members than can
 * be worked on while others wait.
 *
 * Spec: RFC 8259 §4 (names SHOULD be unique); RFC 7493 §2.3 (I-JSON: they MUST be)
 */

/** Writing JSON recurses: some thousand levels end the stack. */
const maxDepth = 256;

/** Each member costs about a microsecond at every step of a request's way. */
const maxMembers = 100_000;

const quote = 0x22;
const comma = 0x2c;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** See the file comment. */
export type JsonFlaw = 'duplicate-member' | 'too-deep' | 'too-many-members';

/** What is wrong with a text that JSON.parse has accepted; undefined when nothing is. */
export function jsonFlaw(text: string): JsonFlaw | undefined {
  /** Per open object the names so far, per open array undefined. */
  const open: (Names | undefined)[] = [];
  let names: Names | undefined;
  let nameNext = false;
  let members = 0;
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case quote: {
        const end = endOfString(text, at);
        if (nameNext) {
          members += 1;
          if (members > maxMembers) return 'too-many-members';
          if (names?.add(text.slice(at, end + 1)) === false) return 'duplicate-member';
        }
        nameNext = false;
        at = end;
        break;
      }
      case comma:
        nameNext = names !== undefined;
        break;
      case openBrace:
      case openBracket:
        if (open.length >= maxDepth) return 'too-deep';
        names = text.charCodeAt(at) === openBrace ? new Names() : undefined;
        nameNext = names !== undefined;
        open.push(names);
        break;
      case closeBrace:
      case closeBracket:
        open.pop();
        names = open.at(-1);
        nameNext = false;
        break;
      default:
    }
  }
  return undefined;
}

/** Where the string that starts at `start` ends. */
function endOfString(text: string, start: number): number {
  let end = start + 1;
  for (; end < text.length; end += 1) {
    const char = text.charCodeAt(end);
    if (char === backslash) end += 1;
    else if (char === quote) break;
  }
  return end;
}

const fewNames = 12;

/** The names of one object. Most have few, for which a list is quicker than a set. */
class Names {
  readonly #few: string[] = [];
  #many: Set<string> | undefined;

  /** Adds a name as it is quoted; false when it was there. */
  add(quoted: string): boolean {
    // The same name can be spelled with and without escapes.
    const name = quoted.includes('\\') ? JSON.stringify(JSON.parse(quoted)) : quoted;
    if (this.#many === undefined) {
      if (this.#few.includes(name)) return false;
      this.#few.push(name);
      if (this.#few.length > fewNames) this.#many = new Set(this.#few);
      return true;
    }
    if (this.#many.has(name)) return false;
    this.#many.add(name);
    return true;
  }
}
