import { afterEach, describe, expect, it } from 'vitest';
import { mcpEchoCall } from '../../bench/calls.ts';
import { compare } from '../../bench/compare.ts';
import { listenJson, readText, sendJson } from '../../bench/json-http.ts';
import type { JsonListener } from '../../bench/json-http.ts';
import { Load, median, quantile } from '../../bench/load.ts';
import type { Slice } from '../../bench/load.ts';
import type { MeasuredLane, Turn } from '../../bench/measure.ts';
import { readOptions } from '../../bench/options.ts';
import type { EchoCall, RpcRequest } from '../../bench/wire.ts';

const started: { close: () => Promise<void> }[] = [];

afterEach(async () => {
  for (const one of started.splice(0).toReversed()) await one.close();
});

async function sliceAgainst(listener: JsonListener, ms = 60): Promise<Slice> {
  const server = await listenJson(listener);
  const load = new Load(`${server.origin}/mcp`, 2, mcpEchoCall);
  started.push(server, load);
  return load.run(ms);
}

function answering(result: (message: string) => unknown): JsonListener {
  return async (request, response) => {
    const call = JSON.parse(await readText(request)) as RpcRequest<EchoCall>;
    const text = call.params.arguments.message;
    sendJson(response, 200, { jsonrpc: '2.0', id: call.id, result: result(text) });
  };
}

describe('the load generator', () => {
  it('sends the headers and the envelope that MCP 2026-07-28 asks for', async () => {
    const seen: unknown[] = [];
    await sliceAgainst(async (request, response) => {
      const { params, method } = JSON.parse(await readText(request));
      seen.push({
        method,
        version: request.headers['mcp-protocol-version'],
        methodHeader: request.headers['mcp-method'],
        nameHeader: request.headers['mcp-name'],
        accept: request.headers.accept,
        name: params.name,
        meta: params._meta['io.modelcontextprotocol/protocolVersion'],
        capabilities: params._meta['io.modelcontextprotocol/clientCapabilities'],
      });
      sendJson(response, 200, {});
    }, 1);
    expect(seen[0]).toEqual({
      method: 'tools/call',
      version: '2026-07-28',
      methodHeader: 'tools/call',
      nameHeader: 'echo',
      accept: 'application/json, text/event-stream',
      name: 'echo',
      meta: '2026-07-28',
      capabilities: {},
    });
  });

  it('counts right answers', async () => {
    const slice = await sliceAgainst(
      answering((text) => ({ resultType: 'complete', content: [{ type: 'text', text }] })),
    );
    expect(slice.errors).toBe(0);
    expect(slice.answered).toBeGreaterThan(1);
    expect(slice.p99).toBeGreaterThanOrEqual(slice.p50);
  });

  it.each([
    ['a tool error', { resultType: 'complete', isError: true, content: [] }, /^tool error/],
    ['another text', { resultType: 'complete', content: [{ type: 'text', text: 'x' }] }, /missing/],
    ['a task', { resultType: 'task', taskId: 't' }, /^result type task/],
  ])('does not count %s as throughput', async (_title, result, fault) => {
    const slice = await sliceAgainst(answering(() => result));
    expect(slice.answered).toBe(0);
    expect(slice.rate).toBe(0);
    expect(slice.errors).toBeGreaterThan(0);
    expect(slice.faults[0]).toMatch(fault);
  });

  it('does not count a status other than 200, a wrong id or a cut connection', async () => {
    const status = await sliceAgainst(async (_request, response) => sendJson(response, 503, {}));
    expect([status.answered, status.faults[0]]).toEqual([0, 'HTTP 503: {}']);
    const id = await sliceAgainst(async (_request, response) =>
      sendJson(response, 200, { jsonrpc: '2.0', id: 'other', result: {} }),
    );
    expect([id.answered, id.faults[0]]).toEqual([0, 'id other for call 1']);
    const cut = await sliceAgainst(async (request) => void request.socket.destroy());
    expect(cut.answered).toBe(0);
    expect(cut.errors).toBeGreaterThan(0);
  });

  it('reads an answer that comes as an event stream', async () => {
    const slice = await sliceAgainst(async (request, response) => {
      const call = JSON.parse(await readText(request)) as RpcRequest<EchoCall>;
      const content = [{ type: 'text', text: call.params.arguments.message }];
      const result = { resultType: 'complete', content };
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(
        `event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', id: call.id, result })}\n\n`,
      );
    });
    expect(slice.faults).toEqual([]);
    expect(slice.answered).toBeGreaterThan(1);
  });
});

