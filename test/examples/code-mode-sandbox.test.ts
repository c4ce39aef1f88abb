/** The sandbox of the code-mode server: what code can do in it, and what it cannot. */
import { performance } from 'node:perf_hooks';
import { describe, expect, it } from 'vitest';
import { runCode, type RunOptions } from '../../examples/code-mode-server/sandbox.ts';

const add = { name: 'sums__add', description: 'Adds', inputSchema: { type: 'object' } };
const forever = { name: 'sums__forever', description: 'Never answers', inputSchema: {} };

/** Runs code that is lent a tool which adds, and one which never answers. */
function run(code: string, options: Partial<RunOptions> = {}) {
  return runCode({
    code,
    tools: [add, forever],
    async call(name, args, signal) {
      if (name === forever.name) {
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true });
        });
      }
      const { a, b } = args;
      if (typeof a !== 'number' || typeof b !== 'number') throw new Error('Two numbers, please.');
      return { sum: a + b };
    },
    signal: new AbortController().signal,
    ...options,
    limits: { computeMs: 500, totalMs: 5000, ...options.limits },
  });
}

describe('code in the sandbox', () => {
  it('returns a value, prints, and calls lent tools as async functions', async () => {
    const code = `
      console.log('adding', { a: 1 });
      const sums = await Promise.all([1, 2, 3].map((a) => sums__add({ a, b: 10 })));
      return { sums: sums.map(({ sum }) => sum), tools: tools.map(({ name }) => name) };`;
    expect(await run(code)).toEqual({
      value: { sums: [11, 12, 13], tools: ['sums__add', 'sums__forever'] },
      console: ['adding {"a":1}'],
      calls: [
        { tool: 'sums__add', outcome: 'ok' },
        { tool: 'sums__add', outcome: 'ok' },
        { tool: 'sums__add', outcome: 'ok' },
      ],
    });
  });

  it('can catch what a tool says when it fails', async () => {
    const code = `try { await sums__add({ a: 'one' }); } catch (error) { return error.message; }`;
    expect(await run(code)).toEqual({
      value: 'Two numbers, please.',
      console: [],
      calls: [{ tool: 'sums__add', outcome: 'failed' }],
    });
  });

  it('is told what it threw, and where the text is no program', async () => {
    expect((await run(`throw new TypeError('no');`)).error).toBe('TypeError: no');
    expect((await run(`return (`)).error).toMatch(/^SyntaxError: /);
    expect((await run(`throw 'text';`)).error).toBe('The code threw something that is no error.');
  });

  it('has no value where it returns none', async () => {
    expect(await run(`1 + 1;`)).toEqual({ console: [], calls: [] });
  });
});

