/**
 * A scriptable A2A agent on the official SDK, over real HTTP: JSON-RPC and HTTP+JSON, protocol 1.0
 * and 0.3. The first word of a message, or `message.metadata.skill`, says what it does; the skills
 * on its card are the list. Also a program: `node test/support/a2a-agent.ts --port N`.
 */
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { AgentCard as AgentCards } from '@a2a-js/sdk';
import type { AgentCard, Message, SendMessageRequest, StreamResponse, Task } from '@a2a-js/sdk';
import { DefaultRequestHandler, InMemoryTaskStore, STATE_HEADERS_KEY } from '@a2a-js/sdk/server';
import type { ServerCallContext } from '@a2a-js/sdk/server';
import {
  agentCardHandler,
  jsonRpcHandler,
  restHandler,
  UserBuilder,
} from '@a2a-js/sdk/server/express';
import express from 'express';
import type { ErrorRequestHandler, Express, RequestHandler } from 'express';
import type { Behaviour } from './a2a-agent-behaviours.ts';
import { BINDING_PATH, legacyCardJson, scriptedCard } from './a2a-agent-card.ts';
import type { A2aBinding, A2aVersion } from './a2a-agent-card.ts';
import { ScriptedExecutor, STREAMING_STATE_KEY } from './a2a-agent-executor.ts';
import { dataOf, textOf } from './a2a-parts.ts';

const cardPaths = ['/.well-known/agent-card.json', '/.well-known/agent.json'];

/** One message that reached the agent, noted before any work on it. */
export interface LedgerEntry {
  at: string;
  messageId: string;
  text: string;
  data: unknown[];
  /** As it was sent; undefined when the sender left it out. */
  contextId: string | undefined;
  taskId: string | undefined;
  referenceTaskIds: string[];
  metadata: Record<string, unknown> | undefined;
  streaming: boolean;
  /** All headers of the request, lower case. */
  headers: IncomingHttpHeaders;
}

/** One HTTP request that reached the agent. */
export interface ReceivedRequest {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  /** The method of a JSON-RPC body. */
  rpcMethod: string | undefined;
  body: unknown;
}

/** How the agent is set up; all of it is optional. */
export interface A2aAgentOptions {
  /** 0, the default, lets the system choose. */
  port?: number;
  /** Protocol versions on the card and in service; both by default. With 0.3 alone, the card has the 0.3 shape. */
  versions?: readonly A2aVersion[];
  /** Bindings in the order of preference; both by default. */
  bindings?: readonly A2aBinding[];
  /** Fields of the card to replace, for instance `{ skills: [] }`. */
  card?: Partial<AgentCard>;
  /** Makes the document at the card's addresses of the card's wire JSON, for each request. */
  document?: (wire: Record<string, unknown>) => string | Promise<string>;
  /** A file that gets each ledger entry as a JSON line before the work starts. */
  ledgerFile?: string;
  /** When set, requests without this bearer token get 401. */
  bearer?: string;
  /** When true, a message whose `messageId` was seen before is not run again. */
  dedupesMessageId?: boolean;
  /** More behaviours by first word or skill; they win over the built-in ones. */
  behaviours?: Readonly<Record<string, Behaviour>>;
}

/** A running agent. */
export interface A2aAgent {
  /** The origin, without a trailing slash. */
  readonly url: string;
  readonly cardUrl: string;
  readonly card: AgentCard;
  readonly port: number;
  readonly ledger: readonly LedgerEntry[];
  readonly received: readonly ReceivedRequest[];
  /** Ids of the tasks in AUTH_REQUIRED. */
  waitingForAuth(): string[];
  /** Ends AUTH_REQUIRED: the task goes on by itself. False when that task does not wait. */
  completeAuth(taskId: string, outcome?: 'authorized' | 'declined'): boolean;
  /** Cuts all connections and stops listening; tasks are forgotten. */
  close(): Promise<void>;
}

