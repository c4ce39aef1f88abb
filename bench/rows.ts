import { a2aTextCall, a2aToolCall, mcpEchoCall, withToken } from './calls.ts';
import type { Field } from './field.ts';
import type { Issuer } from './issuer.ts';
import type { CallMaker } from './load.ts';
import type { Contestant } from './options.ts';
import type { Running } from './processes.ts';

/** One contestant in one row. */
export interface Lane {
  contestant: Contestant;
  /** Tells two lanes of the same contestant apart. */
  label: string;
  url: string;
  pid: number;
  call: CallMaker;
}

/** One measure: several contestants doing the same work. */
export interface Row {
  id: string;
  title: string;
  connections: number;
  lanes: Lane[];
}

const MANY = 16;

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
  ];
  return rows.filter(({ lanes }) => lanes.some(({ contestant }) => contestant !== 'direct'));
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
