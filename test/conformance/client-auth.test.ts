/** The official client-side authorization scenarios, with the gateway as the OAuth client. */
import { createServer, type Server } from 'node:http';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callThrough, type ScenarioStart } from './client-driver.ts';
import { authScenarios, type FittingScenario } from './client-scenarios.ts';
import { checksIn, execute, type ConformanceCheck, type SpecVersion } from './run.ts';

const timeoutMs = 40_000;

let relay: Server;
let endpoint: string;
/** What became of the call in a run, by the number of the run. */
const calls = new Map<string, { outcome: 'answered' | 'refused'; why?: string }>();

beforeAll(async () => {
  relay = createServer((req, res) => {
    const run = (req.url ?? '').slice(1);
    const call = async (): Promise<void> => {
      const { scenario, ...start } = (await json(req)) as ScenarioStart & { scenario: string };
      const found = authScenarios[scenario];
      if (found === undefined || !('setup' in found)) throw new Error(`unknown ${scenario}`);
      await callThrough(start, found.setup);
    };
    call().then(
      () => {
        calls.set(run, { outcome: 'answered' });
        res.end();
      },
      (error: unknown) => {
        calls.set(run, { outcome: 'refused', why: String(error) });
        res.writeHead(500).end(String(error));
      },
    );
  });
  await new Promise<void>((resolve) => void relay.listen(0, '127.0.0.1', resolve));
  endpoint = `http://127.0.0.1:${(relay.address() as AddressInfo).port}`;
});
afterAll(() => {
  relay.closeAllConnections();
  relay.close();
});

let runs = 0;

async function run(
  scenario: string,
  version?: SpecVersion,
): Promise<{ call: unknown; checks: ConformanceCheck[] | undefined }> {
  const directory = await mkdtemp(join(tmpdir(), 'conformance-'));
  const id = String((runs += 1));
  try {
    const relayFile = join(import.meta.dirname, '..', 'support', 'conformance-client.ts');
    const command = `${process.execPath} ${relayFile} ${endpoint}/${id}`;
    const selection = version === undefined ? [] : ['--spec-version', version];
    const args = ['client', '--scenario', scenario, ...selection, '--command', command];
    const output = await execute([...args, '--output-dir', directory], timeoutMs);
    const places = await readdir(directory, { recursive: true });
    const place = places.find((name) => name.endsWith('checks.json'));
    if (place === undefined) throw new Error(output);
    return { call: calls.get(id), checks: await checksIn(join(directory, place, '..')) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

it('every authorization scenario of the installed version has been judged', async () => {
  const list = await execute(['list', '--client'], timeoutMs);
  const names = [...list.matchAll(/^\s+- (auth\/\S+)/gm)].map(([, name]) => name ?? '');
  expect(names.length).toBeGreaterThan(30);
  expect(names.toSorted()).toEqual(Object.keys(authScenarios).toSorted());
});

const fitting = Object.entries(authScenarios).flatMap(([name, scenario]) =>
  'setup' in scenario
    ? (scenario.versions ?? [undefined]).map((version) => ({ name, version, scenario }))
    : [],
);

describe.concurrent(
  'a gateway with the credentials of its operator',
  { timeout: timeoutMs },
  () => {
    it.each(fitting)('passes $name $version', async ({ name, version, scenario }) => {
      const { call, checks = [] } = await run(name, version);
      const { byOperator = [], call: outcome }: FittingScenario = scenario;
      expect(call).toMatchObject({ outcome });
      const missed = checks.filter(({ status }) => status === 'FAILURE' || status === 'WARNING');
      expect(missed.filter(({ id }) => !byOperator.includes(id))).toEqual([]);
      expect(missed.map(({ id }) => id).toSorted()).toEqual([...byOperator].toSorted());
      expect(checks.some(({ status }) => status === 'SUCCESS')).toBe(true);
    });
  },
);
