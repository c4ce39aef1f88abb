import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import type { ClientCapabilities, ElicitRequest, ElicitResult } from '@modelcontextprotocol/client';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';

/** What the user behind a test client answers; the questions are kept in `asked`. */
export interface TestUser {
  asked: ElicitRequest['params'][];
  answer: (params: ElicitRequest['params']) => ElicitResult | Promise<ElicitResult>;
}

/** A user who gives these answers, one after the other, and cancels when they run out. */
export function userWho(...answers: ElicitResult[]): TestUser {
  const left = [...answers];
  return { asked: [], answer: () => left.shift() ?? { action: 'cancel' } };
}

/** How a test client connects. */
export interface TestClientOptions {
  user?: TestUser;
  /** Replaces the declared capabilities. */
  capabilities?: ClientCapabilities;
  headers?: Record<string, string>;
}

const CAPABILITIES = {
  elicitation: { form: {}, url: {} },
  sampling: {},
  roots: { listChanged: true },
} satisfies ClientCapabilities;

const MODEL_REPLY = {
  role: 'assistant' as const,
  model: 'test-model',
  content: { type: 'text' as const, text: 'The model says hello' },
};
const ROOTS = { roots: [{ uri: 'file:///workspace', name: 'workspace' }] };

/** Connects the current official client, which finds out the era by itself. */
export async function connectModernClient(
  url: string,
  { user = userWho(), capabilities = CAPABILITIES, headers }: TestClientOptions = {},
): Promise<Client> {
  const client = new Client(
    { name: 'modern-test-client', version: '1.0.0' },
    { capabilities, versionNegotiation: { mode: 'auto' } },
  );
  if (capabilities.elicitation) {
    client.setRequestHandler('elicitation/create', ({ params }) => {
      user.asked.push(params);
      return user.answer(params);
    });
  }
  if (capabilities.sampling) {
    client.setRequestHandler('sampling/createMessage', () => MODEL_REPLY);
  }
  if (capabilities.roots) client.setRequestHandler('roots/list', () => ROOTS);
  await client.connect(
    new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }),
  );
  return client;
}

/** Connects the v1 official client, which knows 2025-11-25 and earlier only. */
export async function connectLegacyClient(
  url: string,
  { user = userWho(), capabilities = CAPABILITIES, headers }: TestClientOptions = {},
): Promise<LegacyClient> {
  const client = new LegacyClient(
    { name: 'legacy-test-client', version: '1.0.0' },
    { capabilities },
  );
  if (capabilities.elicitation) {
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      user.asked.push(params);
      return user.answer(params);
    });
  }
  if (capabilities.sampling) {
    client.setRequestHandler(CreateMessageRequestSchema, () => MODEL_REPLY);
  }
  if (capabilities.roots) client.setRequestHandler(ListRootsRequestSchema, () => ROOTS);
  await client.connect(new LegacyTransport(new URL(url), { requestInit: { headers } }));
  return client;
}
