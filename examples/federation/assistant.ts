/**
 * Alice's assistant: an MCP client that asks the planner, and lends it what is on her desk and her
 * calendar for as long as that takes. Whatever the planner needs her for is asked here.
 */
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import {
  Client,
  StreamableHTTPClientTransport,
  type ElicitRequest,
  type ElicitResult,
} from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
// A program of its own imports `isthmus/lender`.
import { lend, serveChannel, type ServedChannel } from '../../src/lender/lender.ts';
import type { Person } from './person.ts';
import { tokenFor } from './wallet.ts';

/** What it hears and does, for whoever watches. */
export type AssistantEvent =
  | { readonly event: 'assistant.token'; readonly scope: string }
  | { readonly event: 'assistant.calls'; readonly tool: string }
  | { readonly event: 'assistant.asked'; readonly mode: string; readonly message: string }
  | { readonly event: 'assistant.answered'; readonly answer: string }
  | { readonly event: 'assistant.progress'; readonly message: string }
  | { readonly event: 'assistant.result'; readonly text: string };

/** Where it works, and for whom. */
export interface AssistantOptions {
  readonly gateway: string;
  /** The folder that is lent. */
  readonly dir: string;
  readonly person: Person;
  readonly on: (event: AssistantEvent) => void;
  /** A line of the local server's standard error. */
  readonly onDesk: (line: string) => void;
}

/** Asks the planner. Resolves with what it said. */
export async function askPlanner(message: string, options: AssistantOptions): Promise<string> {
  const { gateway, person, on } = options;
  const token = async (resource: string, scope: string): Promise<string> => {
    const given = await tokenFor(resource, { scope, open: (url) => person.open(url) });
    on({ event: 'assistant.token', scope });
    return given;
  };
  // At `/mcp` a token may be for several peers: who lends the calendar has to be allowed to use it.
  const forPeers = await token(`${gateway}/mcp`, 'peer:planner:call peer:calendar:call');
  const forLending = await token(`${gateway}/lend`, 'lend');
  const channel = await serveDesk(forLending, options);
  const client = new Client(
    { name: 'desktop-assistant', version: '1.0.0' },
    {
      capabilities: { elicitation: { form: {}, url: {} } },
      versionNegotiation: { mode: 'auto' },
    },
  );
  client.setRequestHandler('elicitation/create', ({ params }) => answer(params, options));
  try {
    const headers = { authorization: `Bearer ${forPeers}` };
    await client.connect(
      new StreamableHTTPClientTransport(new URL(`${gateway}/mcp`), { requestInit: { headers } }),
    );

    const tools = ['own/read_file', 'own/send_mail', 'calendar/add_event'];
    const lending = await lend(client, { tools });
    on({ event: 'assistant.calls', tool: 'ask_planner' });
    const result = await lending.client.callTool(
      { name: 'ask_planner', arguments: { message } },
      {
        timeout: 600_000,
        onprogress: ({ message: words }) => {
          // Of its own rounds of questions the SDK tells here too.
          if (words?.startsWith('"') === true) on({ event: 'assistant.progress', message: words });
        },
      },
    );
    const text = result.content.map((part) => (part.type === 'text' ? part.text : '')).join('\n');
    if (result.isError === true) throw new Error(text);
    on({ event: 'assistant.result', text });
    return text;
  } finally {
    await client.close();
    await channel.close();
  }
}

/** Starts the local server, and passes messages between it and the gateway, which cannot reach it. */
async function serveDesk(token: string, options: AssistantOptions): Promise<ServedChannel> {
  const desk = new StdioClientTransport({
    command: process.execPath,
    args: [fileURLToPath(new URL('desk.ts', import.meta.url)), options.dir],
    stderr: 'pipe',
  });
  if (desk.stderr instanceof Readable) {
    createInterface({ input: desk.stderr }).on('line', options.onDesk);
  }
  const opened = Promise.withResolvers<void>();
  const channel = await serveChannel({
    gateway: options.gateway,
    name: 'desk',
    // The owner of a channel is who opens it: the same person and client that call the planner.
    auth: async () => ({ authorization: `Bearer ${token}` }),
    onEvent: ({ kind }) => kind === 'open' && opened.resolve(),
    server: {
      connect: async (gateway) => {
        gateway.onmessage = (message) => void desk.send(message);
        desk.onmessage = (message) => void gateway.send(message);
        gateway.onclose = () => void desk.close();
        await desk.start();
      },
    },
  });
  await Promise.race([opened.promise, channel.ended]);
  return channel;
}

/** Answers a question as part of the task: a page to open, or a choice. */
async function answer(
  params: ElicitRequest['params'],
  { person, on }: AssistantOptions,
): Promise<ElicitResult> {
  const { message } = params;
  if (params.mode === 'url') {
    on({ event: 'assistant.asked', mode: 'url', message });
    await person.visit(params.url);
    on({ event: 'assistant.answered', answer: 'accept' });
    return { action: 'accept' };
  }
  on({ event: 'assistant.asked', mode: 'form', message });
  const { decision } = params.requestedSchema.properties as { decision?: { enum?: string[] } };
  const chosen = await person.decide(message, decision?.enum ?? []);
  on({ event: 'assistant.answered', answer: chosen });
  return { action: 'accept', content: { decision: chosen } };
}
