/** Text that goes to a terminal, and was written by somebody else. */

/** Characters that a terminal obeys or does not show are written as JSON escapes. */
export function printable(text: string): string {
  return text.replace(
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb\ud800-\udfff]|\p{Default_Ignorable_Code_Point}/gu,
    (character) =>
      Array.from({ length: character.length }, (_, at) => escapeOf(character, at)).join(''),
  );
}

function escapeOf(text: string, at: number): string {
  return `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`;
}