/** Starts the agent on 127.0.0.1. */
export async function startA2aAgent(options: A2aAgentOptions = {}): Promise<A2aAgent> {
  const versions = options.versions ?? ['1.0', '0.3'];
  const bindings = options.bindings ?? ['JSONRPC', 'HTTP+JSON'];
  const app = express();
  const server = createServer(app);
  const port = await listen(server, options.port ?? 0);
  const url = `http://127.0.0.1:${port}`;
  const card = scriptedCard({ origin: url, versions, bindings }, options.card);
  const executor = new ScriptedExecutor(url, options.behaviours);
  const ledger: LedgerEntry[] = [];
  const received: ReceivedRequest[] = [];
  const requestHandler = new LedgerRequestHandler(card, executor, options, ledger);

  app.use(express.json({ limit: '64mb', type: ['application/json', 'application/a2a+json'] }));
  app.use(noteRequest(received));
  mountPages(app, executor, ledger);
  if (options.document === undefined) mountCard(app, card, versions);
  else mountDocument(app, card, options.document);
  if (options.bearer !== undefined) app.use(requireBearer(options.bearer));
  const common = {
    requestHandler,
    userBuilder: UserBuilder.noAuthentication,
    legacyCompat: { enabled: versions.includes('0.3') },
  };
  if (bindings.includes('JSONRPC')) app.use(BINDING_PATH.JSONRPC, jsonRpcHandler(common));
  if (bindings.includes('HTTP+JSON')) app.use(BINDING_PATH['HTTP+JSON'], restHandler(common));
  app.use(badBody);

  return {
    url,
    cardUrl: `${url}/.well-known/agent-card.json`,
    card,
    port,
    ledger,
    received,
    waitingForAuth: () => executor.waitingForAuth(),
    completeAuth: (taskId, outcome) => executor.completeAuth(taskId, outcome),
    close: async () => {
      executor.stop();
      await closeServer(server);
    },
  };
}

/** Notes each message before the SDK sees it, and answers repeated ones from memory when told to. */
class LedgerRequestHandler extends DefaultRequestHandler {
  private readonly options: A2aAgentOptions;
  private readonly ledger: LedgerEntry[];
  private readonly answers = new Map<string, Promise<Message | Task>>();

  constructor(
    card: AgentCard,
    executor: ScriptedExecutor,
    options: A2aAgentOptions,
    ledger: LedgerEntry[],
  ) {
    super(card, new InMemoryTaskStore(), executor);
    this.options = options;
    this.ledger = ledger;
  }

  override async sendMessage(
    params: SendMessageRequest,
    context: ServerCallContext,
  ): Promise<Message | Task> {
    this.note(params, context, false);
    const messageId = params.message?.messageId ?? '';
    const earlier = this.options.dedupesMessageId ? this.answers.get(messageId) : undefined;
    if (earlier) return this.latest(await earlier, context);
    const answer = super.sendMessage(params, context);
    answer.catch(() => undefined);
    this.answers.set(messageId, answer);
    return answer;
  }

  override async *sendMessageStream(
    params: SendMessageRequest,
    context: ServerCallContext,
  ): AsyncGenerator<StreamResponse, void, undefined> {
    this.note(params, context, true);
    const messageId = params.message?.messageId ?? '';
    const earlier = this.options.dedupesMessageId ? this.answers.get(messageId) : undefined;
    if (earlier) {
      yield* this.again(await this.latest(await earlier, context), context);
      return;
    }
    const first = Promise.withResolvers<Message | Task>();
    first.promise.catch(() => undefined);
    this.answers.set(messageId, first.promise);
    try {
      for await (const event of super.sendMessageStream(params, context)) {
        const { payload } = event;
        if (payload?.$case === 'task' || payload?.$case === 'message') first.resolve(payload.value);
        yield event;
      }
    } catch (error) {
      first.reject(error);
      throw error;
    }
  }

  private note(params: SendMessageRequest, context: ServerCallContext, streaming: boolean): void {
    context.state.set(STREAMING_STATE_KEY, streaming);
    const { message } = params;
    const headers = context.state.get(STATE_HEADERS_KEY) as IncomingHttpHeaders | undefined;
    const entry: LedgerEntry = {
      at: new Date().toISOString(),
      messageId: message?.messageId ?? '',
      text: textOf(message?.parts),
      data: dataOf(message?.parts),
      contextId: message?.contextId || undefined,
      taskId: message?.taskId || undefined,
      referenceTaskIds: [...(message?.referenceTaskIds ?? [])],
      metadata: message?.metadata,
      streaming,
      headers: { ...headers },
    };
    this.ledger.push(entry);
    if (this.options.ledgerFile !== undefined) {
      appendFileSync(this.options.ledgerFile, `${JSON.stringify(entry)}\n`);
    }
  }

