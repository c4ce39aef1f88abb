import { Load, median } from './load.ts';
import type { Slice } from './load.ts';
import type { Options } from './options.ts';
import { cpuMs } from './processes.ts';
import type { Reporter } from './reporter.ts';
import type { Lane, Row } from './rows.ts';

/** A slice with the processor time that the contestant itself spent on one call, in µs. */
export interface Turn extends Slice {
  cpuUs: number | undefined;
}

/** A lane with its turns, one a round, and their medians. */
export interface MeasuredLane extends Omit<Lane, 'call' | 'pid' | 'url' | 'prepare'> {
  turns: Turn[];
  rate: number;
  p50: number;
  p99: number;
  cpuUs: number | undefined;
  errors: number;
}

/** A row as it was measured. */
export interface MeasuredRow extends Omit<Row, 'lanes'> {
  lanes: MeasuredLane[];
}

interface Track {
  lane: Lane;
  load: Load;
  turns: Turn[];
}

const ANSWERS_WITHIN_MS = 5000;

/**
 * Measures all rows in one interleaved run: after every lane is warm, each round gives each lane
 * of each row its turn (A B C, A B C, …), so that whatever else the machine does falls on all.
 */
export async function measure(
  rows: Row[],
  options: Options,
  reporter: Reporter,
): Promise<MeasuredRow[]> {
  const tracks: { row: Row; lanes: Track[] }[] = [];
  for (const row of rows) tracks.push({ row, lanes: await openTracks(row, options, reporter) });

  for (let round = 1; round <= options.rounds; round += 1) {
    reporter.progress(`round ${round} of ${options.rounds}`);
    for (const { row, lanes } of tracks) {
      for (const track of lanes) track.turns.push(await turn(track, sliceMs(row, options)));
    }
  }

  await Promise.all(tracks.flatMap(({ lanes }) => lanes.map(({ load }) => load.close())));
  return tracks.map(({ row, lanes }) => ({ ...row, lanes: lanes.map(measuredLane) }));
}

/** Connects to every lane of a row and warms it; one that answers wrongly is left out, and told. */
async function openTracks(row: Row, options: Options, reporter: Reporter): Promise<Track[]> {
  const tracks: Track[] = [];
  for (const lane of row.lanes) {
    const load = new Load(lane.url, row.connections, lane.call);
    const fault = await firstFault(lane, load);
    if (fault !== undefined) {
      reporter.problem(`row ${row.id}: ${lane.label} does not answer as it should: ${fault}`);
      await load.close();
      continue;
    }
    reporter.progress(`warming ${lane.label} for row ${row.id}`);
    await lane.prepare?.();
    // Rows at one connection use processes that an earlier row has warmed already.
    await load.run(row.connections === 1 ? options.warmUpMs / 4 : options.warmUpMs);
    tracks.push({ lane, load, turns: [] });
  }
  return tracks;
}

async function firstFault({ prepare }: Lane, load: Load): Promise<string | undefined> {
  const deadline = performance.now() + ANSWERS_WITHIN_MS;
  for (;;) {
    await prepare?.();
    const { errors, faults } = await load.run(1);
    if (errors === 0) return undefined;
    if (performance.now() > deadline) return faults[0];
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function turn({ lane, load }: Track, ms: number): Promise<Turn> {
  await lane.prepare?.();
  const before = cpuMs(lane.pid);
  const slice = await load.run(ms);
  const after = cpuMs(lane.pid);
  const known = before !== undefined && after !== undefined && slice.answered > 0;
  return { ...slice, cpuUs: known ? ((after - before) * 1000) / slice.answered : undefined };
}

function sliceMs({ connections }: Row, options: Options): number {
  return connections === 1 ? options.sliceMs / 2 : options.sliceMs;
}

function measuredLane({ lane, turns }: Track): MeasuredLane {
  const of = (pick: (turn: Turn) => number): number => median(turns.map(pick));
  const cpuUs = of((turn) => turn.cpuUs ?? Number.NaN);
  return {
    contestant: lane.contestant,
    label: lane.label,
    turns,
    rate: of((turn) => turn.rate),
    p50: of((turn) => turn.p50),
    p99: of((turn) => turn.p99),
    cpuUs: Number.isNaN(cpuUs) ? undefined : cpuUs,
    errors: turns.reduce((sum, { errors }) => sum + errors, 0),
  };
}
