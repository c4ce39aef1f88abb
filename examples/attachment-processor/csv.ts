/** Comma-separated values: read with quotes and line ends inside them, and written. RFC 4180. */

/** A table: its header, and its rows by column. */
export interface Table {
  columns: string[];
  rows: Record<string, string>[];
}

/** Reads a table; its first line is the header. */
export function tableFrom(text: string): Table {
  const [header = [], ...lines] = linesIn(text.replace(/^\uFEFF/, ''));
  const columns = header.map((name) => name.trim());
  const rows = lines.map((fields) =>
    Object.fromEntries(columns.map((column, at) => [column, fields[at] ?? ''])),
  );
  return { columns, rows };
}

/** Writes lines; a cell that a spreadsheet would take for a formula is marked as text. */
export function csvFrom(lines: readonly (readonly (string | number)[])[]): string {
  return lines.map((cells) => `${cells.map(cell).join(',')}\r\n`).join('');
}

function linesIn(text: string): string[][] {
  const lines: string[][] = [];
  let fields: string[] = [];
  for (const [, quoted, plain = '', end = ''] of text.matchAll(
    /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g,
  )) {
    fields.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ',') continue;
    if (fields.length > 1 || fields[0] !== '') lines.push(fields);
    fields = [];
  }
  return lines;
}

function cell(value: string | number): string {
  if (typeof value === 'number') return `${value}`;
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
