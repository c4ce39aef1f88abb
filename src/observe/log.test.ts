import { describe, expect, it } from 'vitest';
import { createLogger, type LogLevel } from './log.ts';
import { runWithTrace } from './trace.ts';

function capture(level: LogLevel = 'trace') {
  const lines: string[] = [];
  const logger = createLogger({ level, destination: { write: (line) => void lines.push(line) } });
  return {
    logger,
    lines,
    last: () => JSON.parse(lines.at(-1) ?? 'null') as Record<string, unknown>,
  };
}

describe('a log line', () => {
  it('is JSON with a level name, an ISO time and the fields', () => {
    const { logger, last } = capture();
    logger.warn({ peer: 'travel' }, 'slow');
    expect(last()).toEqual({
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      peer: 'travel',
      msg: 'slow',
    });
  });

  it('carries the trace of the request', () => {
    const { logger, last } = capture();
    const trace = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: '01' };
    runWithTrace(trace, () => logger.info('x'));
    expect(last()).toMatchObject({ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) });
  });

  it('below the level is not written', () => {
    const { logger, lines } = capture('warn');
    logger.info('quiet');
    expect(lines).toEqual([]);
  });
});

describe('a secret', () => {
  const canary = 'CANARY-3f9a';

  it.each([
    'authorization',
    'Authorization',
    'proxy-authorization',
    'cookie',
    'Set-Cookie',
    'token',
    'access_token',
    'refreshToken',
    'client_secret',
    'client_assertion',
    'password',
    'x-api-key',
    'requestState',
    'request_state',
    'dpop',
    'code_verifier',
    'lease_ref',
    'mcp-session-id',
    'credentials',
  ])('under the name %s is redacted at any depth', (name) => {
    const { logger, lines } = capture();
    logger.info({ [name]: canary });
    logger.info({ a: [{ b: { [name]: canary } }] });
    logger.info({ headers: new Headers(/[A-Z_]/.test(name) ? {} : { [name]: canary }) });
    logger.info({ map: new Map([[name, canary]]) });
    logger.child({ [name]: canary }).info('child');
    logger.error(Object.assign(new Error('x'), { [name]: canary }));
    logger.error(new Error('x', { cause: Object.assign(new Error('y'), { [name]: [canary] }) }));
    expect(lines.join('')).not.toContain(canary);
    expect(lines[0]).toContain('[redacted]');
  });

  it.each([
    `Bearer ${canary}`,
    `DPoP ${canary}`,
    `https://as.example/cb?code=${canary}&x=1`,
    `https://user:${canary}@host.example/`,
    'eyJhbGciOiJFUzI1NiJ9.eyJjYW5hcnkiOiJDQU5BUlktM2Y5YSJ9.CANARY-3f9a',
  ])('inside the text %s is redacted', (text) => {
    const { logger, lines } = capture();
    logger.info(text);
    logger.info({ note: text });
    logger.info({ url: text.startsWith('http') ? new URL(text) : text });
    logger.error(new Error(text));
    logger.error({ err: new Error('outer', { cause: new Error(text) }) }, 'failed');
    expect(lines).toHaveLength(5);
    expect(lines.join('')).not.toContain(canary);
    for (const line of lines) expect(() => JSON.parse(line) as unknown).not.toThrow();
  });

  it('that is none stays readable', () => {
    const { logger, last } = capture();
    logger.info({ progressToken: 7, key: 'k1', tokens: 12, url: 'https://x.example/?page=2' });
    expect(last()).toMatchObject({
      progressToken: 7,
      key: 'k1',
      tokens: 12,
      url: 'https://x.example/?page=2',
    });
  });
});

describe('an odd value', () => {
  it('is written without harm', () => {
    const { logger, last } = capture();
    const loop: Record<string, unknown> = { n: 1n, bytes: Buffer.from('abc'), none: undefined };
    loop['self'] = loop;
    logger.info({ loop });
    expect(last()['loop']).toEqual({ n: '1', bytes: '[3 bytes]', self: '[circular]' });
  });

  it('that is an error keeps its cause and stack', () => {
    const { logger, last } = capture();
    logger.error({ err: new TypeError('outer', { cause: new Error('inner') }) }, 'failed');
    expect(last()['err']).toMatchObject({
      type: 'TypeError',
      message: 'outer',
      stack: expect.stringContaining('log.test.ts'),
      cause: { type: 'Error', message: 'inner' },
    });
  });
});