  private async latest(answer: Message | Task, context: ServerCallContext) {
    return 'messageId' in answer ? answer : this.getTask({ id: answer.id, tenant: '' }, context);
  }

  private async *again(answer: Message | Task, context: ServerCallContext) {
    if ('messageId' in answer) {
      yield { payload: { $case: 'message' as const, value: answer } };
      return;
    }
    const events = this.resubscribe({ id: answer.id, tenant: '' }, context);
    try {
      yield* events;
    } catch {
      // A finished task cannot be subscribed to: the task itself is the whole answer.
      yield { payload: { $case: 'task' as const, value: answer } };
    }
  }
}

function mountDocument(
  app: Express,
  card: AgentCard,
  document: NonNullable<A2aAgentOptions['document']>,
): void {
  const wire = AgentCards.toJSON(card) as Record<string, unknown>;
  app.get(cardPaths, async (_request, response) => {
    const text = await document(wire);
    response.set('cache-control', 'no-cache').type('application/json').send(text);
  });
}

function mountCard(app: Express, card: AgentCard, versions: readonly A2aVersion[]): void {
  if (versions.every((one) => one === '0.3')) {
    app.get(cardPaths, (_request, response) => void response.json(legacyCardJson(card)));
    return;
  }
  const handler = agentCardHandler({
    agentCardProvider: () => Promise.resolve(card),
    cache: { maxAge: 0 },
    legacyCompat: { enabled: versions.includes('0.3') },
  });
  for (const path of cardPaths) app.use(path, handler);
}

/** The page behind the URL of `auth`, and a window on the ledger for agents in another process. */
function mountPages(app: Express, executor: ScriptedExecutor, ledger: LedgerEntry[]): void {
  app.get('/ledger', (_request, response) => void response.json(ledger));
  app.get('/authorize/:task', (_request, response) => {
    response.type('html').send('<form method="post"><button>Authorize</button></form>');
  });
  app.post('/authorize/:task', (request, response) => {
    const done = executor.completeAuth(request.params.task);
    response
      .status(done ? 200 : 404)
      .type('html')
      .send(done ? 'Authorized.' : 'Not waiting.');
  });
  app.get('/files/report.pdf', (_request, response) => {
    response.type('application/pdf').send(Buffer.from('%PDF-1.4\n%%EOF\n'));
  });
}

function noteRequest(received: ReceivedRequest[]): RequestHandler {
  return (request, _response, next) => {
    const body: unknown = request.body;
    const rpcMethod =
      typeof body === 'object' && body !== null && 'method' in body ? body.method : undefined;
    received.push({
      method: request.method,
      path: request.originalUrl,
      headers: request.headers,
      rpcMethod: typeof rpcMethod === 'string' ? rpcMethod : undefined,
      body,
    });
    next();
  };
}

function requireBearer(token: string): RequestHandler {
  return (request, response, next) => {
    if (request.headers.authorization === `Bearer ${token}`) return next();
    response.status(401).set('WWW-Authenticate', 'Bearer realm="scripted-agent"');
    response.json({ error: 'unauthorized' });
  };
}

const badBody: ErrorRequestHandler = (_error, _request, response, next) => {
  if (response.headersSent) return next(_error);
  const error = { code: -32700, message: 'Invalid JSON payload.' };
  response.status(400).json({ jsonrpc: '2.0', id: null, error });
};

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return (server.address() as AddressInfo).port;
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      ledger: { type: 'string' },
      versions: { type: 'string', default: '1.0,0.3' },
      'dedupes-message-id': { type: 'boolean', default: false },
    },
  });
  const versions = values.versions.split(',').filter((one) => one === '1.0' || one === '0.3');
  const agent = await startA2aAgent({
    port: Number(values.port),
    ledgerFile: values.ledger,
    versions,
    dedupesMessageId: values['dedupes-message-id'],
  });
  console.log(JSON.stringify({ url: agent.url, cardUrl: agent.cardUrl, pid: process.pid }));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void agent.close());
  }
}

if (import.meta.main) await main();
