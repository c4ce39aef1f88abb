import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os';
import type { Comparison } from './compare.ts';
import type { MeasuredRow } from './measure.ts';

/** What the figures were measured on. */
export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  system: string;
  node: string;
  /** Load average of the last minute when the run began: above zero, somebody else was busy. */
  loadBefore: number;
}

/** Reads the facts about this machine. */
export function machineFacts(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    loadBefore: loadavg()[0] ?? 0,
  };
}

/** The machine in one line. */
export function machineLine(machine: Machine): string {
  const { cpu, cores, memoryGiB, system, node, loadBefore } = machine;
  const load = `load ${loadBefore.toFixed(1)} before the run`;
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node ${node}, ${load}`;
}

/** The measures as Markdown tables: medians of the rounds, then the comparisons. */
export function tables(rows: MeasuredRow[], comparisons: Comparison[]): string {
  return `${measureTable(rows)}\n\n${comparisonTable(comparisons)}\n`;
}

function measureTable(rows: MeasuredRow[]): string {
  const lines = rows.flatMap(({ id, title, connections, lanes }) =>
    lanes.map(({ label, rate, p50, p99, cpuUs, errors }, index) => [
      id,
      index === 0 ? title : '',
      String(connections),
      label,
      rate.toFixed(0),
      p50.toFixed(2),
      p99.toFixed(2),
      cpuUs === undefined ? '–' : cpuUs.toFixed(0),
      String(errors),
    ]),
  );
  return table(
    ['row', 'measure', 'conn.', 'contestant', 'calls/s', 'p50 ms', 'p99 ms', 'CPU µs', 'errors'],
    lines,
  );
}

function comparisonTable(comparisons: Comparison[]): string {
  const lines = comparisons.map(({ row, text, value, unit, bar, met }) => [
    row,
    text,
    `${value.toFixed(2)} ${unit}`,
    bar === undefined ? '' : `${bar.op} ${bar.value} ${unit}`,
    met === undefined ? '' : met ? 'met' : 'missed',
  ]);
  return table(['row', 'comparison', 'value', 'bar', ''], lines);
}

/** A Markdown table. */
export function table(header: string[], lines: string[][]): string {
  const widths = header.map((cell, column) =>
    Math.max(3, cell.length, ...lines.map((line) => line[column]?.length ?? 0)),
  );
  const render = (cells: string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [
    render(header),
    render(widths.map((width) => '-'.repeat(width))),
    ...lines.map(render),
  ].join('\n');
}
