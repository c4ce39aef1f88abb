import { randomUUID } from 'node:crypto';
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import {
  classifyInboundRequest,
  createMcpHandler,
  isInitializeRequest,
  McpServer,
} from '@modelcontextprotocol/server';
import type {
  JSONRPCMessage,
  McpHttpHandler,
  Server,
  ServerNotifier,
} from '@modelcontextprotocol/server';
import type { CallLedger } from './call-ledger.ts';
import { header, listenMcp, sendError } from './http-host.ts';
import type { JsonExchange } from './http-host.ts';
import { ReplayStore } from './replay-store.ts';

/** How a test peer on the current SDK is served. */
export interface McpEndpointOptions {
  /** Makes the server: once per modern request, once per legacy session. */
  createServer: (era: 'modern' | 'legacy') => McpServer | Server;
  ledger: CallLedger;
  port?: number;
  /** Serve 2025-11-25 and 2025-06-18 with sessions as well. */
  legacySessions: boolean;
  /** Called for each modern POST; answers the exchange itself when it returns true. */
  interceptModern?: (exchange: JsonExchange) => boolean | Promise<boolean>;
}

/** A running peer. `notify` reaches modern subscriptions and legacy sessions alike. */
export interface McpEndpoint {
  url: string;
  notify: ServerNotifier;
  /** Modern change events, for a peer that serves its own `subscriptions/listen`. */
  bus: McpHttpHandler['bus'];
  /** How many legacy sessions are open. */
  sessionCount(): number;
  close(): Promise<void>;
}

interface Session {
  server: Server;
  transport: NodeStreamableHTTPServerTransport;
  subscribed: Set<string>;
}

/** Serves a peer for both protocol eras on one URL. */
export async function serveMcpEndpoint(options: McpEndpointOptions): Promise<McpEndpoint> {
  const handler = createMcpHandler(() => options.createServer('modern'), { legacy: 'reject' });
  const modern = toNodeHandler(handler);
  const sessions = new SessionTable(() => lowLevel(options.createServer('legacy')));

  const host = await listenMcp(async (exchange) => {
    const { req, res, body } = exchange;
    options.ledger.recordBody(body, req.headers);
    const inbound = classifyInboundRequest({
      httpMethod: req.method ?? 'GET',
      protocolVersionHeader: header(req, 'mcp-protocol-version'),
      mcpMethodHeader: header(req, 'mcp-method'),
      mcpNameHeader: header(req, 'mcp-name'),
      body,
    });
    if (inbound.kind === 'legacy' && options.legacySessions) return sessions.serve(exchange);
    if (inbound.kind === 'modern' && (await options.interceptModern?.(exchange)) === true) return;
    await modern(req, res, body);
  }, options.port);

  return {
    url: host.url,
    bus: handler.bus,
    notify: notifyBoth(handler.notify, sessions),
    sessionCount: () => sessions.size,
    close: async () => {
      await handler.close();
      await sessions.close();
      await host.close();
    },
  };
}

function lowLevel(server: McpServer | Server): Server {
  return server instanceof McpServer ? server.server : server;
}

function notifyBoth(modern: ServerNotifier, sessions: SessionTable): ServerNotifier {
  return {
    toolsChanged: () => {
      modern.toolsChanged();
      sessions.each(({ server }) => server.sendToolListChanged());
    },
    promptsChanged: () => {
      modern.promptsChanged();
      sessions.each(({ server }) => server.sendPromptListChanged());
    },
    resourcesChanged: () => {
      modern.resourcesChanged();
      sessions.each(({ server }) => server.sendResourceListChanged());
    },
    resourceUpdated: (uri) => {
      modern.resourceUpdated(uri);
      sessions.each(async ({ server, subscribed }) => {
        if (subscribed.has(uri)) await server.sendResourceUpdated({ uri });
      });
    },
  };
}

/** The legacy sessions of one endpoint. */
class SessionTable {
  readonly #sessions = new Map<string, Session>();
  readonly #createServer: () => Server;

  constructor(createServer: () => Server) {
    this.#createServer = createServer;
  }

  get size(): number {
    return this.#sessions.size;
  }

  async serve({ req, res, body }: JsonExchange): Promise<void> {
    const id = header(req, 'mcp-session-id');
    if (id === undefined) {
      if (req.method !== 'POST' || !isInitializeRequest(body)) {
        return sendError(res, 400, -32000, 'Bad Request: session id required');
      }
      const transport = await this.#open();
      return transport.handleRequest(req, res, body);
    }
    const session = this.#sessions.get(id);
    // Spec: MCP 2025-11-25 basic/transports, "Session Management": a terminated session is 404.
    if (session === undefined) return sendError(res, 404, -32001, 'Session not found');
    await session.transport.handleRequest(req, res, body);
  }

  each(act: (session: Session) => Promise<unknown>): void {
    // A session whose standalone stream is gone has nobody to tell.
    for (const session of this.#sessions.values()) act(session).catch(() => undefined);
  }

  async close(): Promise<void> {
    const open = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const { server } of open) await server.close();
  }

  async #open(): Promise<NodeStreamableHTTPServerTransport> {
    const server = this.#createServer();
    const subscribed = new Set<string>();
    if (server.getCapabilities().resources?.subscribe === true) {
      server.setRequestHandler('resources/subscribe', ({ params }) => {
        subscribed.add(params.uri);
        return {};
      });
      server.setRequestHandler('resources/unsubscribe', ({ params }) => {
        subscribed.delete(params.uri);
        return {};
      });
    }
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      eventStore: new ReplayStore<JSONRPCMessage>(),
      // How long a client waits before it resumes a stream that the server closed.
      retryInterval: 500,
      onsessioninitialized: (id) => void this.#sessions.set(id, { server, transport, subscribed }),
      onsessionclosed: (id) => void this.#sessions.delete(id),
    });
    await server.connect(transport);
    return transport;
  }
}
