/** The MCP revision that every MCP request of the bench speaks. */
export const MCP_VERSION = '2026-07-28';

/** The A2A version that every A2A request of the bench speaks. */
export const A2A_VERSION = '1.0';

/** The one tool (MCP) and the one skill (A2A) of the bench's peers. */
export const ECHO = 'echo';

const MCP_META = {
  'io.modelcontextprotocol/protocolVersion': MCP_VERSION,
  'io.modelcontextprotocol/clientInfo': { name: 'isthmus-bench', version: '1.0.0' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

/** Headers of an MCP `tools/call`. Spec: MCP 2026-07-28 basic/transports/streamable-http. */
export function mcpCallHeaders(tool: string): Record<string, string> {
  return {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': MCP_VERSION,
    'mcp-method': 'tools/call',
    'mcp-name': tool,
  };
}

/** Body of an MCP `tools/call`. Spec: MCP 2026-07-28 server/tools. */
export function mcpCallBody(id: number, tool: string, args: Record<string, unknown>): string {
  return JSON.stringify({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name: tool, arguments: args, _meta: MCP_META },
  });
}

/** Headers of an A2A JSON-RPC call. Spec: A2A 1.0 §9. */
export function a2aHeaders(): Record<string, string> {
  return {
    'content-type': 'application/json',
    accept: 'application/json',
    'a2a-version': A2A_VERSION,
  };
}

/** Body of an A2A `SendMessage`. Spec: A2A 1.0 §9.4.1. */
export function a2aSendBody(
  id: number,
  message: A2aMessage,
  configuration?: { returnImmediately: boolean },
): string {
  const params = { message, configuration };
  return JSON.stringify({ jsonrpc: '2.0', id, method: 'SendMessage', params });
}

/** A part as it stands on the A2A wire; the bench uses text and data. */
export interface A2aPart {
  text?: string;
  data?: unknown;
}

/** A message as it stands on the A2A wire. */
export interface A2aMessage {
  messageId: string;
  role: 'ROLE_USER' | 'ROLE_AGENT';
  parts: A2aPart[];
  contextId?: string;
  taskId?: string;
}

/** A task as it stands on the A2A wire. */
export interface A2aTask {
  id: string;
  contextId: string;
  status: { state: string; timestamp?: string; message?: A2aMessage };
  artifacts?: { artifactId: string; name?: string; parts: A2aPart[] }[];
  history?: A2aMessage[];
}

/** A JSON-RPC answer to `SendMessage`. */
export interface A2aAnswer {
  jsonrpc: '2.0';
  id: number | string;
  result?: { message?: A2aMessage; task?: A2aTask };
  error?: { code: number; message: string };
}

/** A JSON-RPC answer to `tools/call`. */
export interface McpAnswer {
  jsonrpc: '2.0';
  id: number | string;
  result?: {
    resultType?: string;
    content?: { type: string; text?: string }[];
    structuredContent?: unknown;
    isError?: boolean;
  };
  error?: { code: number; message: string };
}

/** A JSON-RPC request as peers and floors read it. */
export interface RpcRequest<P> {
  jsonrpc: '2.0';
  id: number | string;
  method: string;
  params: P;
}

/** Parameters of `tools/call` on the echo tool. */
export interface EchoCall {
  name: string;
  arguments: { message: string; contextId?: string };
}
