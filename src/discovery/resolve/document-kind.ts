/**
 * What a document is: by its media type where that is a telling one, else by its shape. JSON that is
 * none of these is nothing to us.
 */
import { isObject } from '../../model/json.ts';
import { listMember, textMember } from '../../translate/json-document.ts';

/** The documents that lead to peers. */
export type DocumentKind =
  | 'agent-card'
  | 'server-card' // also the registry's server.json, which has the same members
  | 'ai-catalog'
  | 'mcp-json'
  | 'registry-entry'
  | 'registry-list'
  | 'json-rpc' // no document: the endpoint of a protocol answers
  | 'unknown';

/** The kinds in words, with an article. */
export const kindNames: Readonly<Record<DocumentKind, string>> = {
  'agent-card': 'an A2A agent card',
  'server-card': 'an MCP server card',
  'ai-catalog': 'an AI catalog',
  'mcp-json': 'an mcp.json',
  'registry-entry': 'an entry of an MCP registry',
  'registry-list': 'a list of an MCP registry',
  'json-rpc': 'a JSON-RPC answer, which endpoints give, not documents',
  unknown:
    'JSON that is neither an agent card, a server card, an AI catalog, an mcp.json nor a registry entry',
};

const kindOfMediaType: Readonly<Record<string, DocumentKind>> = {
  'application/a2a-agent-card+json': 'agent-card',
  'application/mcp-server-card+json': 'server-card',
  'application/ai-catalog+json': 'ai-catalog',
};

/** The kind that a media type names by itself. */
export function kindOfType(mediaType: string): DocumentKind | undefined {
  return kindOfMediaType[essence(mediaType)];
}

/** A media type without parameters, in lower case. */
export function essence(mediaType: string): string {
  return (mediaType.split(';', 1)[0] ?? '').trim().toLowerCase();
}

/** The kind of a document. */
export function documentKind(value: unknown, mediaType: string): DocumentKind {
  return kindOfType(mediaType) ?? kindOfShape(value);
}

function kindOfShape(value: unknown): DocumentKind {
  if (!isObject(value)) return 'unknown';
  if (value['jsonrpc'] === '2.0') return 'json-rpc';
  const schema = textMember(value, '$schema') ?? '';
  if (/\/server(-card)?\.schema\.json$/.test(schema)) return 'server-card';
  if (textMember(value, 'mcp_endpoint') !== undefined) return 'mcp-json';
  if (Array.isArray(value['entries']) && !isAgentCard(value)) return 'ai-catalog';
  if (isAgentCard(value)) return 'agent-card';
  if (isObject(value['server']) && textMember(value['server'], 'name') !== undefined) {
    return 'registry-entry';
  }
  if (isRegistryList(value)) return 'registry-list';
  if (['mcpServers', 'endpoints', 'servers'].some((name) => name in value)) {
    return 'mcp-json';
  }
  const named = textMember(value, 'name') !== undefined;
  const reached = Array.isArray(value['remotes']) || Array.isArray(value['packages']);
  return named && reached ? 'server-card' : 'unknown';
}

function isAgentCard(value: Record<string, unknown>): boolean {
  if (Array.isArray(value['supportedInterfaces'])) return true;
  const members = ['skills', 'capabilities', 'protocolVersion', 'preferredTransport'];
  return (
    textMember(value, 'name') !== undefined && members.some((member) => value[member] !== undefined)
  );
}

function isRegistryList(value: Record<string, unknown>): boolean {
  const servers = listMember(value, 'servers');
  if (!Array.isArray(value['servers'])) return false;
  if (servers.length === 0) return isObject(value['metadata']);
  return servers.some(
    (one) =>
      isObject(one) &&
      (isObject(one['server']) || Array.isArray(one['remotes']) || Array.isArray(one['packages'])),
  );
}
