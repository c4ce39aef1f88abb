import { parseArgs } from 'node:util';

/**
 * Who can be measured. `direct` is a call to the peer itself, with nothing in between; `gateway` asks
 * for a token, `gateway-open` for none; `callback` is a lent tool of `gateway`.
 */
export const CONTESTANTS = [
  'direct',
  'floor',
  'obvious',
  'mcp-proxy',
  'gateway',
  'gateway-open',
  'callback',
] as const;

/** One of {@link CONTESTANTS}. */
export type Contestant = (typeof CONTESTANTS)[number];

/** What the command line asks for. */
export interface Options {
  only: ReadonlySet<Contestant>;
  rows: ReadonlySet<string> | undefined;
  rounds: number;
  /** Length of a slice with many connections; a slice at one connection takes half of it. */
  sliceMs: number;
  warmUpMs: number;
  json: boolean;
}

/** The text of `--help`. */
export const HELP = `node bench/main.ts [options]

  --quick          about 20 seconds, still cold: to see that all answer
  --only LIST      contestants, comma-separated: ${CONTESTANTS.join(', ')}
  --rows LIST      rows, comma-separated, as the table's first column names them
  --rounds N       rounds (default 4)
  --slice MS       one contestant's turn in a round (default 2000)
  --json           the result as JSON on standard output, with every slice
  --help           this text
`;

/** Reads the command line; `undefined` asks for help. Throws on what it does not know. */
export function readOptions(argv: string[]): Options | undefined {
  const { values } = parseArgs({
    args: argv,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      rows: { type: 'string' },
      rounds: { type: 'string' },
      slice: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const quick = values.quick;
  return {
    only: new Set(values.only === undefined ? CONTESTANTS : list(values.only).map(contestant)),
    rows: values.rows === undefined ? undefined : new Set(list(values.rows)),
    rounds: positive(values.rounds, quick ? 2 : 4, '--rounds'),
    sliceMs: positive(values.slice, quick ? 300 : 2000, '--slice'),
    warmUpMs: quick ? 400 : 1500,
    json: values.json,
  };
}

function list(text: string): string[] {
  return text.split(',').map((item) => item.trim());
}

function contestant(name: string): Contestant {
  const found = CONTESTANTS.find((known) => known === name);
  if (found === undefined) {
    throw new Error(`--only: "${name}" is none of ${CONTESTANTS.join(', ')}`);
  }
  return found;
}

function positive(text: string | undefined, fallback: number, flag: string): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${flag}: "${text}" is no number ≥ 1`);
  return value;
}
