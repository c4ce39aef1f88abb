import { randomUUID } from 'node:crypto';
import {
  InMemoryTaskMessageQueue,
  InMemoryTaskStore,
} from '@modelcontextprotocol/sdk/experimental/tasks/index.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { RegisteredPrompt, RegisteredTool } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import {
  isInitializeRequest,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import type { JSONRPCMessage, LoggingLevel } from '@modelcontextprotocol/sdk/types.js';
import { CallLedger, isRecord } from './call-ledger.ts';
import { FaultQueue } from './http-faults.ts';
import type { HttpFault } from './http-faults.ts';
import { header, listenMcp, runAsProgram, sendError } from './http-host.ts';
import type { JsonExchange } from './http-host.ts';
import { registerLegacyAskingTools } from './legacy-asking-tools.ts';
import { registerLegacyPrompts, registerLegacyResources } from './legacy-resources.ts';
import { registerLegacyTaskTools } from './legacy-task-tools.ts';
import { registerLegacyTools } from './legacy-tools.ts';
import type { Notes } from './peer-content.ts';
import { ReplayStore } from './replay-store.ts';

/** A running legacy server. */
export interface LegacyServer {
  url: string;
  ledger: CallLedger;
  /** Every JSON-RPC message that came, in order. */
  messages: readonly unknown[];
  sessionCount(): number;
  /** Drops every session without telling anybody, as a restart does: their ids get 404. */
  forgetSessions(): Promise<void>;
  /** Lists or unlists an extra tool in every session, which is told. */
  triggerToolChange(name: string): void;
  triggerPromptChange(name: string): void;
  /** Adds or changes a text resource; sessions that subscribed to it are told. */
  triggerResourceChange(uri: string, text: string): void;
  /** Logs one line in every session, on its standalone stream. */
  triggerLog(level: LoggingLevel, data: string): void;
  /** Says in every session that a URL elicitation is over. */
  completeElicitation(elicitationId: string): Promise<void>;
  /** Queues a misbehaviour at the HTTP level. */
  failNext(fault: HttpFault, method?: string): void;
  close(): Promise<void>;
}

/** One session: its server, its transport and what was added to it. */
interface Session {
  server: McpServer;
  transport: StreamableHTTPServerTransport;
  subscribed: Set<string>;
  tools: Map<string, RegisteredTool>;
  prompts: Map<string, RegisteredPrompt>;
}

/**
 * An MCP server for 2025-11-25 on the v1 official SDK, with sessions. `protocolVersion` makes it
 * answer `initialize` with an older revision.
 */
export async function startLegacyServer(
  options: {
    port?: number;
    ledgerFile?: string;
    protocolVersion?: string;
    /** Whether streams can be resumed; they can unless this is false. */
    numbersEvents?: boolean;
  } = {},
): Promise<LegacyServer> {
  const ledger = new CallLedger(options.ledgerFile);
  const messages: unknown[] = [];
  const faults = new FaultQueue();
  const sessions = new LegacySessions(ledger, options);
  const host = await listenMcp(async (exchange) => {
    ledger.recordBody(exchange.body, exchange.req.headers);
    if (exchange.body !== undefined) messages.push(exchange.body);
    if (!faults.apply(exchange)) await sessions.serve(exchange);
  }, options.port);
  return {
    url: host.url,
    ledger,
    messages,
    sessionCount: () => sessions.all.size,
    forgetSessions: () => sessions.close(),
    triggerToolChange: (name) => sessions.toggleTool(name),
    triggerPromptChange: (name) => sessions.togglePrompt(name),
    triggerResourceChange: (uri, text) => sessions.changeNote(uri, text),
    triggerLog: (level, data) => sessions.log(level, data),
    completeElicitation: async (elicitationId) => {
      for (const { server } of sessions.all.values()) {
        await server.server.createElicitationCompletionNotifier(elicitationId)();
      }
    },
    failNext: (fault, method) => faults.failNext(fault, method),
    close: async () => {
      await sessions.close();
      sessions.tasks.cleanup();
      await host.close();
    },
  };
}

class LegacySessions {
  readonly all = new Map<string, Session>();
  readonly tasks = new InMemoryTaskStore();
  readonly #notes: Notes = new Map([['test://notes/first', 'The first note']]);
  readonly #extraTools = new Set<string>();
  readonly #extraPrompts = new Set<string>();
  readonly #ledger: CallLedger;
  readonly #protocolVersion: string | undefined;
  readonly #numbersEvents: boolean;

