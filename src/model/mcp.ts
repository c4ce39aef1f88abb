/**
 * The MCP objects that the gateway handles, as plain JSON: what is relayed must keep members that
 * we do not know, so these types name only what we read or write.
 *
 * Spec: MCP 2026-07-28 schema; MCP Tasks extension
 */
import type { JsonObject, Json } from './json.ts';

/** How servers and clients built on the official SDK are connected. */
export type { JSONRPCMessage, Transport } from '@modelcontextprotocol/server';

/** The Tasks extension's identifier. Spec: MCP Tasks extension, "Extension Identifier" */
export const tasksExtension = 'io.modelcontextprotocol/tasks';

/** The protocol revision with stateless requests, `server/discover` and multi round-trips. */
export const modernRevision = '2026-07-28';

/** The revisions with `initialize` and sessions, newest first. */
export const legacyRevisions = ['2025-11-25', '2025-06-18'] as const;

/** A piece of content in a tool result or prompt message. */
export interface ContentBlock {
  type: string;
  text?: string;
  data?: string;
  mimeType?: string;
  uri?: string;
  name?: string;
  resource?: { uri: string; mimeType?: string; text?: string; blob?: string };
  _meta?: JsonObject;
  annotations?: JsonObject;
  [key: string]: unknown;
}

/** What a tool call returns when it is complete. */
export interface CallToolResult {
  resultType?: 'complete';
  content: ContentBlock[];
  structuredContent?: Json;
  isError?: boolean;
  _meta?: JsonObject;
}

/** A tool as `tools/list` shows it. */
export interface Tool {
  name: string;
  title?: string;
  description?: string;
  inputSchema: JsonObject;
  outputSchema?: JsonObject;
  annotations?: JsonObject;
  execution?: { taskSupport?: 'forbidden' | 'optional' | 'required' };
  _meta?: JsonObject;
}

/** A JSON-RPC error as it travels. */
export interface RpcError {
  code: number;
  message: string;
  data?: Json;
}

/** How a request to an MCP server ended: its raw result, or its raw error. */
export type RpcOutcome = { result: JsonObject } | { error: RpcError };

/** A request from server to client that is carried inside a result or a task. */
export interface InputRequest {
  method: string;
  params?: JsonObject;
}

/** A task status of the Tasks extension and of 2025-11-25 tasks (same words). */
export type McpTaskStatus = 'working' | 'input_required' | 'completed' | 'failed' | 'cancelled';

/** What a client can do for a server in the middle of a call. */
export interface ClientFeatures {
  /** Form-mode elicitation. */
  elicitForm: boolean;
  /** URL-mode elicitation. */
  elicitUrl: boolean;
  sampling: boolean;
  roots: boolean;
  /** Hears of links to open from an error as well (2025-11-25), where it cannot be asked. */
  linkErrors?: boolean;
  /** The Tasks extension, declared on this very request. */
  tasks: boolean;
  /** The raw client capabilities, relayed to an MCP peer. */
  raw: JsonObject;
}

/**
 * What an A2A caller can answer: forms and links, both as interrupts of its task. A server of
 * 2025-11-25 may poll for the answers, which take as long as people do.
 */
export const a2aCallerFeatures: ClientFeatures = {
  elicitForm: true,
  elicitUrl: true,
  sampling: false,
  roots: false,
  tasks: true,
  raw: { tasks: { requests: { elicitation: { create: {} } } } },
};

/**
 * What an A2A caller can answer that gets the requests of a server as they are: it can lend its
 * model and name its roots too.
 */
export const exactCallerFeatures: ClientFeatures = {
  ...a2aCallerFeatures,
  sampling: true,
  roots: true,
  raw: { tasks: { requests: { elicitation: { create: {} }, sampling: { createMessage: {} } } } },
};
