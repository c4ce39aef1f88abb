import { testKey } from '../test/support/issuer.ts';
import { a2aTextCall, a2aToolCall, mcpEchoCall, mcpEchoCallAs, withToken } from './calls.ts';
import type { Field } from './field.ts';
import type { Issuer } from './issuer.ts';
import type { CallMaker } from './load.ts';
import type { Contestant } from './options.ts';
import type { Running } from './processes.ts';
import { ProvingCaller, type ProvenCalls } from './proving-caller.ts';
import { ECHO } from './wire.ts';

/** One contestant in one row. */
export interface Lane {
  contestant: Contestant;
  /** Tells two lanes of the same contestant apart. */
  label: string;
  url: string;
  pid: number;
  call: CallMaker;
  /** Done before each turn, outside of what is measured. */
  prepare?: () => Promise<void>;
}

/** One measure: several contestants doing the same work. */
export interface Row {
  id: string;
  title: string;
  connections: number;
  lanes: Lane[];
}

const MANY = 16;

const CALLBACK = 'a lent tool, called back (MCP → MCP)';

/** The name by which the echo tool is lent. */
const LENT_ECHO = `tools__${ECHO}`;

/** The rows for what is running; a row without a contestant is left out. */
export async function rowsOf(field: Field, issuer: Issuer): Promise<Row[]> {
  const gateway = async (path: string, call: CallMaker): Promise<Lane | undefined> => {
    if (field.gateway === undefined) return undefined;
    const token = await issuer.token(field.gateway, path);
    return lane('gateway', field.gateway, path, withToken(call, token));
  };
  const open = (path: string, call: CallMaker): Lane | undefined =>
    lane('gateway-open', field.gatewayOpen, path, call, 'gateway (open)');
  const message = [
    lane('floor', field.floorMessage, '/mcp', mcpEchoCall),
    lane('obvious', field.obviousMessage, '/mcp', mcpEchoCall),
    await gateway('/mcp/message-agent', mcpEchoCall),
  ];
  const task = [
    lane('floor', field.floorTask, '/mcp', mcpEchoCall),
    lane('obvious', field.obviousTask, '/mcp', mcpEchoCall),
    await gateway('/mcp/task-agent', mcpEchoCall),
  ];
  const tool = [
    lane('floor', field.floorTool, '/a2a', a2aToolCall),
    lane('obvious', field.obviousTool, '/a2a', a2aToolCall),
    await gateway('/a2a/tools', a2aToolCall),
  ];
  const proxy = [
    lane('mcp-proxy', field.proxyHttp, '/mcp', mcpEchoCall, 'mcp-proxy (http)'),
    lane('mcp-proxy', field.proxyStdio, '/mcp', mcpEchoCall, 'mcp-proxy (stdio)'),
    await gateway('/mcp/tools', mcpEchoCall),
  ];
  const directAgent = lane('direct', field.messageAgent, '/a2a', a2aTextCall);
  const directServer = lane('direct', field.echoServer, '/mcp', mcpEchoCall);
  const rows = [
    row('1', 'MCP tools/call → A2A, answered with a Message', MANY, [
      ...message,
      open('/mcp/message-agent', mcpEchoCall),
    ]),
    row('1t', 'MCP tools/call → A2A, answered with a completed Task', MANY, task),
    row('2', 'A2A SendMessage → MCP tool', MANY, [...tool, open('/a2a/tools', a2aToolCall)]),
    row('3', 'MCP → MCP', MANY, [...proxy, open('/mcp/tools', mcpEchoCall)]),
    row('4a', 'one connection: MCP → A2A (Message)', 1, [directAgent, ...message]),
    row('4b', 'one connection: A2A → MCP tool', 1, [directServer, ...tool]),
    row('4c', 'one connection: MCP → MCP', 1, [directServer, ...proxy]),
    row('5', CALLBACK, MANY, await callbackLanes(field, issuer)),
    row('5a', `one connection: ${CALLBACK}`, 1, await callbackLanes(field, issuer)),
  ];
  return rows.filter(({ lanes }) => lanes.some(({ contestant }) => contestant !== 'direct'));
}

/**
 * The callback, and the same call at the peer's own face: by a caller whose token is bound to a key
 * as the callback's is, and for information by one with a bearer token.
 */
async function callbackLanes(field: Field, issuer: Issuer): Promise<(Lane | undefined)[]> {
  const { gateway, borrowed } = field;
  if (gateway === undefined || borrowed === undefined) return [];
  const path = '/mcp/tools';
  const key = await testKey();
  const bound = await issuer.token(gateway, path, key);
  const proving = (contestant: Contestant, calls: ProvenCalls): Lane => {
    const caller = new ProvingCaller(calls);
    return {
      contestant,
      label: `${contestant} (DPoP)`,
      url: calls.url,
      pid: gateway.pid,
      call: caller.call,
      prepare: () => caller.prepare(),
    };
  };
  const url = `${gateway.origin}${path}`;
  const bearer = withToken(mcpEchoCall, await issuer.token(gateway, path));
  const lent = { ...borrowed, make: mcpEchoCallAs(LENT_ECHO) };
  const direct = { url, key, token: async () => bound, make: mcpEchoCall };
  return [
    proving('callback', lent),
    proving('gateway', direct),
    lane('gateway', gateway, path, bearer, 'gateway (bearer)'),
  ];
}

function row(id: string, title: string, connections: number, lanes: (Lane | undefined)[]): Row {
  return { id, title, connections, lanes: lanes.filter((found) => found !== undefined) };
}

function lane(
  contestant: Contestant,
  running: Running | undefined,
  path: string,
  call: CallMaker,
  label: string = contestant,
): Lane | undefined {
  if (running === undefined) return undefined;
  return { contestant, label, url: `${running.origin}${path}`, pid: running.pid, call };
}
