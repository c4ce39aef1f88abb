import { EventEmitter } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { loadConfig, processContext } from './load.ts';
import type { Config } from './schema.ts';
import { watchConfig, type ReloadOutcome, type WatchOptions } from './watch.ts';

const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

function start(text: string, over: Partial<WatchOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-config-'));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'gw.yaml');
  writeFileSync(file, text);
  const load = () => loadConfig(file, processContext());
  const first = load();
  if (!first.ok) throw new Error('the first configuration is bad');
  const signals = new EventEmitter();
  const applied: string[] = [];
  const outcomes: ReloadOutcome[] = [];
  const watch = watchConfig({
    file,
    current: first.config,
    load,
    apply: (config) => void applied.push(config.log.level),
    report: (outcome) => outcomes.push(outcome),
    signals,
    settleMs: 20,
    ...over,
  });
  cleanups.push(() => watch.close());
  return { file, folder, signals, watch, applied, outcomes };
}

describe('a watched configuration', () => {
  it('is applied when its file changes', async () => {
    const { file, applied } = start('log: { level: info }');
    writeFileSync(file, 'log: { level: debug }');
    await expect.poll(() => applied).toEqual(['debug']);
  });

  it('is applied when its file is replaced, again and again', async () => {
    const { file, folder, applied } = start('log: { level: info }');
    for (const level of ['debug', 'warn']) {
      writeFileSync(join(folder, '.tmp'), `log: { level: ${level} }`);
      renameSync(join(folder, '.tmp'), file);
      await expect.poll(() => applied.at(-1)).toBe(level);
    }
  });

  it('is applied on SIGHUP', async () => {
    process.env['ISTHMUS_TEST_LEVEL'] = 'info';
    cleanups.push(() => delete process.env['ISTHMUS_TEST_LEVEL']);
    const { signals, applied } = start('log: { level: "${env:ISTHMUS_TEST_LEVEL}" }');
    process.env['ISTHMUS_TEST_LEVEL'] = 'error';
    signals.emit('SIGHUP');
    await expect.poll(() => applied).toEqual(['error']);
  });

  it('that is bad keeps the old one, says why, and recovers', async () => {
    const { file, watch, applied } = start('log: { level: info }');
    writeFileSync(file, 'log: { level: loud }');
    expect(await watch.reload()).toEqual({
      kind: 'rejected',
      mistakes: [
        {
          path: 'log.level',
          message: 'expected trace, debug, info, warn, error, fatal or silent',
        },
      ],
    });
    expect(applied).toEqual([]);
    writeFileSync(file, 'log: { level: warn }');
    await watch.reload();
    expect(applied).toEqual(['warn']);
  });

  it('that means the same is not applied', async () => {
    const { file, watch, applied } = start('log: { level: info }');
    writeFileSync(file, '# a comment\nlog:\n  level: info\n');
    expect(await watch.reload()).toEqual({ kind: 'unchanged' });
    expect(applied).toEqual([]);
  });

  it('cannot move the listener or the store of a running process', async () => {
    const { file, watch, applied } = start('gateway: { listen: { port: 1 } }');
    writeFileSync(file, 'gateway: { listen: { port: 2 } }\nstore: { url: "sqlite:y" }');
    const message = 'changes only with a restart; the old configuration stays';
    expect(await watch.reload()).toEqual({
      kind: 'rejected',
      mistakes: [
        { path: 'gateway.listen', message },
        { path: 'store.url', message },
      ],
    });
    expect(applied).toEqual([]);
  });

  it('takes up issuers, clients and connections, not where people log in', async () => {
    const auth = (issuers: string) => `auth: { issuers: [${issuers}] }\n`;
    const idp = 'issuer: https://idp.example, organization: local';
    const other = '{ issuer: https://other.example, organization: local }';
    const { file, watch } = start(auth(`{ ${idp}, login: { clientId: a } }`));
    const connections = 'connections: [{ id: mail, issuer: https://as.example }]\n';
    const clients = `  clients: [{ clientId: https://c.example/c.json, organization: local }]\n`;
    writeFileSync(
      file,
      `auth:\n  issuers: [{ ${idp}, login: { clientId: a } }, ${other}]\n${clients}${connections}`,
    );
    expect((await watch.reload()).kind).toBe('applied');
    writeFileSync(file, auth(`{ ${idp}, login: { clientId: b } }`));
    const message = 'changes only with a restart; the old configuration stays';
    expect(await watch.reload()).toEqual({
      kind: 'rejected',
      mistakes: [{ path: 'auth.issuers', message }],
    });
  });

  it('takes up what is lent, and that nothing is lent any more', async () => {
    const peers = 'peers: [{ id: travel, mcp: { url: "https://travel.example/mcp" } }]\n';
    const configs: Config[] = [];
    const { file, watch } = start(peers, { apply: (config) => void configs.push(config) });
    writeFileSync(file, `${peers}lending: [{ to: travel, tools: [files/*] }]`);
    expect((await watch.reload()).kind).toBe('applied');
    writeFileSync(file, peers);
    expect((await watch.reload()).kind).toBe('applied');
    expect(configs.map(({ lending }) => lending.map(({ to }) => to))).toEqual([['travel'], []]);
  });

  it('cannot change a limit of a running process, and says which', async () => {
    const { file, watch, applied } = start('limits: { syncCall: 5s }');
    writeFileSync(file, 'limits: { syncCall: 6s }\ntelemetry: { metrics: false }');
    const message = 'changes only with a restart; the old configuration stays';
    const outcome = await watch.reload();
    expect(outcome.kind === 'rejected' && outcome.mistakes).toEqual([
      { path: 'limits.syncCall', message },
      { path: 'telemetry.metrics', message },
    ]);
    expect(applied).toEqual([]);
  });

  it('that cannot be applied stays out of force, so that a later reload tries again', async () => {
    let fail = true;
    const { file, watch } = start('log: { level: info }', {
      apply() {
        if (fail) throw new Error('no');
      },
    });
    writeFileSync(file, 'log: { level: warn }');
    expect(await watch.reload()).toEqual({
      kind: 'rejected',
      mistakes: [{ path: '', message: 'no' }],
    });
    fail = false;
    expect((await watch.reload()).kind).toBe('applied');
  });

  it('is left alone once closed', async () => {
    const { file, signals, watch, outcomes } = start('log: { level: info }');
    watch.close();
    writeFileSync(file, 'log: { level: warn }');
    signals.emit('SIGHUP');
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect(outcomes).toEqual([]);
  });
});