describe('code that wants to stay', () => {
  it.each([
    ['an endless loop', `for (;;) {}`],
    ['an endless loop that catches', `for (;;) { try { for (;;) {} } catch {} }`],
    ['a chain of promises without end', `for (;;) await undefined;`],
    ['a getter of the returned value', `return { get a() { for (;;) {} } };`],
    ['a regular expression that backtracks', `return /^(a+)+$/.test('a'.repeat(64) + 'b');`],
  ])('is stopped: %s', async (_name, code) => {
    const started = performance.now();
    const { error } = await run(code);
    expect(error).toBe('The code computed for more than 500 ms and was stopped.');
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it('is not waited for when its promise can never settle', async () => {
    const { error } = await run(`await new Promise(() => {});`);
    expect(error).toBe('The code waits for something that never happens.');
  });

  it('is ended when a tool does not answer in time', async () => {
    const outcome = await run(`await sums__forever();`, { limits: { totalMs: 1500 } });
    expect(outcome).toEqual({
      error: 'The code was not done after 1500 ms.',
      console: [],
      calls: [{ tool: 'sums__forever', outcome: 'unanswered' }],
    });
  });

  it('is ended by whoever called it', async () => {
    const stop = new AbortController();
    const running = run(`await sums__forever();`, { signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
  });
});

describe('code that wants everything', () => {
  it.each([
    ['many objects', `const all = []; for (;;) all.push({});`],
    ['a string', `let text = 'x'; for (;;) text += text;`],
    ['one allocation', `return new ArrayBuffer(2 ** 31 - 1);`],
  ])('gets no more memory than there is: %s', async (_name, code) => {
    const limits = { computeMs: 10_000, totalMs: 15_000 };
    const { error = '' } = await run(code, { limits });
    expect(error).toMatch(/out of memory|string too long|invalid array buffer length/);
    expect((await run(`return 'still here';`)).value).toBe('still here');
  });

  it('gets no deeper than the stack', async () => {
    const { error } = await run(`const deeper = () => deeper() + 1; return deeper();`);
    expect(error).toMatch(/stack/);
  });

  it('returns no more than a model can bear', async () => {
    const { error, value } = await run(`return 'x'.repeat(1_000_000);`);
    expect(value).toBeUndefined();
    expect(error).toBe('The value has 1000002 characters, more than 65536: return less.');
  });

  it('prints no more than is kept', async () => {
    const outcome = await run(`for (let i = 0; i < 100_000; i += 1) console.log('x'.repeat(100));`);
    expect(outcome.console.join('').length).toBeLessThan(20_000);
    expect(outcome.console.at(-1)).toMatch(/no more is kept/);
  });

  it('makes no more calls than it may', async () => {
    const code = `
      const all = Array.from({ length: 10_000 }, (_, a) => sums__add({ a, b: 0 }).then(() => 1, () => 0));
      return (await Promise.all(all)).reduce((sum, one) => sum + one, 0);`;
    const { value, calls } = await run(code, { limits: { calls: 5, computeMs: 4000 } });
    expect(value).toBe(5);
    expect(calls).toHaveLength(5);
  });
});

describe('code that wants out', () => {
  it('finds nothing of the host among the globals', async () => {
    const names = ['process', 'require', 'fetch', 'setTimeout', 'Worker', 'Buffer', 'WebAssembly'];
    const hidden = ['hostCall', 'hostPrint', 'hostTools'];
    const code = `return ${JSON.stringify([...names, ...hidden])}.filter((name) => name in globalThis);`;
    expect((await run(code)).value).toEqual([]);
  });

  const both = 'return typeof process + typeof require';
  it.each([
    ['the constructor of its globals', `return globalThis.constructor.constructor('${both}')();`],
    ['the constructor of a tool', `return sums__add.constructor('${both}')();`],
    [
      'the constructor of an answer',
      `const answer = await sums__add({ a: 1, b: 2 });
       return answer.constructor.constructor('${both}')();`,
    ],
    [
      'the constructor of an error of the program',
      `try { await sums__add({}); } catch (error) { return error.constructor.constructor('${both}')(); }`,
    ],
  ])('reaches nothing of the program by %s', async (_name, code) => {
    expect((await run(code)).value).toBe('undefinedundefined');
  });

  it('imports nothing', async () => {
    const { error } = await run(`return Object.keys(await import('node:fs'));`);
    expect(error).toBe("ReferenceError: could not load module 'node:fs'");
  });

  it('changes nothing for others with the prototypes that it has', async () => {
    const code = `
      Object.prototype.polluted = true;
      Array.prototype.push = () => { throw new Error('mine'); };
      JSON.parse = () => ({ sum: 'forged' });
      JSON.stringify = () => '{"a":0,"b":0}';
      Promise.prototype.then = undefined;
      return (await sums__add({ a: 1, b: 2 })).sum;`;
    expect((await run(code)).value).toBe(3);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect((await run(`return [({}).polluted === undefined, [].push(1)];`)).value).toEqual([
      true,
      1,
    ]);
  });

  it('makes no prototype of the program by a name in its arguments', async () => {
    const seen: unknown[] = [];
    const code = `await sums__add(JSON.parse('{"__proto__": {"polluted": true}, "a": 1, "b": 2}'));`;
    await run(code, {
      async call(_name, args) {
        seen.push(args);
        return null;
      },
    });
    expect(seen).toHaveLength(1);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(Object.getPrototypeOf(seen[0])).toBe(Object.prototype);
  });

  it('calls no tool that was not lent', async () => {
    expect((await run(`return await files__read_file({ path: '/' });`)).error).toMatch(
      /^ReferenceError: '?files__read_file'? is not defined$/,
    );
    const outcome = await run(`return await callTool('files__read_file', { path: '/' });`);
    expect(outcome).toEqual({
      error: 'Error: The tool "files__read_file" is not lent. See tools for those that are.',
      console: [],
      calls: [{ tool: 'files__read_file', outcome: 'failed' }],
    });
  });

  it('cannot close the function that it is the body of to any use', async () => {
    const { value, error } = await run(
      `})(); globalThis.out = typeof process; (async () => { return out;`,
    );
    expect(value ?? error).toBe('undefined');
  });
});
