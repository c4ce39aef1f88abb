import { describe, expect, it } from 'vitest';
import { callerBounds, createAdmission } from './caller-limits.ts';
import { parseConfig } from './config/load.ts';
import type { Config } from './config/schema.ts';
import { anonymous, ownerKey, type OwnerKey } from './model/principal.ts';

function configOf(mode: 'open' | 'oauth', limits: object = {}): Config {
  const result = parseConfig(JSON.stringify({ limits }), { env: {}, readFile: () => '' });
  if (!result.ok) throw new Error(JSON.stringify(result.mistakes));
  return { ...result.config, auth: { ...result.config.auth, mode } };
}

const alice = ownerKey({ ...anonymous, subject: 'alice' });
const bob = ownerKey({ ...anonymous, subject: 'bob' });

describe('the bounds of a caller', () => {
  it('are none in open mode, where everybody is one caller', () => {
    expect(callerBounds(configOf('open'))).toEqual({
      runningTasks: Infinity,
      streams: Infinity,
      sessions: Infinity,
    });
  });

  it('are generous in oauth mode', () => {
    expect(callerBounds(configOf('oauth'))).toEqual({
      rate: { perSecond: 100, burst: 200 },
      runningTasks: 1000,
      streams: 256,
      sessions: 100,
    });
  });

  it('are what the configuration says, in both modes; 0 is none', () => {
    const limits = { perPrincipalRps: 5, perPrincipalBurst: 7, streamsPerPrincipal: 3 };
    expect(callerBounds(configOf('open', limits))).toMatchObject({
      rate: { perSecond: 5, burst: 7 },
      streams: 3,
    });
    expect(callerBounds(configOf('oauth', { perPrincipalRps: 0 })).rate).toBeUndefined();
  });
});

describe('a request', () => {
  const times = (count: number, take: () => number | undefined): number =>
    Array.from({ length: count }, take).filter((wait) => wait === undefined).length;

  it('of one caller is no matter of another', () => {
    const admission = createAdmission(configOf('oauth', { perPrincipalRps: 10 }), () => 0);
    const ask = (owner: OwnerKey) => () => admission.request(owner, 'p');
    expect(times(100, ask(alice))).toBe(20);
    expect(admission.request(alice, 'p')).toBe(100);
    expect(times(20, ask(bob))).toBe(20);
  });

  it('to one peer is no matter of another peer', () => {
    const admission = createAdmission(configOf('open', { perPeerRps: 10 }), () => 0);
    expect(times(100, () => admission.request(alice, 'p'))).toBe(20);
    expect(admission.request(bob, 'p')).toBe(100);
    expect(admission.request(bob, 'q')).toBeUndefined();
    expect(admission.request(bob, undefined)).toBeUndefined();
  });

  it('is never held up in open mode by default', () => {
    const admission = createAdmission(configOf('open'), () => 0);
    expect(times(100_000, () => admission.request(alice, 'p'))).toBe(100_000);
  });
});

describe('refused credentials', () => {
  const admission = () => createAdmission(configOf('oauth', { refusedPerMinute: 60 }), () => 0);

  it('shut out a whole /64 until the minute lets one more in, and nobody else', () => {
    const { refused, mayTry } = admission();
    for (let n = 0; n < 60; n += 1) refused(`2606:4700:1:2::${n.toString(16)}`);
    expect(mayTry('2606:4700:1:2:ffff::9')).toBe(1000);
    expect(refused('2606:4700:1:2:ffff::9')).toBe(1000);
    expect(mayTry('2606:4700:1:3::1')).toBeUndefined();
  });

  it('from a proxy shut out none of its callers, and take no answer from them', () => {
    const { refused, mayTry } = admission();
    for (const shared of ['10.0.0.1', '127.0.0.1', 'fd00::1', undefined]) {
      for (let n = 0; n < 100; n += 1) expect(refused(shared)).toBeUndefined();
      expect(mayTry(shared)).toBeUndefined();
    }
  });

  it('have as many lines in the log, whatever the address', () => {
    const { mayLog } = admission();
    for (const address of ['10.0.0.1', '8.8.8.8', undefined]) {
      const lines = Array.from({ length: 100 }, () => mayLog(address));
      expect(lines.filter(Boolean).length).toBe(60);
    }
  });
});
