import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Server } from '@modelcontextprotocol/server';
import { proxyServer, startHTTPServer } from 'mcp-proxy';

/**
 * `mcp-proxy` as a library in front of an HTTP server: its own `startHTTPServer` and `proxyServer`,
 * exactly as its command line wires them, with a Streamable HTTP client in the place of the stdio
 * one. Event store and SSE endpoint are off, which favours it. `port` must be a real port.
 */
export async function startMcpProxy(serverUrl: string, port: number): Promise<string> {
  const client = new Client(
    { name: 'mcp-proxy', version: '1.0.0' },
    { versionNegotiation: { mode: 'auto' } },
  );
  await client.connect(new StreamableHTTPClientTransport(new URL(serverUrl)));
  const serverCapabilities = client.getServerCapabilities() ?? {};
  const serverInfo = client.getServerVersion() ?? { name: 'mcp-proxy', version: '1.0.0' };

  await startHTTPServer({
    host: '127.0.0.1',
    port,
    eventStore: false,
    sseEndpoint: null,
    createServer: async () => {
      const server = new Server(serverInfo, { capabilities: serverCapabilities });
      await proxyServer({ client, server, serverCapabilities });
      return server;
    },
  });
  return `http://127.0.0.1:${port}`;
}
