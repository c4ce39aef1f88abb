import { ECHO, MCP_VERSION } from './wire.ts';

const DESCRIPTION = 'Answers with the text it is given';

const SERVER_INFO = { name: 'bench-echo', version: '1.0.0' };

const DISCOVER = {
  resultType: 'complete',
  supportedVersions: [MCP_VERSION],
  capabilities: { tools: {} },
  _meta: { 'io.modelcontextprotocol/serverInfo': SERVER_INFO },
  ttlMs: 60_000,
  cacheScope: 'public',
};

const ECHO_TOOL = {
  name: ECHO,
  description: DESCRIPTION,
  inputSchema: {
    type: 'object',
    properties: { message: { type: 'string' } },
    required: ['message'],
  },
};

/** What an MCP endpoint with the one echo tool says to requests other than `tools/call`. */
export function catalogueResult(method: string): unknown {
  switch (method) {
    case 'server/discover':
      return DISCOVER;
    case 'tools/list':
      return { resultType: 'complete', ttlMs: 60_000, cacheScope: 'public', tools: [ECHO_TOOL] };
    case 'initialize':
      return {
        protocolVersion: '2025-11-25',
        capabilities: { tools: {} },
        serverInfo: SERVER_INFO,
      };
    case 'ping':
      return {};
    default:
      return undefined;
  }
}
