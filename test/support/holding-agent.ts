/**
 * An A2A agent that takes offers of tools and holds on to each task until its test is done with it:
 * the test is the agent's mind, and calls back with the agent's own key.
 */
import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AgentCard, Message } from '@a2a-js/sdk';
import { Role, TaskState } from '@a2a-js/sdk';
import {
  AgentEvent,
  DefaultRequestHandler,
  InMemoryTaskStore,
  type AgentExecutor,
  type ExecutionEventBus,
  type RequestContext,
} from '@a2a-js/sdk/server';
import { agentCardHandler, jsonRpcHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import express from 'express';
import { exportJWK, generateKeyPair, type CryptoKey, type JWK } from 'jose';
import {
  agentExtension,
  offerIn,
  openLease,
  type Lease,
  type LeaseOffer,
  type OpenLeaseOptions,
} from '../../src/borrower/borrower.ts';

/** A task that the agent works on, as its test sees it. */
export interface HeldTask {
  readonly taskId: string;
  readonly message: Message;
  /** What came with the message. */
  readonly offer: LeaseOffer | undefined;
  /** Says something while it works. */
  say(text: string): void;
  /** Asks its caller; the answer is the next held task of the same id. */
  ask(text: string): void;
  complete(text: string): void;
  fail(text: string): void;
}

/** A running agent. */
export interface HoldingAgent {
  readonly cardUrl: string;
  readonly clientId: string;
  readonly key: CryptoKey;
  /** Everything that it was sent, in order. */
  readonly tasks: readonly HeldTask[];
  /** The next task; waits for it. */
  next(): Promise<HeldTask>;
  /** Opens an offer with the agent's key; closed with the agent at the latest. */
  open(offer: LeaseOffer | undefined, options?: Partial<OpenLeaseOptions>): Promise<Lease>;
  close(): Promise<void>;
}

/** How it is set up. */
export interface HoldingAgentOptions {
  /** Whether the card says that it takes offers; it does unless false. */
  declares?: boolean;
  /** Replaces the declared client id. */
  clientId?: string;
  streaming?: boolean;
  /** Grants that its client metadata names besides those that it uses. */
  grantTypes?: readonly string[];
  /** Issuers of offers that it accepts; any when absent. */
  issuers?: readonly string[];
}

/** Starts the agent on a free port of loopback. */
export async function startHoldingAgent(options: HoldingAgentOptions = {}): Promise<HoldingAgent> {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const app = express();
  const server = await new Promise<Server>((resolve) => {
    const listening = app.listen(0, '127.0.0.1', () => resolve(listening));
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const clientId = `${origin}/client.json`;
  const mind = new Mind();
  const leases: Lease[] = [];
  const card = cardAt(origin, { ...options, clientId: options.clientId ?? clientId });
  const common = {
    requestHandler: new DefaultRequestHandler(card, new InMemoryTaskStore(), mind),
    userBuilder: UserBuilder.noAuthentication,
  };
  app.use(
    '/.well-known/agent-card.json',
    agentCardHandler({ agentCardProvider: common.requestHandler }),
  );
  app.use('/a2a', jsonRpcHandler(common));
  const jwk: JWK = { ...(await exportJWK(publicKey)), kid: 'agent', alg: 'ES256', use: 'sig' };
  app.get('/client.json', (_request, response) => {
    response.json({
      client_id: clientId,
      client_name: 'Holding agent',
      grant_types: [
        'urn:ietf:params:oauth:grant-type:token-exchange',
        'client_credentials',
        ...(options.grantTypes ?? []),
      ],
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [jwk] },
    });
  });
  return {
    cardUrl: `${origin}/.well-known/agent-card.json`,
    clientId,
    key: privateKey,
    tasks: mind.tasks,
    next: () => mind.next(),
    open: async (offer, more) => {
      if (offer === undefined) throw new Error('nothing was offered');
      const { issuers = () => true } = options;
      const own = { clientId, key: privateKey, keyId: 'agent', issuers };
      const lease = await openLease(offer, { ...own, ...more });
      leases.push(lease);
      return lease;
    },
    close: async () => {
      await Promise.all(leases.map((lease) => lease.close()));
      mind.release();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

class Mind implements AgentExecutor {
  readonly tasks: HeldTask[] = [];
  readonly #waiting: ((task: HeldTask) => void)[] = [];
  readonly #unread: HeldTask[] = [];
  readonly #releases = new Map<string, () => void>();

  next(): Promise<HeldTask> {
    const ready = this.#unread.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  release(): void {
    for (const release of this.#releases.values()) release();
  }

  async execute(request: RequestContext, bus: ExecutionEventBus): Promise<void> {
    const { taskId, contextId, userMessage } = request;
    const status = (state: TaskState, text?: string): void =>
      bus.publish(
        AgentEvent.statusUpdate({
          taskId,
          contextId,
          status: {
            state,
            timestamp: new Date().toISOString(),
            message: text === undefined ? undefined : said(text, { taskId, contextId }),
          },
          metadata: undefined,
        }),
      );
    bus.publish(
      AgentEvent.task({
        id: taskId,
        contextId,
        status: {
          state: TaskState.TASK_STATE_WORKING,
          timestamp: new Date().toISOString(),
          message: undefined,
        },
        artifacts: [],
        history: [userMessage],
        metadata: undefined,
      }),
    );
    await new Promise<void>((resolve) => {
      this.#releases.set(taskId, resolve);
      const ended = (state: TaskState) => (text: string) => {
        status(state, text);
        resolve();
      };
      this.#hand({
        taskId,
        message: userMessage,
        offer: offerIn(userMessage),
        say: (text) => status(TaskState.TASK_STATE_WORKING, text),
        ask: ended(TaskState.TASK_STATE_INPUT_REQUIRED),
        complete: ended(TaskState.TASK_STATE_COMPLETED),
        fail: ended(TaskState.TASK_STATE_FAILED),
      });
    });
  }

  async cancelTask(taskId: string, bus: ExecutionEventBus): Promise<void> {
    bus.publish(
      AgentEvent.statusUpdate({
        taskId,
        contextId: '',
        status: {
          state: TaskState.TASK_STATE_CANCELED,
          timestamp: new Date().toISOString(),
          message: undefined,
        },
        metadata: undefined,
      }),
    );
    this.#releases.get(taskId)?.();
  }

  #hand(task: HeldTask): void {
    this.tasks.push(task);
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#unread.push(task);
    else waiting(task);
  }
}

function said(text: string, place: { taskId: string; contextId: string }): Message {
  return {
    messageId: randomUUID(),
    role: Role.ROLE_AGENT,
    parts: [
      {
        content: { $case: 'text', value: text },
        metadata: undefined,
        filename: '',
        mediaType: 'text/plain',
      },
    ],
    ...place,
    extensions: [],
    metadata: undefined,
    referenceTaskIds: [],
  };
}

function cardAt(
  origin: string,
  { declares = true, clientId = '', streaming = true }: HoldingAgentOptions,
): AgentCard {
  return {
    name: 'Holding agent',
    description: 'Does what its test wants',
    version: '1.0.0',
    supportedInterfaces: [
      { url: `${origin}/a2a`, protocolBinding: 'JSONRPC', tenant: '', protocolVersion: '1.0' },
    ],
    provider: undefined,
    capabilities: {
      streaming,
      pushNotifications: false,
      extendedAgentCard: false,
      extensions: declares ? [agentExtension(clientId)] : [],
    },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [
      {
        id: 'hold',
        name: 'Hold',
        description: 'Holds on to a task',
        tags: ['test'],
        examples: [],
        inputModes: [],
        outputModes: [],
        securityRequirements: [],
      },
    ],
    signatures: [],
  };
}
