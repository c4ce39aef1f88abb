import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEverythingServer } from '../support/everything-server.ts';
import type { EverythingServer } from '../support/everything-server.ts';
import { startTasksServer } from '../support/tasks-server.ts';
import type { TasksServer } from '../support/tasks-server.ts';
import { judge, readExpectedFailures, runConformance, TASK_SCENARIOS } from './run.ts';
import type { ScenarioResult } from './run.ts';

// What the peers fail by themselves says nothing about a gateway in front of them.
describe('the conformance peers, without a gateway', () => {
  let everything: EverythingServer;
  let tasks: TasksServer;
  beforeAll(async () => {
    everything = await startEverythingServer();
    tasks = await startTasksServer();
  });
  afterAll(async () => {
    await everything.close();
    await tasks.close();
  });

  for (const [specVersion, count] of [
    ['2025-06-18', 27],
    ['2025-11-25', 33],
    ['2026-07-28', 40],
  ] as const) {
    it(`pass every server scenario of ${specVersion}`, { timeout: 180_000 }, async () => {
      const results = await runConformance({ url: everything.url, specVersion });
      expect(results).toHaveLength(count);
      expect(judge(results, []).unexpected).toEqual([]);
      expect(warnings(results)).toEqual([]);
    });
  }

  it('pass every tasks scenario', { timeout: 180_000 }, async () => {
    const results = await runConformance({ url: tasks.url, scenarios: TASK_SCENARIOS });
    expect(results.map((result) => result.scenario)).toEqual([...TASK_SCENARIOS]);
    expect(judge(results, []).unexpected).toEqual([]);
  });
});

function warnings(results: ScenarioResult[]): string[] {
  return results.flatMap(({ scenario, checks }) =>
    checks.filter((check) => check.status === 'WARNING').map(({ id }) => `${scenario}:${id}`),
  );
}

describe('the judgement of conformance results', () => {
  const results: ScenarioResult[] = [
    {
      scenario: 'ping',
      specVersion: '2025-11-25',
      checks: [
        { id: 'ping', status: 'FAILURE', description: 'Answers', errorMessage: 'no answer' },
        { id: 'wire-schema-valid', status: 'SUCCESS', description: '' },
      ],
    },
  ];

  it('reports failures that are not listed', () => {
    expect(judge(results, []).unexpected).toEqual(['2025-11-25 ping:ping no answer']);
  });

  it('accepts listed failures, for all revisions or for one', () => {
    expect(judge(results, ['ping:ping'])).toEqual({ unexpected: [], stale: [] });
    expect(judge(results, ['2025-11-25/ping:ping'])).toEqual({ unexpected: [], stale: [] });
    expect(judge(results, ['2026-07-28/ping:ping']).unexpected).toHaveLength(1);
  });

  it('reports listed failures that pass', () => {
    expect(judge(results, ['ping:ping', 'ping:wire-schema-valid']).stale).toEqual([
      'ping:wire-schema-valid',
    ]);
  });

  it('counts a scenario as failed that could not run', { timeout: 60_000 }, async () => {
    const [result] = await runConformance({
      url: 'http://127.0.0.1:1/mcp',
      specVersion: '2025-11-25',
      scenarios: ['no-such-scenario'],
    });
    expect(result?.checks.map((check) => check.status)).toEqual(['FAILURE']);
  });

  it('reads the list of known failures', async () => {
    const file = join(import.meta.dirname, 'expected-failures.yaml');
    expect(await readExpectedFailures(file)).toEqual([]);
  });
});
