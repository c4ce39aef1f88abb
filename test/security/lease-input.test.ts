/** SECURITY rows 12 and 20: garbage where a request to lend or an offer stands. Bounded time, clear errors. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RawA2a, say } from '../faces/a2a-raw.ts';
import { WireClient } from '../support/wire-client.ts';
import { callback } from './lending-requests.ts';
import { redeemed, startLending, type LendingWorld } from './lending-world.ts';
import { longestBlock } from './world.ts';

const extension = 'urn:isthmus:ext:tool-lease:v1';
const mcp = 'dev.isthmus/tool-lease';

let world: LendingWorld;
let seen: number;
beforeAll(async () => {
  world = await startLending({
    lending: [{ to: 'agent', tools: ['files/*'], offer: 'request', maxCalls: 5 }],
  });
});
afterAll(() => world.close());
beforeEach(() => {
  seen = world.agent.tasks.length;
});

/** Sends this JSON as the member; how it was taken, in few words. */
async function send(json: string): Promise<string> {
  const raw = new RawA2a(world.gateway.a2a('agent'));
  const { message } = say('x');
  const text = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'SendMessage',
    params: {
      message: { ...message, metadata: 'here' },
      configuration: { returnImmediately: true },
    },
  }).replace('"here"', () => `{"${extension}":${json}}`);
  const { status, body } = await raw.post('', text);
  expect(status).toBeLessThan(500);
  const { task } = body.result ?? {};
  if (task === undefined) return body.error?.message ?? JSON.stringify(body);
  for (const end = Date.now() + 8000; Date.now() < end;) {
    const { state, message: said } = (await raw.get(task.id)).status;
    if (/FAILED|REJECTED/.test(state))
      return said?.parts.map((part) => part.text).join('') ?? state;
    if (world.agent.tasks.length > seen) {
      await world.agent.next();
      return 'reached the agent';
    }
    await new Promise((go) => setTimeout(go, 20));
  }
  throw new Error('nothing came of it');
}

const lend = (members: Record<string, unknown>): string => JSON.stringify({ lend: members });
const tools = ['files/*'];

