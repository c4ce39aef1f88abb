/**
 * Recognises the usual modern request without the SDK's schemas, which cost more than all else that
 * a face does with it. Whatever is the least bit unusual is left to the SDK: to recognise nothing
 * would change no answer.
 *
 * Spec: MCP 2026-07-28 basic, "Requests", "_meta"
 */
import { isObject } from '../model/json.ts';
import { modernRevision, tasksExtension } from '../model/mcp.ts';
import type { RpcRequest } from './rpc.ts';

/** What the headers of the request say. */
export interface RequestHeaders {
  version: string | undefined;
  method: string | undefined;
}

const members = new Set(['jsonrpc', 'id', 'method', 'params']);

/** Whether a body is a request of the newest revision that its headers agree with, and nothing odd. */
export function isPlainRequest(body: unknown, headers: RequestHeaders): body is RpcRequest {
  if (!isObject(body) || headers.version !== modernRevision) return false;
  const { jsonrpc, id, method, params } = body;
  if (jsonrpc !== '2.0' || !isIdentifier(id)) return false;
  if (typeof method !== 'string' || method === 'initialize' || method !== headers.method) {
    return false;
  }
  if (!isObject(params) || !isObject(params['_meta'])) return false;
  return hasOnly(body, (name) => members.has(name)) && isPlainMeta(params['_meta']);
}

function isPlainMeta(meta: Record<string, unknown>): boolean {
  let required = 0;
  for (const [key, value] of Object.entries(meta)) {
    switch (key) {
      case 'io.modelcontextprotocol/protocolVersion':
        if (value !== modernRevision) return false;
        required += 1;
        break;
      case 'io.modelcontextprotocol/clientCapabilities':
        if (!isObject(value) || !hasOnly(value, isPlainCapability)) return false;
        required += 1;
        break;
      case 'io.modelcontextprotocol/clientInfo':
        if (!isPlainInfo(value)) return false;
        break;
      case 'progressToken':
        if (!isIdentifier(value)) return false;
        break;
      case 'traceparent':
      case 'tracestate':
        break;
      default:
        return false;
    }
  }
  return required === 2;
}

function isPlainInfo(info: unknown): boolean {
  if (!isObject(info)) return false;
  const { name, version, title = '' } = info;
  return (
    [name, version, title].every((text) => typeof text === 'string') &&
    hasOnly(info, (key) => key === 'name' || key === 'version' || key === 'title')
  );
}

function isPlainCapability(name: string, value: unknown): boolean {
  if (!isObject(value)) return false;
  switch (name) {
    case 'sampling':
    case 'roots':
      return isEmpty(value);
    case 'elicitation':
      return hasOnly(value, (mode, of) => (mode === 'form' || mode === 'url') && isEmpty(of));
    case 'extensions':
      return hasOnly(value, (key, of) => key === tasksExtension && isEmpty(of));
    default:
      return false;
  }
}

function hasOnly(
  object: Record<string, unknown>,
  allows: (name: string, value: unknown) => boolean,
): boolean {
  return Object.entries(object).every(([name, value]) => allows(name, value));
}

function isEmpty(value: unknown): boolean {
  return isObject(value) && Object.keys(value).length === 0;
}

function isIdentifier(value: unknown): boolean {
  return typeof value === 'string' || Number.isSafeInteger(value);
}
