/**
 * Kills the gateway at random moments under load and compares what its clients were promised with
 * what its peers were asked to do. `ISTHMUS_CRASH_KILLS` sets how often (20 at least),
 * `ISTHMUS_CRASH_SEED` repeats the choices of a run.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WireClient } from '../support/wire-client.ts';
import { A2aWire } from './a2a-wire.ts';
import { pause } from './child.ts';
import { agentScenarios, CrashClient, leftScenarios, toolScenarios } from './crash-client.ts';
import type { Scenario } from './crash-client.ts';
import { A2aFace, McpFace } from './crash-faces.ts';
import { CrashLedger } from './crash-ledger.ts';
import type { Promised } from './crash-ledger.ts';
import { startCrashPeers } from './crash-peers.ts';
import type { CrashPeers } from './crash-peers.ts';
import { startGatewayProcess } from './gateway-process.ts';
import type { GatewayProcess } from './gateway-process.ts';
import { randomFrom } from './random.ts';

const kills = Math.max(20, Number(process.env['ISTHMUS_CRASH_KILLS'] ?? 20));
const seed = Number(process.env['ISTHMUS_CRASH_SEED'] ?? Date.now() % 2 ** 31);
const clientsPerFace = 4;
/** Within this time after a restart, work that was under way has ended or waits. */
const resumedWithinMs = 10_000;

let dir: string;
let peers: CrashPeers;
let gateway: GatewayProcess;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-crash-'));
  peers = await startCrashPeers(dir);
  gateway = await startGatewayProcess({
    peers: [
      { id: 'agent', a2a: peers.cardUrl },
      { id: 'jobs', mcp: peers.mcpUrl },
    ],
  });
});

afterAll(async () => {
  await gateway?.close();
  await peers?.close();
  rmSync(dir, { recursive: true, force: true });
});

describe(`${kills} kills under load, ISTHMUS_CRASH_SEED=${seed}`, () => {
  const ledger = new CrashLedger();

  test(
    'every task that was promised is found, and ends or waits within 10 s of a restart',
    async () => {
      const random = randomFrom(seed);
      const run = new CrashRun(ledger);
      await run.leave();
      const busy = [
        ...run.clients('mcp', agentScenarios, clientsPerFace),
        ...run.clients('a2a', toolScenarios, clientsPerFace),
      ];
      for (let kill = 0; kill < kills; kill += 1) {
        await pause(random.between(50, 1200));
        await run.kill();
        gateway.launch();
        if (random.next() < 0.15) {
          // Killed again while it starts: recovery must be able to start anew.
          await pause(random.between(100, 1200));
          await run.kill();
          gateway.launch();
        }
        await run.serves();
        if (random.next() < 0.7) await run.caughtUp();
        // The server forgets its tasks after ten minutes: a long run leaves new ones now and then.
        if (kill % 50 === 49) {
          await run.finishLeft();
          await run.leave();
        }
      }
      run.stopping = true;
      await Promise.all(busy);
      await run.finishLeft();
      await run.readAll();
      report(ledger);
      expect(ledger.faults).toEqual([]);
      expect(ledger.promised.filter(({ done }) => !done)).toEqual([]);
    },
    60_000 + kills * 7000,
  );

  test('a task at the agent never fails, and one at the server only with its reason', () => {
    const failed = ledger.promised.filter(({ end }) =>
      /failed|FAILED|REJECTED/i.test(end?.state ?? ''),
    );
    const unexplained = failed.filter(
      ({ face, end }) => face === 'mcp' || !/lost the call|not known/.test(end?.text ?? ''),
    );
    expect(unexplained).toEqual([]);
  });

  test('no message reached the agent twice', () => {
    const entries = peers.agentLedger();
    expect(entries.length).toBeGreaterThan(kills);
    expect(repeated(entries.map(({ messageId }) => messageId))).toEqual([]);
    expect(repeated(entries.map(({ text }) => text))).toEqual([]);
  });

  test('no call was made or executed twice at the server', () => {
    const entries = peers.toolLedger();
    const keyOf = (entry: (typeof entries)[number]): string => String(entry.arguments?.['key']);
    const executed = entries.filter(({ event }) => event === 'executed');
    expect(executed.length).toBeGreaterThan(kills);
    expect(repeated(executed.map(keyOf))).toEqual([]);
    // A call in two rounds is sent twice, once without and once with the answers.
    const rounds = entries
      .filter(({ event }) => event === 'received')
      .map((entry) => `${keyOf(entry)} ${entry.params?.['inputResponses'] !== undefined}`);
    expect(repeated(rounds)).toEqual([]);
  });

  test('what was promised was really done', () => {
    const messages = new Set(peers.agentLedger().map(({ text }) => text.split(' ').at(-1)));
    const executed = new Set(
      peers
        .toolLedger()
        .filter(({ event }) => event === 'executed')
        .map((entry) => entry.arguments?.['key']),
    );
    const missing = ledger.promised.filter(({ face, key, end }) =>
      face === 'mcp'
        ? !messages.has(key)
        : end?.state === 'TASK_STATE_COMPLETED' && !executed.has(key),
    );
    expect(missing).toEqual([]);
  });

  test('the last answer that was accepted reached the peer, whatever became of those before', () => {
    const messages = new Set(peers.agentLedger().map(({ text }) => text));
    const answers = JSON.stringify(
      peers.toolLedger().map(({ detail, params }) => [detail, params?.['inputResponses']]),
    );
    const named = ['ask_rounds', 'test_tool_with_task'];
    const lost = ledger.promised.filter(({ face, kind, accepted, end }) => {
      const last = accepted.at(-1);
      if (last === undefined) return false;
      if (face === 'mcp') return !messages.has(last);
      return named.includes(kind) && /COMPLETED/.test(end?.state ?? '') && !answers.includes(last);
    });
    expect(lost).toEqual([]);
  });
});

