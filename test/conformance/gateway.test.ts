import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEverythingServer } from '../support/everything-server.ts';
import type { EverythingServer } from '../support/everything-server.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startTasksServer } from '../support/tasks-server.ts';
import type { TasksServer } from '../support/tasks-server.ts';
import { judge, readExpectedFailures, runConformance, TASK_SCENARIOS } from './run.ts';

// The official suite against /mcp/{peer}: a client cannot tell the gateway from the server behind it.
describe('the MCP face of an MCP server', () => {
  let everything: EverythingServer;
  let tasks: TasksServer;
  let gateway: TestGateway;
  let expected: string[];
  beforeAll(async () => {
    everything = await startEverythingServer();
    tasks = await startTasksServer();
    gateway = await startGateway({
      peers: [
        { id: 'everything', mcp: everything.url },
        { id: 'tasking', mcp: tasks.url },
      ],
    });
    expected = await readExpectedFailures(join(import.meta.dirname, 'expected-failures.yaml'));
  });
  afterAll(async () => {
    await gateway.close();
    await everything.close();
    await tasks.close();
  });

  for (const [specVersion, count] of [
    ['2025-06-18', 27],
    ['2025-11-25', 33],
    ['2026-07-28', 40],
  ] as const) {
    it(`passes every server scenario of ${specVersion}`, { timeout: 180_000 }, async () => {
      const results = await runConformance({ url: gateway.mcp('everything'), specVersion });
      expect(results).toHaveLength(count);
      expect(judge(results, expected).unexpected).toEqual([]);
    });
  }

  it('passes every tasks scenario', { timeout: 180_000 }, async () => {
    const results = await runConformance({
      url: gateway.mcp('tasking'),
      scenarios: TASK_SCENARIOS,
    });
    expect(results.map((result) => result.scenario)).toEqual([...TASK_SCENARIOS]);
    expect(judge(results, expected).unexpected).toEqual([]);
  });
});
