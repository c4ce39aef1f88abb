/** What the example programs share of a command line: where they listen, and how they end. */
import { parseArgs } from 'node:util';

/** Where a program listens, and as what it is known. */
export interface Place {
  /** 0 for any free port. */
  port: number;
  /** How others reach it, where that is not its own address. */
  origin?: string;
}

/** A program that runs. */
export interface Running {
  url: string;
  close(): Promise<void>;
}

/** A command line: options by name, each with its default; those without one may be missing. */
export type Options = Record<string, { default?: string; multiple?: boolean }>;

/** What was given on the command line. */
export interface Given {
  place: Place;
  one: (name: string) => string | undefined;
  all: (name: string) => string[];
}

/** Starts a program, says where it is and what to do next, and stops it on Ctrl-C. */
export async function runProgram(
  name: string,
  { port, options = {} }: { port: number; options?: Options },
  start: (given: Given) => Promise<Running & { next: string }>,
): Promise<void> {
  let running: Running & { next: string };
  try {
    running = await start(commandLine({ port: { default: `${port}` }, origin: {}, ...options }));
  } catch (error) {
    console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
    return;
  }
  console.log(`${name}: ${running.url}\n${running.next}`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void running.close());
  }
}

function commandLine(options: Options): Given {
  const { values } = parseArgs({
    options: Object.fromEntries(
      Object.entries(options).map(([name, { multiple = false }]) => [
        name,
        { type: 'string' as const, multiple },
      ]),
    ),
  });
  const all = (name: string): string[] => {
    const value = values[name] ?? options[name]?.default ?? [];
    return (Array.isArray(value) ? value : [value]).map(String);
  };
  const one = (name: string): string | undefined => all(name)[0];
  const origin = one('origin');
  const place = { port: Number(one('port')), ...(origin !== undefined && { origin }) };
  return { place, one, all };
}