/** How it was refused; something else where our insides are in it, or it reached the agent. */
function refusal(text: string): string {
  const shows = /node_modules|\.ts:|\bat [\w.]+ \(|TypeError|Cannot read|zod|internal/i.test(text);
  if (shows) return 'it shows our insides';
  return world.agent.tasks.length === seen ? text : 'it reached the agent';
}

describe('garbage in a request to lend is refused, and the agent is not called:', () => {
  const cases: [string, string, RegExp][] = [
    ['a number', '{"lend":7}', /lend: expected an object/],
    ['null', '{"lend":null}', /lend: expected an object/],
    ['a list', '{"lend":[]}', /lend: expected an object/],
    ['no tools', lend({}), /lend\.tools/],
    ['an empty list of tools', lend({ tools: [] }), /lend\.tools/],
    ['tools that are no texts', lend({ tools: [7] }), /lend\.tools\[0\]/],
    [
      'a huge list of tools',
      lend({ tools: Array.from({ length: 100_000 }, () => 'a/b') }),
      /lend\.tools/,
    ],
    [
      'a name as long as a book',
      lend({ tools: [`files/${'x'.repeat(1_000_000)}`] }),
      /lend\.tools/,
    ],
    ['a star in the middle', lend({ tools: ['files/*x*'] }), /lend\.tools/],
    ['a tool without a peer', lend({ tools: ['*'] }), /lend\.tools/],
    ['a prototype as a tool', lend({ tools: ['__proto__'] }), /lend\.tools/],
    ['a negative count', lend({ tools, max_calls: -1 }), /lend\.max_calls/],
    ['a count of zero', lend({ tools, max_calls: 0 }), /lend\.max_calls/],
    ['a count with a fraction', lend({ tools, max_calls: 1.5 }), /lend\.max_calls/],
    [
      'a count without end',
      `{"lend":{"tools":["files/*"],"max_calls":1e999}}`,
      /lend\.max_calls|JSON/,
    ],
    ['a count as a text', lend({ tools, max_calls: '5' }), /lend\.max_calls/],
    ['a time that is over', lend({ tools, expires_in: -5 }), /lend\.expires_in/],
    ['a depth without end', lend({ tools, depth: 1e9 }), /lend\.depth/],
    ['a negative depth', lend({ tools, depth: -1 }), /lend\.depth/],
    ['an approval of its own', lend({ tools, approval: 'maybe' }), /lend\.approval/],
    ['an approval that is a list', lend({ tools, approval: ['always'] }), /lend\.approval/],
    ['a parent that is no URL', lend({ tools: ['*'], parent: 'x' }), /lend\.parent/],
    ['a parent that is a script', lend({ tools: ['*'], parent: 'javascript:x' }), /lend\.parent/],
    [
      'a parent that is a file',
      lend({ tools: ['*'], parent: 'file:///etc/passwd' }),
      /lend\.parent/,
    ],
    ['arguments that are a list', lend({ tools, arguments: [] }), /lend\.arguments/],
    ['arguments for no tool', lend({ tools, arguments: { nothing: {} } }), /lend\.arguments/],
    [
      'arguments of a prototype',
      '{"lend":{"tools":["files/*"],"arguments":{"__proto__":{"x":1}}}}',
      /lend\.arguments/,
    ],
    ['a schema that is true', lend({ tools, arguments: { 'files/*': true } }), /lend\.arguments/],
    [
      'a schema of 1 MB',
      lend({ tools, arguments: { 'files/*': { description: 'x'.repeat(1_000_000) } } }),
      /at most 65536 bytes/,
    ],
    [
      'a schema that is none',
      lend({ tools, arguments: { 'files/*': { type: 'nonsense' } } }),
      /can be enforced/,
    ],
    [
      'a schema elsewhere',
      lend({ tools, arguments: { 'files/*': { $ref: 'https://x.example/s' } } }),
      /can be enforced/,
    ],
    [
      'a schema on this machine',
      lend({ tools, arguments: { 'files/*': { $ref: 'file:///etc/passwd' } } }),
      /can be enforced/,
    ],
    [
      'a dialect of its own',
      lend({ tools, arguments: { 'files/*': { $schema: 'https://x.example/d' } } }),
      /can be enforced/,
    ],
    [
      'a bound per tool that is a text',
      lend({ tools, max_calls_per_tool: { 'files/*': 'x' } }),
      /max_calls_per_tool/,
    ],
    [
      'a bound per prototype',
      '{"lend":{"tools":["files/*"],"max_calls_per_tool":{"__proto__":5}}}',
      /max_calls_per_tool/,
    ],
  ];
  it.each(cases)('%s', async (_title, json, words) => {
    let text = '';
    const blocked = await longestBlock(async () => void (text = await send(json)));
    expect(refusal(text)).toMatch(words);
    expect(blocked).toBeLessThan(1500);
  });
});

describe('ReDoS patterns in a request’s schema take bounded time:', () => {
  /** Whether the text of the call would fit, had anybody the time to find out. */
  const patterns: [pattern: string, fits: boolean][] = [
    ['^(a+)+$', false],
    ['(a|aa)+$', false],
    ['^(([a-z])+.)+[A-Z]([a-z])+$', false],
    ['(.*)*x', false],
    ['^(\\w+\\s?)*$', false],
    ['(a?){50}a{50}', true],
    ['a*a*a*a*a*a*a*a*a*a*a*b', false],
    [`${'('.repeat(400)}a${')'.repeat(400)}`, true],
    ['(?=(a+))+b', false],
    ['[', false],
  ];
  it.each(patterns)('%s', async (pattern, fits) => {
    const schema = { properties: { text: { pattern } } };
    const request = { tools: ['files/echo'], arguments: { 'files/echo': schema } };
    let outcome = '';
    const blocked = await longestBlock(async () => {
      const lent = await redeemed(world, { request }).catch((error: unknown) => error as Error);
      if (lent instanceof Error) outcome = lent.message;
      else {
        const { result } = await lent.call('files__echo', { text: `${'a'.repeat(5000)}!` });
        // What takes too long to check is refused, not let through.
        outcome = result?.['isError'] === true ? 'refused' : 'passed';
      }
    });
    expect(outcome).toMatch(fits ? /can be enforced|refused|passed/ : /can be enforced|refused/);
    expect(blocked).toBeLessThan(1500);
  });

  it('and so do many schemas at once', async () => {
    const entries = Array.from({ length: 256 }, (_, n): [string, unknown] => [
      `files/tool_${n}`,
      {
        properties: { text: { pattern: `^(a|b|ab)*c{${n}}$` } },
        allOf: [{ $ref: '#/properties/text' }],
      },
    ]);
    const started = performance.now();
    const text = await send(lend({ tools, arguments: Object.fromEntries(entries) }));
    expect(refusal(text)).toMatch(/lend\.arguments/);
    expect(performance.now() - started).toBeLessThan(8000);
  });

  it('schemas that each compile in time hold up nobody together', async () => {
    const slow = (n: number) => ({
      oneOf: Array.from({ length: 80 }, (_, m) => ({ const: n * 1000 + m })),
    });
    const entries = Array.from({ length: 250 }, (_, n) => [`files/tool_${n}`, slow(n)]);
    const json = lend({ tools, arguments: Object.fromEntries(entries) as never });
    const blocked = await longestBlock(() => send(json));
    expect(blocked).toBeLessThan(1500);
  });
});

describe('deep objects', () => {
  it.each([
    ['in the member', (deep: string) => deep],
    ['in lend', (deep: string) => `{"lend":${deep}}`],
    [
      'in a schema',
      (deep: string) => `{"lend":{"tools":["files/*"],"arguments":{"files/*":{"const":${deep}}}}}`,
    ],
    ['in an unknown member', (deep: string) => `{"lend":{"tools":["files/*"],"x":${deep}}}`],
  ])('%s', async (_title, around) => {
    for (const depth of [200, 20_000]) {
      const deep = `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
      const blocked = await longestBlock(async () => {
        expect(await send(around(deep))).not.toMatch(/internal|RangeError|stack/i);
      });
      expect(blocked).toBeLessThan(1500);
      seen = world.agent.tasks.length;
    }
    expect((await redeemed(world, { request: { tools } })).offer.tools).toContain('files__echo');
  });
});

describe('the member itself', () => {
  it.each(['7', '"text"', '[]', 'true'])('%s is refused', async (json) => {
    expect(refusal(await send(json))).toMatch(/lend: expected an object/);
  });

  it('null or an empty object asks for nothing and goes no further', async () => {
    for (const json of ['null', '{}', '{"__proto__":{"lend":{"tools":["files/*"]}}}']) {
      const text = await send(json);
      seen = world.agent.tasks.length;
      if (text !== 'reached the agent') continue;
      expect(world.agent.tasks.at(-1)?.offer).toBeUndefined();
      expect(JSON.stringify(world.agent.tasks.at(-1)?.message)).not.toContain(extension);
    }
  });

  it('the prototype of everything is what it was', async () => {
    await send(
      '{"__proto__":{"polluted":1},"lend":{"tools":["files/*"],"__proto__":{"polluted":1}}}',
    );
    await send('{"constructor":{"prototype":{"polluted":1}},"lend":{"tools":["files/*"]}}');
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it.each([
    ['of wrong types', { iss: 7, resource: [], lease_ref: {}, exp: 'x', tools: 'x' }],
    ['without an issuer', { lease_ref: 'x'.repeat(43), exp: 9e9, tools: ['a'] }],
    [
      'with a local file as issuer',
      {
        iss: 'file:///etc/passwd',
        resource: 'file:///x',
        lease_ref: 'x'.repeat(43),
        exp: 9e9,
        tools: ['a'],
      },
    ],
    [
      'with 100,000 tools',
      {
        iss: 'https://x.example',
        resource: 'https://x.example/mcp',
        lease_ref: 'x'.repeat(43),
        exp: 9e9,
        tools: Array.from({ length: 100_000 }, () => 'a'),
      },
    ],
    [
      'with a reference of 1 MB',
      {
        iss: 'https://x.example',
        resource: 'https://x.example/mcp',
        lease_ref: 'x'.repeat(1_000_000),
        exp: 9e9,
        tools: ['a'],
      },
    ],
    [
      'with via without end',
      {
        iss: 'https://x.example',
        resource: 'https://x.example/mcp',
        lease_ref: 'x'.repeat(43),
        exp: 9e9,
        tools: ['a'],
        via: Array.from({ length: 10_000 }, () => 'https://x.example'),
      },
    ],
  ])('a forged offer %s goes nowhere, and its reference is not repeated', async (_title, offer) => {
    const text = await send(JSON.stringify(offer));
    expect(text).not.toContain('xxxxxxxx');
    for (const { message, offer: got } of world.agent.tasks.slice(seen)) {
      expect(got).toBeUndefined();
      expect(JSON.stringify(message)).not.toContain('tool-lease');
    }
    expect(JSON.stringify(world.gateway.log)).not.toContain('xxxxxxxxxxxxxxxx');
  });
});

describe('over MCP', () => {
  it.each([
    ['a number', 7],
    ['a list', []],
    ['a request without tools', { lend: {} }],
    ['a huge request', { lend: { tools: Array.from({ length: 10_000 }, () => 'files/*') } }],
    [
      'a pattern that takes for ever',
      { lend: { tools, arguments: { 'files/*': { pattern: '^(a+)+$' } } } },
    ],
  ])('%s in _meta is refused, and the agent is not called', async (_title, member) => {
    const wire = new WireClient(world.gateway.mcp('agent'));
    const params = { name: 'hold', arguments: { message: 'x' } };
    const answer = await wire.request('tools/call', params, {
      meta: { [mcp]: member },
      capabilities: {},
    });
    expect(answer.status).toBeLessThan(500);
    expect(refusal(JSON.stringify(answer.error ?? answer.result))).toMatch(/lend/);
  });
});

it('garbage at a callback endpoint is answered, never with a 500, and costs no call', async () => {
  const { offer, token, key, call } = await redeemed(world, { request: { tools } });
  const names: unknown[] = [7, null, {}, [], '', 'x'.repeat(100_000), undefined];
  for (const name of names) {
    const params = { name, arguments: { text: 'x' } };
    const shape = { token, key, method: 'tools/call', params };
    const { status, result, error } = await callback(offer.resource, shape);
    expect(status).toBeLessThan(500);
    expect(error !== undefined || status >= 400).toBe(true);
    expect(result).toBeUndefined();
  }
  for (const args of [7, 'x', [], null]) {
    const params = { name: 'files__echo', arguments: args };
    const { status } = await callback(offer.resource, { token, key, method: 'tools/call', params });
    expect(status).toBeLessThan(500);
  }
  const answers = await Promise.all(
    Array.from({ length: 5 }, () => call('files__echo', { text: 'x' })),
  );
  expect(
    answers.filter(({ result }) => result?.['isError'] !== true).length,
  ).toBeGreaterThanOrEqual(4);
});
