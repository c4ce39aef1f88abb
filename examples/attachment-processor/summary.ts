/** The work: what numbers there are in some tables, column by column, as one table. */
import { csvFrom, tableFrom, type Table } from './csv.ts';

/** A file by name. */
export interface NamedText {
  name: string;
  text: string;
}

/** The product, and what may be said of it without saying what is in it. */
export interface Summary {
  csv: string;
  files: number;
  rows: number;
  columns: number;
}

/** A line for each file and column of numbers, and one for each such column over all files. */
export function summaryOf(files: readonly NamedText[]): Summary {
  const tables = files.map(({ name, text }) => ({ name, ...tableFrom(text) }));
  const columns = [...new Set(tables.flatMap((table) => table.columns))].filter((column) =>
    tables.some((table) => numbersIn(table, column).length > 0),
  );
  const lines = columns.flatMap((column) => {
    const each = tables.flatMap((table) => lineOf(table.name, column, numbersIn(table, column)));
    return [
      ...each,
      ...lineOf(
        '(all)',
        column,
        tables.flatMap((one) => numbersIn(one, column)),
      ),
    ];
  });
  const header = ['file', 'column', 'count', 'sum', 'min', 'max', 'mean'];
  return {
    csv: csvFrom([header, ...lines]),
    files: files.length,
    rows: tables.reduce((sum, { rows }) => sum + rows.length, 0),
    columns: columns.length,
  };
}

function lineOf(file: string, column: string, numbers: readonly number[]): (string | number)[][] {
  const [first] = numbers;
  if (first === undefined) return [];
  let [sum, min, max] = [0, first, first];
  for (const number of numbers) {
    sum += number;
    min = Math.min(min, number);
    max = Math.max(max, number);
  }
  const rounded = (value: number): number => Math.round(value * 1e6) / 1e6;
  const mean = rounded(sum / numbers.length);
  return [[file, column, numbers.length, rounded(sum), min, max, mean]];
}

/** The numbers of a column; cells that are none are left out. */
function numbersIn({ rows }: Table, column: string): number[] {
  return rows.flatMap((row) => {
    const text = (row[column] ?? '').trim();
    return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? [Number(text)] : [];
  });
}
