import { median } from './load.ts';
import type { MeasuredLane, MeasuredRow, Turn } from './measure.ts';
import type { Contestant } from './options.ts';

/** One figure that two lanes of a row come to, with the bar it is held to, if any. */
export interface Comparison {
  row: string;
  text: string;
  value: number;
  unit: '×' | 'ms';
  bar?: { op: '≥' | '≤'; value: number };
  met?: boolean;
}

/**
 * The comparisons of a run. A ratio is taken within each round, between turns that lay next to
 * each other, and the median of the rounds is what counts.
 */
export function compare(rows: MeasuredRow[]): Comparison[] {
  return rows.flatMap((row) => [
    ...(row.connections === 1 ? added(row) : throughput(row)),
    ...callbackCost(row),
  ]);
}

/** What a callback costs, as a multiple of the same call made directly by such a caller. */
function callbackCost(row: MeasuredRow): Comparison[] {
  const lent = laneOf(row, 'callback');
  const direct = laneOf(row, 'gateway');
  if (lent === undefined || direct === undefined) return [];
  const times = (what: string, value: number): Comparison => ({
    row: row.id,
    text: `${what} of ${lent.label} / ${direct.label}`,
    value,
    unit: '×',
  });
  const p50 = paired(lent, direct, (a, b) => a.p50 / b.p50);
  const time = paired(lent, direct, (a, b) => b.rate / a.rate);
  const cpu = cpuRatio(row, lent, direct);
  return [
    { ...times('p50', p50), ...(row.connections === 1 ? judged(p50, '≤', 1.5) : {}) },
    { ...times('time a call', time), ...(row.connections === 1 ? {} : judged(time, '≤', 1.5)) },
    ...(cpu === undefined ? [] : [cpu]),
  ];
}

function throughput(row: MeasuredRow): Comparison[] {
  const gateway = laneOf(row, 'gateway');
  const floor = laneOf(row, 'floor');
  const obvious = laneOf(row, 'obvious');
  const open = laneOf(row, 'gateway-open');
  const proxy = fastest(row.lanes.filter(({ contestant }) => contestant === 'mcp-proxy'));
  return [
    rateRatio(row, gateway, floor, 0.6),
    rateRatio(row, gateway, obvious, 2),
    rateRatio(row, gateway, proxy, 3),
    rateRatio(row, gateway, open, 0.95),
    rateRatio(row, obvious, floor),
    cpuRatio(row, gateway, floor ?? proxy),
    cpuRatio(row, gateway, open),
  ].filter((found) => found !== undefined);
}

function added(row: MeasuredRow): Comparison[] {
  const direct = laneOf(row, 'direct');
  if (direct === undefined) return [];
  const floor = laneOf(row, 'floor');
  const gateway = laneOf(row, 'gateway');
  const over = (lane: MeasuredLane): number => paired(lane, direct, (a, b) => a.p50 - b.p50);
  const comparisons: Comparison[] = row.lanes
    .filter((lane) => lane !== direct)
    .map((lane) => ({
      row: row.id,
      text: `p50 that ${lane.label} adds to a direct call`,
      value: over(lane),
      unit: 'ms',
      ...(lane === gateway ? judged(over(lane), '≤', 1) : {}),
    }));
  if (gateway !== undefined && floor !== undefined) {
    const value = over(gateway) / over(floor);
    const text = 'p50 that gateway adds / that floor adds';
    comparisons.push({ row: row.id, text, value, unit: '×', ...judged(value, '≤', 1.5) });
  }
  return comparisons;
}

function rateRatio(
  row: MeasuredRow,
  a: MeasuredLane | undefined,
  b: MeasuredLane | undefined,
  bar?: number,
): Comparison | undefined {
  if (a === undefined || b === undefined) return undefined;
  const value = paired(a, b, (left, right) => left.rate / right.rate);
  const text = `throughput of ${a.label} / ${b.label}`;
  const verdict = bar === undefined ? {} : judged(value, '≥', bar);
  return { row: row.id, text, value, unit: '×', ...verdict };
}

/** Processor time a call, which tells the same story without the load generator and the peer. */
function cpuRatio(
  row: MeasuredRow,
  a: MeasuredLane | undefined,
  b: MeasuredLane | undefined,
): Comparison | undefined {
  if (a?.cpuUs === undefined || b?.cpuUs === undefined) return undefined;
  const text = `CPU a call of ${a.label} / ${b.label}`;
  return { row: row.id, text, value: a.cpuUs / b.cpuUs, unit: '×' };
}

function paired(a: MeasuredLane, b: MeasuredLane, of: (a: Turn, b: Turn) => number): number {
  return median(
    a.turns.map((turn, round) => {
      const other = b.turns[round];
      return other === undefined ? Number.NaN : of(turn, other);
    }),
  );
}

function judged(value: number, op: '≥' | '≤', bar: number): Pick<Comparison, 'bar' | 'met'> {
  return { bar: { op, value: bar }, met: op === '≥' ? value >= bar : value <= bar };
}

function laneOf(row: MeasuredRow, contestant: Contestant): MeasuredLane | undefined {
  return row.lanes.find((lane) => lane.contestant === contestant);
}

function fastest(lanes: MeasuredLane[]): MeasuredLane | undefined {
  return lanes.toSorted((a, b) => b.rate - a.rate)[0];
}
