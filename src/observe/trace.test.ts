import { describe, expect, it } from 'vitest';
import {
  childOf,
  currentTrace,
  outgoingTraceFields,
  parseTraceparent,
  parseTracestate,
  runWithTrace,
  traceFields,
  traceFrom,
} from './trace.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';
const valid = `00-${traceId}-${spanId}-01`;

/** 1, 2, 3 … in place of randomness. */
function counting() {
  let next = 0;
  return (size: number) => {
    next += 1;
    return new Uint8Array(size).fill(next);
  };
}

describe('a traceparent', () => {
  it('is read', () => {
    expect(parseTraceparent(valid)).toEqual({ traceId, spanId, flags: '01' });
  });

  it('of a later version is read as far as it is known', () => {
    expect(parseTraceparent(`cc-${traceId}-${spanId}-01-what-the-future-holds`)).toEqual({
      traceId,
      spanId,
      flags: '01',
    });
  });

  it('passes only known flags on', () => {
    expect(parseTraceparent(`00-${traceId}-${spanId}-ff`)?.flags).toBe('03');
  });

  it.each([
    undefined,
    42,
    '',
    'garbage',
    valid.toUpperCase(),
    `ff-${traceId}-${spanId}-01`,
    `${valid}-more`,
    `cc-${traceId}-${spanId}-01.more`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId}-${spanId}-1`,
    `00-${traceId}-${spanId}`,
    `${valid}, ${valid}`,
    `${valid}\r\nx: y`,
  ])('%j is refused', (value) => {
    expect(parseTraceparent(value)).toBeUndefined();
  });
});

describe('a tracestate', () => {
  it('is kept in order, from one header or several', () => {
    expect(parseTracestate('rojo=00f067aa, congo=t61rcWkgMzE')).toBe(
      'rojo=00f067aa,congo=t61rcWkgMzE',
    );
    expect(parseTracestate(['a=1', 'tenant@sys=2'])).toBe('a=1,tenant@sys=2');
    expect(parseTracestate('a=1, ,b=2')).toBe('a=1,b=2');
  });

  it.each([
    undefined,
    '',
    'novalue',
    '=v',
    'A=1',
    'a=1,a=2',
    'a=1\r\nx: y',
    'a=b=c',
    `a=${'x'.repeat(257)}`,
    Array.from({ length: 33 }, (_, i) => `k${i}=1`).join(','),
  ])('%j is refused', (value) => {
    expect(parseTracestate(value)).toBeUndefined();
  });
});

describe('a trace', () => {
  it('continues the first carrier that has one', () => {
    const trace = traceFrom(
      [{ traceparent: 'bad' }, { traceparent: valid, tracestate: 'a=1' }],
      counting(),
    );
    expect(trace).toEqual({
      traceId,
      spanId: '0101010101010101',
      parentId: spanId,
      flags: '01',
      state: 'a=1',
    });
    expect(traceFields(trace)).toEqual({
      traceparent: `00-${traceId}-0101010101010101-01`,
      tracestate: 'a=1',
    });
  });

  it('is new where nobody brought one', () => {
    const trace = traceFrom([{}, { tracestate: 'a=1' }], counting());
    expect(traceFields(trace)).toEqual({
      traceparent: `00-${'01'.repeat(16)}-${'02'.repeat(8)}-00`,
    });
  });

  it('never has an id of zeros', () => {
    const trace = traceFrom([], (size) => new Uint8Array(size));
    expect(parseTraceparent(traceFields(trace).traceparent)).toBeDefined();
  });

  it('goes to each peer as a span of its own', () => {
    const random = counting();
    const trace = traceFrom([{ traceparent: valid }], random);
    expect(childOf(trace, random)).toMatchObject({
      traceId,
      spanId: '0202020202020202',
      parentId: '0101010101010101',
    });
    expect(runWithTrace(trace, () => outgoingTraceFields(random))).toEqual({
      traceparent: `00-${traceId}-0303030303030303-01`,
    });
    expect(outgoingTraceFields(random)).toBeUndefined();
  });

  it('is found by everything its request awaits, and by no other request', async () => {
    const seen = await Promise.all(
      ['a', 'b'].map((letter) =>
        runWithTrace({ traceId: letter.repeat(32), spanId, flags: '00' }, async () => {
          await new Promise((resolve) => setTimeout(resolve, 5));
          return currentTrace()?.traceId;
        }),
      ),
    );
    expect(seen).toEqual(['a'.repeat(32), 'b'.repeat(32)]);
    expect(currentTrace()).toBeUndefined();
  });
});