describe('the figures', () => {
  it('a quantile is a value of the list', () => {
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(3);
    expect(quantile([1, 2, 3, 4], 0.99)).toBe(4);
    expect(quantile([], 0.5)).toBeNaN();
  });

  it('a median lies between the middle two and leaves out what is missing', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([Number.NaN, 7])).toBe(7);
    expect(median([])).toBeNaN();
  });

  it('throughput is compared within each round and held to its bar', () => {
    const lanes = [lane('floor', [100, 200, 400]), lane('gateway', [70, 100, 280])];
    expect(compare([{ id: '1', title: 't', connections: 16, lanes }])).toEqual([
      {
        row: '1',
        text: 'throughput of gateway / floor',
        value: 0.7,
        unit: '×',
        bar: { op: '≥', value: 0.6 },
        met: true,
      },
    ]);
  });

  it('with auth on, at least 95 of 100 calls of the open gateway are asked for', () => {
    const lanes = [lane('gateway', [90, 94, 100]), lane('gateway-open', [100, 100, 100])];
    expect(compare([{ id: '1', title: 't', connections: 16, lanes }])).toMatchObject([
      { text: 'throughput of gateway / gateway-open', value: 0.94, met: false },
    ]);
  });

  it('a callback may take one and a half times the same call made directly', () => {
    const lanes = [
      lane('callback', [50, 50, 80], [3, 2, 1]),
      lane('gateway', [100, 100, 100], [1, 1, 1]),
    ];
    const found = (connections: number) =>
      compare([{ id: '5', title: 't', connections, lanes }]).map(({ text, value, met }) => [
        text,
        value,
        met,
      ]);
    expect(found(16)).toEqual([
      ['p50 of callback / gateway', 2, undefined],
      ['time a call of callback / gateway', 2, false],
    ]);
    expect(found(1)).toEqual([
      ['p50 of callback / gateway', 2, false],
      ['time a call of callback / gateway', 2, undefined],
    ]);
  });

  it('at one connection what counts is what is added to a direct call', () => {
    const lanes = [
      lane('direct', [1, 1], [0.25, 0.25]),
      lane('floor', [1, 1], [0.5, 0.5]),
      lane('gateway', [1, 1], [0.75, 0.75]),
    ];
    const found = compare([{ id: '4a', title: 't', connections: 1, lanes }]);
    expect(found.map(({ text, value, met }) => [text, value, met])).toEqual([
      ['p50 that floor adds to a direct call', 0.25, undefined],
      ['p50 that gateway adds to a direct call', 0.5, true],
      ['p50 that gateway adds / that floor adds', 2, false],
    ]);
  });
});

describe('the command line', () => {
  it('measures everybody in four rounds unless told otherwise', () => {
    const options = readOptions([]);
    expect(options?.rounds).toBe(4);
    expect([...(options?.only ?? [])]).toEqual([
      'direct',
      'floor',
      'obvious',
      'mcp-proxy',
      'gateway',
      'gateway-open',
      'callback',
    ]);
  });

  it('refuses a contestant or a number that it does not know', () => {
    expect(() => readOptions(['--only', 'floor,nobody'])).toThrow('"nobody" is none of direct');
    expect(() => readOptions(['--rounds', 'many'])).toThrow('--rounds: "many" is no number ≥ 1');
  });
});

function lane(
  contestant: 'direct' | 'floor' | 'gateway' | 'gateway-open' | 'callback',
  rates: number[],
  p50s: number[] = rates,
): MeasuredLane {
  const turns: Turn[] = rates.map((rate, round) => ({
    answered: rate,
    errors: 0,
    faults: [],
    rate,
    p50: p50s[round] ?? 0,
    p99: 0,
    cpuUs: undefined,
  }));
  const none = { rate: 0, p50: 0, p99: 0, cpuUs: undefined, errors: 0 };
  return { contestant, label: contestant, turns, ...none };
}
