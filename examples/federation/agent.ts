/**
 * An A2A agent that plans a day with tools that it is lent. Where a real one has a model, this one
 * has three steps: it reads what the day is about, tells the others, and enters it into the calendar.
 */
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Role, TaskState, type AgentCard, type Message } from '@a2a-js/sdk';
import {
  AgentEvent,
  InMemoryTaskStore,
  type AgentExecutor,
  type ExecutionEventBus,
  type RequestContext,
} from '@a2a-js/sdk/server';
import { agentCardHandler, jsonRpcHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import express from 'express';
import { createRemoteJWKSet, jwtVerify } from 'jose';
// A program of its own imports `isthmus/borrower`.
import { agentExtension, BorrowError, openLease, type Lease } from '../../src/borrower/borrower.ts';
import { OfferTakingHandler, type Offers } from '../hosting/offers.ts';
import { tell } from './tell.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    /** Whose offers it takes. */
    gateway: { type: 'string', default: '' },
    /** Whose tokens it takes. */
    issuer: { type: 'string', default: '' },
  },
});
const origin = `http://127.0.0.1:${values.port}`;
const clientId = `${origin}/client.json`;
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
/** They are taken out of messages before the SDK keeps those. */
const offers: Offers = new WeakMap();

class Planner implements AgentExecutor {
  readonly #running = new Map<string, AbortController>();

  async execute(request: RequestContext, bus: ExecutionEventBus): Promise<void> {
    const { taskId, contextId, userMessage, context } = request;
    const place = { taskId, contextId };
    const status = (state: TaskState, text?: string) => ({
      state,
      timestamp: new Date().toISOString(),
      message: text === undefined ? undefined : said(text, place),
    });
    const say = (state: TaskState, text?: string): void =>
      bus.publish(
        AgentEvent.statusUpdate({ ...place, status: status(state, text), metadata: undefined }),
      );
    const stop = new AbortController();
    this.#running.set(taskId, stop);
    bus.publish(
      AgentEvent.task({
        id: taskId,
        contextId,
        status: status(TaskState.TASK_STATE_WORKING),
        artifacts: [],
        history: [userMessage],
        metadata: undefined,
      }),
    );
    const offered = offers.get(context) ?? { flaw: 'Nothing was lent to me: I can do nothing.' };
    const offer = 'offer' in offered ? offered.offer : undefined;
    tell({ event: 'agent.asked', tools: offer?.tools ?? [] });
    let lease: Lease | undefined;
    try {
      if ('flaw' in offered) throw new Error(offered.flaw);
      lease = await openLease(offered.offer, {
        clientId,
        key: { ...privateKey.export({ format: 'jwk' }), kid: 'planner', alg: 'ES256' },
        issuers: [`${values.gateway}/sts`],
        signal: stop.signal,
      });
      tell({ event: 'agent.opened' });
      say(TaskState.TASK_STATE_COMPLETED, await plan(lease));
      await afterwards(lease);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      tell({ event: 'agent.failed', reason });
      say(TaskState.TASK_STATE_FAILED, reason);
    } finally {
      this.#running.delete(taskId);
      await lease?.close();
    }
  }

  async cancelTask(taskId: string): Promise<void> {
    this.#running.get(taskId)?.abort();
  }
}

/** The three steps. */
async function plan(lease: Lease): Promise<string> {
  const text = await call(lease, 'desk__read_file', { path: 'plans/offsite.txt' });
  const fact = (name: string): string =>
    new RegExp(`^${name}: (.+)$`, 'm').exec(text)?.[1] ?? 'unknown';
  const [title, day] = [fact('What'), fact('When')];
  const letter = {
    to: fact('Who'),
    subject: title,
    text: `${title}: ${day}. Please keep it free.`,
  };
  await call(lease, 'desk__send_mail', letter);
  return call(lease, 'calendar__add_event', { title, day });
}

async function call(lease: Lease, name: string, args: Record<string, string>): Promise<string> {
  tell({ event: 'agent.calls', tool: name });
  // A person may have to answer first.
  const result = await lease.client.callTool({ name, arguments: args }, { timeout: 600_000 });
  const text = result.content.map((part) => (part.type === 'text' ? part.text : '')).join('\n');
  if (result.isError === true) throw new Error(`${name}: ${text}`);
  tell({ event: 'agent.heard', tool: name });
  return text;
}

/** Tries what was lent once the task is done: it has to be gone. */
async function afterwards({ client }: Lease): Promise<void> {
  for (let tries = 0; tries < 50; tries += 1) {
    try {
      await client.listTools();
    } catch (error) {
      const code = causes(error).find((one) => one instanceof BorrowError)?.code ?? 'unknown';
      return tell({ event: 'agent.refused', code });
    }
    await sleep(100);
  }
}

function causes(error: unknown): unknown[] {
  return error instanceof Error ? [error, ...causes(error.cause)] : [];
}

function said(text: string, place: { taskId: string; contextId: string }): Message {
  const content = { $case: 'text' as const, value: text };
  return {
    messageId: randomUUID(),
    role: Role.ROLE_AGENT,
    parts: [{ content, metadata: undefined, filename: '', mediaType: 'text/plain' }],
    ...place,
    extensions: [],
    metadata: undefined,
    referenceTaskIds: [],
  };
}

const card: AgentCard = {
  name: 'Planner',
  description: 'Plans a day with tools that it is lent',
  version: '1.0.0',
  supportedInterfaces: [
    { url: `${origin}/a2a`, protocolBinding: 'JSONRPC', tenant: '', protocolVersion: '1.0' },
  ],
  provider: undefined,
  capabilities: {
    streaming: true,
    pushNotifications: false,
    extendedAgentCard: false,
    extensions: [agentExtension(clientId)],
  },
  securitySchemes: {},
  securityRequirements: [],
  defaultInputModes: ['text/plain'],
  defaultOutputModes: ['text/plain'],
  skills: [
    {
      id: 'plan',
      name: 'Plan',
      description: 'Plans a day: reads about it, tells the others, enters it into the calendar',
      tags: ['planning'],
      examples: ['Plan the offsite'],
      inputModes: [],
      outputModes: [],
      securityRequirements: [],
    },
  ],
  signatures: [],
};

const common = {
  requestHandler: new OfferTakingHandler(offers, card, new InMemoryTaskStore(), new Planner()),
  userBuilder: UserBuilder.noAuthentication,
};
const keys = createRemoteJWKSet(new URL(`${values.issuer}/jwks`));
const app = express();
app.use(
  '/.well-known/agent-card.json',
  agentCardHandler({ agentCardProvider: common.requestHandler }),
);
// The client as which it redeems offers. Spec: draft-ietf-oauth-client-id-metadata-document
app.get('/client.json', (_request, response) => {
  response.json({
    client_id: clientId,
    client_name: 'Planner',
    grant_types: ['urn:ietf:params:oauth:grant-type:token-exchange'],
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: {
      keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'planner', alg: 'ES256', use: 'sig' }],
    },
  });
});
// Only the gateway of its own organization gets in. Spec: RFC 9068 §4
app.use('/a2a', (request, response, next) => {
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
  const wanted = { issuer: values.issuer, audience: `${origin}/a2a`, typ: 'at+jwt' };
  jwtVerify(token, keys, wanted).then(
    () => next(),
    () => void response.status(401).set('www-authenticate', 'Bearer').end(),
  );
});
app.use('/a2a', jsonRpcHandler(common));
app.listen(Number(values.port), '127.0.0.1');
