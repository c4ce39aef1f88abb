import { startBorrower } from './borrower.ts';
import { compare } from './compare.ts';
import { startField } from './field.ts';
import { startBenchIssuer } from './issuer.ts';
import { measure } from './measure.ts';
import { HELP, readOptions } from './options.ts';
import type { Options } from './options.ts';
import { Processes } from './processes.ts';
import { machineFacts, machineLine, tables } from './report.ts';
import { rowsOf } from './rows.ts';

process.exitCode = await main(process.argv.slice(2));

/** The exit code is 2 for a command line that cannot be read, else that of {@link bench}. */
async function main(argv: string[]): Promise<number> {
  let options: Options | undefined;
  try {
    options = readOptions(argv);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
  if (options !== undefined) return bench(options);
  process.stdout.write(HELP);
  return 0;
}

/** Runs the bench; the exit code is 1 when a contestant failed or answered a call wrongly. */
async function bench(wanted: Options): Promise<number> {
  const machine = machineFacts();
  const problems: string[] = [];
  const progress = (text: string): void => void process.stderr.write(`${text}\n`);
  const problem = (text: string): void => {
    problems.push(text);
    progress(`! ${text}`);
  };
  progress(machineLine(machine));

  const processes = await Processes.create();
  const issuer = await startBenchIssuer();
  const borrower = await startBorrower();
  try {
    const { only } = wanted;
    const field = await startField(processes, { only, issuer, borrower }, { progress, problem });
    const rows = (await rowsOf(field, issuer)).filter(({ id }) => wanted.rows?.has(id) ?? true);
    const measured = await measure(rows, wanted, { progress, problem });
    for (const { id, lanes } of measured) {
      for (const { label, errors, turns } of lanes) {
        const fault = turns.flatMap(({ faults }) => faults)[0];
        if (errors > 0) problem(`row ${id}: ${errors} calls of ${label} failed, such as: ${fault}`);
      }
    }
    const comparisons = compare(measured);
    const { rounds, sliceMs, warmUpMs } = wanted;
    process.stdout.write(
      wanted.json
        ? `${JSON.stringify({ machine, rounds, sliceMs, warmUpMs, rows: measured, comparisons, problems }, null, 2)}\n`
        : `\n${machineLine(machine)}\nmedians of ${rounds} interleaved rounds\n\n${tables(measured, comparisons)}`,
    );
  } finally {
    await processes.stop();
    await borrower.close();
    await issuer.close();
  }
  return problems.length === 0 ? 0 : 1;
}