/** The load, and the gateway's coming and going. */
class CrashRun {
  stopping = false;
  #leaving = 0;
  #isLeaving = true;
  readonly #ledger: CrashLedger;
  readonly #mcp = new McpFace(new WireClient(gateway.mcp('agent')));
  readonly #a2a = new A2aFace(new A2aWire(gateway.a2a('jobs')));
  /** Tasks that are a fault already. */
  readonly #given = new Set<string>();
  #servesSince: number | undefined = performance.now();

  constructor(ledger: CrashLedger) {
    this.#ledger = ledger;
  }

  /** Starts clients; each resolves when it was told to stop and has finished. */
  clients(name: string, scenarios: readonly Scenario[], count: number): Promise<void>[] {
    return Array.from({ length: count }, (_, index) =>
      this.#client(`${name}${index}`, index).run(scenarios),
    );
  }

  /** Leaves some tasks waiting for an answer that does not come before `finishLeft`. */
  async leave(): Promise<void> {
    this.#leaving += 1;
    const clients = this.clients(`left${this.#leaving}-`, leftScenarios, 2);
    await pause(1500);
    this.#isLeaving = false;
    await Promise.all(clients);
    this.#isLeaving = true;
  }

  async kill(): Promise<void> {
    this.#servesSince = undefined;
    await gateway.kill();
    this.#ledger.count('kills');
  }

  async serves(): Promise<void> {
    await gateway.ready();
    this.#servesSince = performance.now();
  }

  /** Waits until everything that was under way has ended. */
  async caughtUp(): Promise<void> {
    const open = this.#ledger.promised.filter(
      ({ done, waitingKey, id }) => !done && waitingKey === undefined && !this.#given.has(id),
    );
    const end = performance.now() + resumedWithinMs;
    while (open.some(({ done }) => !done)) {
      if (performance.now() > end) {
        for (const task of open.filter(({ done }) => !done)) {
          this.#ledger.fault(task, 'is under way for 10 s after a restart');
          this.#given.add(task.id);
        }
        return;
      }
      await pause(20);
    }
  }

  /** Every task that was left waiting still waits, with the same question, and can be answered. */
  async finishLeft(): Promise<void> {
    const client = this.#client(`end${this.#leaving}`, 99);
    for (const task of this.#ledger.promised) {
      if (task.waitingKey === undefined || task.done) continue;
      const seen =
        task.face === 'mcp' ? await this.#mcp.get(task.id) : await this.#a2a.get(task.id);
      if (seen.phase !== 'waiting' || seen.questions[0] !== task.waitingKey) {
        this.#ledger.fault(task, `no longer waits with ${task.waitingKey}: ${seen.digest}`);
      }
      const answer =
        task.face === 'mcp'
          ? client.answerAgent(task)
          : client.answerTool(task, () => ({ confirm: true }));
      await client.finish(task, answer);
    }
  }

  /** Looks at every task once more. */
  async readAll(): Promise<void> {
    for (const task of this.#ledger.promised) {
      const seen = await this.#read(task);
      if (seen === undefined) continue;
      this.#ledger.saw(task, seen);
      if (seen.phase !== 'ended') this.#ledger.fault(task, `never ended: ${seen.digest}`);
    }
  }

  async #read(task: Promised) {
    try {
      return task.face === 'mcp' ? await this.#mcp.get(task.id) : await this.#a2a.get(task.id);
    } catch (error) {
      this.#ledger.fault(task, String(error));
      return undefined;
    }
  }

  #client(name: string, index: number): CrashClient {
    return new CrashClient({
      name,
      mcp: this.#mcp,
      a2a: this.#a2a,
      ledger: this.#ledger,
      random: randomFrom(seed + 1 + index + name.length * 1000),
      stopped: () => this.stopping || (name.startsWith('left') && !this.#isLeaving),
      upFor: () => (this.#servesSince === undefined ? 0 : performance.now() - this.#servesSince),
    });
  }
}

function repeated(all: readonly string[]): string[] {
  const seen = new Set<string>();
  return all.filter((one) => seen.size === seen.add(one).size);
}

function report(ledger: CrashLedger): void {
  const ends = new Map<string, number>();
  for (const { face, end } of ledger.promised) {
    const state = `${face} ${end?.state ?? 'open'}`;
    ends.set(state, (ends.get(state) ?? 0) + 1);
  }
  const facts = [...ledger.counts, ['tasks promised', ledger.promised.length], ...ends];
  process.stdout.write(`${facts.map(([what, count]) => `${what}: ${count}`).join(', ')}\n`);
}
