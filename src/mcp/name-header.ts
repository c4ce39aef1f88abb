/**
 * The `Mcp-Name` header, which mirrors what a request is about.
 *
 * Spec: MCP 2026-07-28 basic/transports/streamable-http, "Standard Request Headers"; MCP Tasks
 * extension, "Streamable HTTP: Routing Headers"
 */
import type { Json } from '../model/json.ts';
import { fault, rpcCode } from './errors.ts';
import type { Fault } from './errors.ts';
import { decodeHeader } from './param-headers.ts';
import type { RpcRequest } from './rpc.ts';

/** The parameter that the header of a method mirrors. */
const sources: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
};

/** The fault of a header that is missing, malformed or names something else. */
export function nameHeaderFault(
  message: RpcRequest,
  header: string | string[] | undefined,
): Fault | undefined {
  const source = Object.hasOwn(sources, message.method) ? sources[message.method] : undefined;
  if (source === undefined) return undefined;
  const value: Json | undefined = message.params?.[source];
  if (typeof value !== 'string') return undefined;
  if (header === undefined) return mismatch(`Mcp-Name is missing, the body names ${value}`);
  const named = typeof header === 'string' ? decodeHeader(header) : undefined;
  if (named === undefined) return mismatch('Mcp-Name is not a valid header value');
  return named === value ? undefined : mismatch(`Mcp-Name names ${named}, the body names ${value}`);
}

function mismatch(detail: string): Fault {
  return fault(rpcCode.headerMismatch, 400, `Header mismatch: ${detail}`);
}