  constructor(
    ledger: CallLedger,
    {
      protocolVersion,
      numbersEvents = true,
    }: { protocolVersion?: string; numbersEvents?: boolean },
  ) {
    this.#ledger = ledger;
    this.#protocolVersion = protocolVersion;
    this.#numbersEvents = numbersEvents;
  }

  async serve({ req, res, body }: JsonExchange): Promise<void> {
    const id = header(req, 'mcp-session-id');
    if (id !== undefined) {
      const session = this.all.get(id);
      if (session === undefined) return sendError(res, 404, -32001, 'Session not found');
      return session.transport.handleRequest(req, res, body);
    }
    if (req.method !== 'POST' || !isInitializeRequest(body)) {
      // A client that probes for 2026-07-28 sends no session id either and ends up here.
      const requestId = isRecord(body) ? body.id : undefined;
      return sendError(res, 400, -32000, 'Bad Request: session id required', { id: requestId });
    }
    if (this.#protocolVersion !== undefined) body.params.protocolVersion = this.#protocolVersion;
    const session = await this.#open();
    await session.transport.handleRequest(req, res, body);
  }

  toggleTool(name: string): void {
    const added = toggle(this.#extraTools, name);
    for (const session of this.all.values()) {
      if (added) this.#addTool(session, name);
      else session.tools.get(name)?.remove();
    }
  }

  togglePrompt(name: string): void {
    const added = toggle(this.#extraPrompts, name);
    for (const session of this.all.values()) {
      if (added) this.#addPrompt(session, name);
      else session.prompts.get(name)?.remove();
    }
  }

  changeNote(uri: string, text: string): void {
    const isNew = !this.#notes.has(uri);
    this.#notes.set(uri, text);
    for (const { server, subscribed } of this.all.values()) {
      // A session whose stream is gone has nobody to tell.
      if (subscribed.has(uri)) server.server.sendResourceUpdated({ uri }).catch(() => undefined);
      if (isNew) server.sendResourceListChanged();
    }
  }

  log(level: LoggingLevel, data: string): void {
    for (const [id, { server }] of this.all) {
      void server.sendLoggingMessage({ level, data }, id).catch(() => undefined);
    }
  }

  async close(): Promise<void> {
    const open = [...this.all.values()];
    this.all.clear();
    for (const { server } of open) await server.close();
  }

  #addTool(session: Session, name: string): void {
    const tool = session.server.registerTool(name, { description: 'Comes and goes' }, () => ({
      content: [{ type: 'text', text: name }],
    }));
    session.tools.set(name, tool);
  }

  #addPrompt(session: Session, name: string): void {
    const prompt = session.server.registerPrompt(name, { description: 'Comes and goes' }, () => ({
      messages: [{ role: 'user', content: { type: 'text', text: name } }],
    }));
    session.prompts.set(name, prompt);
  }

  async #open(): Promise<Session> {
    const server = createLegacyServer(this.tasks, this.#ledger, this.#notes);
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      ...(this.#numbersEvents && { eventStore: new ReplayStore<JSONRPCMessage>() }),
      retryInterval: 500,
      onsessioninitialized: (id) => void this.all.set(id, session),
      onsessionclosed: (id) => void this.all.delete(id),
    });
    const session: Session = {
      server,
      transport,
      subscribed: new Set(),
      tools: new Map(),
      prompts: new Map(),
    };
    for (const name of this.#extraTools) this.#addTool(session, name);
    for (const name of this.#extraPrompts) this.#addPrompt(session, name);
    server.server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
      session.subscribed.add(params.uri);
      return {};
    });
    server.server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
      session.subscribed.delete(params.uri);
      return {};
    });
    await server.connect(transport);
    return session;
  }
}

/** Adds when absent, removes when present; says whether it was added. */
function toggle(set: Set<string>, name: string): boolean {
  if (set.delete(name)) return false;
  set.add(name);
  return true;
}

function createLegacyServer(tasks: InMemoryTaskStore, ledger: CallLedger, notes: Notes): McpServer {
  const server = new McpServer(
    { name: 'legacy-server', version: '1.0.0', title: 'Legacy test server' },
    {
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: { listChanged: true },
        completions: {},
        logging: {},
        tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } },
      },
      instructions: 'A legacy peer for tests.',
      taskStore: tasks,
      taskMessageQueue: new InMemoryTaskMessageQueue(),
      defaultTaskPollInterval: 100,
    },
  );
  registerLegacyTools(server, ledger);
  registerLegacyAskingTools(server, ledger);
  registerLegacyTaskTools(server, ledger);
  registerLegacyResources(server, notes);
  registerLegacyPrompts(server);
  return server;
}

await runAsProgram(import.meta.url, startLegacyServer);
