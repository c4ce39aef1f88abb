/**
 * Names and descriptions written by a peer are read by models and people. Characters that show one
 * thing and say another are taken out: control characters (tab and newline stay), bidirectional
 * overrides, zero-width joiners of words and the invisible "tag" characters.
 */

/** Text of a peer without invisible characters. */
export function plainText(text: string): string {
  return text.replace(
    // eslint-disable-next-line no-control-regex -- control characters are what is taken out
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]|[\u{e0000}-\u{e007f}]/gu,
    '',
  );
}

/** At most `max` characters, the last one an ellipsis where something was cut. */
export function shortened(text: string, max: number): string {
  const flat = text.replace(/\s+/g, ' ').trim();
  const characters = Array.from(flat);
  return characters.length <= max ? flat : `${characters.slice(0, max - 1).join('')}…`;
}
