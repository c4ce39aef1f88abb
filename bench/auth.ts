/**
 * What it takes to find out who is calling: `node bench/auth.ts [--requests N]`. The resource server
 * alone, in this process, on a real issuer's tokens (ES256) and with the gateway's own store for
 * proofs that were used. The exit code is 1 when a request was not let in.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  ResourceServer,
  type Authentication,
  type Presented,
} from '../src/auth/resource-server/resource-server.ts';
import { openDatabase } from '../src/store/sqlite/database.ts';
import { SqliteReplayStore } from '../src/store/sqlite/replay-store.ts';
import { boundTo, dpopProof, startIssuer, testKey } from '../test/support/issuer.ts';
import type { TestIssuer } from '../test/support/issuer.ts';
import { median, quantile } from './load.ts';
import { machineFacts, machineLine, table } from './report.ts';

const publicUrl = 'https://gateway.example';
const path = '/mcp/tools';
/** A figure is the median of so many slices of the requests. */
const slices = 20;

/** Something that is done over and over; whether it came out right. */
interface Case {
  readonly name: string;
  readonly act: (index: number) => boolean | Promise<boolean>;
}

interface Measured {
  readonly name: string;
  /** The median of the median slice, and the slowest in a hundred of all (µs). */
  readonly medianUs: number;
  readonly p99Us: number;
}

process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { requests: { type: 'string', default: '1000' } } });
  const requests = Number(values.requests);
  const directory = await mkdtemp(join(tmpdir(), 'isthmus-bench-'));
  const database = openDatabase(join(directory, 'gateway.db'));
  const issuer = await startIssuer();
  try {
    const replay = new SqliteReplayStore(database);
    const cases = [
      ...(await authentications(issuer, replay, requests)),
      {
        name: 'of that, keeping the proof on disk',
        act: () => replay.firstUse(`dpop ${randomUUID()}`, Date.now() + 120_000),
      },
    ];
    const rows: Measured[] = [];
    for (const one of cases) rows.push(await measure(one, requests));
    process.stdout.write(
      `${machineLine(machineFacts())}\n${requests} requests of each kind\n\n${printed(rows)}\n`,
    );
    return 0;
  } catch (error) {
    process.stderr.write(`${String(error)}\n`);
    return 1;
  } finally {
    await issuer.close();
    database.close();
    await rm(directory, { recursive: true });
  }
}

/** No two requests are alike where each has to be verified. */
async function authentications(
  issuer: TestIssuer,
  replay: SqliteReplayStore,
  requests: number,
): Promise<Case[]> {
  const server = new ResourceServer({
    publicUrl,
    issuers: [{ issuer: issuer.issuer, organization: 'bench', algorithms: ['ES256'] }],
    ownIssuers: { sts: `${publicUrl}/sts` },
    ownKeys: () => ({ keys: [] }),
    fetch,
    replay,
    clock: Date.now,
  });
  const claims = { aud: `${publicUrl}${path}`, scope: 'peer:*:read peer:*:call' };
  const each = <T>(make: () => Promise<T>): Promise<T[]> =>
    Promise.all(Array.from({ length: requests + 1 }, make));
  const ask = (name: string, presented: readonly Presented[]): Case => ({
    name,
    act: (index) => {
      const one = presented[index % presented.length];
      if (one === undefined) return false;
      const outcome = server.authenticate(one);
      // As the gateway does it: what is known at once costs no turn of the loop.
      return outcome instanceof Promise ? outcome.then(isAdmitted) : isAdmitted(outcome);
    },
  });
  const key = await testKey();
  const bound = await issuer.token({ ...claims, ...(await boundTo(key)) });
  const proof = { key, htm: 'POST', htu: `${publicUrl}${path}`, accessToken: bound };
  return [
    ask('bearer token, seen before', [bearer(await issuer.token(claims))]),
    ask(
      'bearer token, new: its signature is verified',
      (await each(() => issuer.token(claims))).map(bearer),
    ),
    ask(
      'DPoP: token seen before, proof verified and kept on disk',
      (await each(() => dpopProof(proof))).map((one) => presented(`DPoP ${bound}`, one)),
    ),
  ];
}

function bearer(token: string): Presented {
  return presented(`Bearer ${token}`, undefined);
}

function presented(authorization: string, proof: string | undefined): Presented {
  const dpop = proof === undefined ? undefined : [proof];
  return { method: 'POST', path, resourcePath: path, authorization, dpop, hasQueryToken: false };
}

function isAdmitted({ kind }: Authentication): boolean {
  return kind === 'admitted';
}

/** One after the other; the first one, which may fetch keys, is not part of it. */
async function measure({ name, act }: Case, requests: number): Promise<Measured> {
  const times: number[] = [];
  for (let index = 0; index <= requests; index += 1) {
    const started = performance.now();
    const outcome = act(index);
    const isRight = outcome instanceof Promise ? await outcome : outcome;
    if (index > 0) times.push((performance.now() - started) * 1000);
    if (!isRight) throw new Error(`${name}: request ${index} was refused`);
  }
  const size = Math.ceil(times.length / slices);
  const medians = Array.from({ length: slices }, (_, index) =>
    median(times.slice(index * size, (index + 1) * size)),
  );
  times.sort((a, b) => a - b);
  return { name, medianUs: median(medians), p99Us: quantile(times, 0.99) };
}

function printed(rows: readonly Measured[]): string {
  const lines = rows.map(({ name, medianUs, p99Us }) => [
    name,
    medianUs.toFixed(1),
    p99Us.toFixed(1),
  ]);
  return table(['who is calling', 'median µs', 'p99 µs'], lines);
}
