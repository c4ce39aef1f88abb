/** The A2A client of before 1.0, which knows only one `url` and never says its version. */
import type { Message, Task } from 'a2a-js-0.3';
import {
  ClientFactory,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  RestTransportFactory,
} from 'a2a-js-0.3/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { livePeers, peerIds, startSite, type Site } from './site.ts';

let site: Site;

beforeAll(async () => {
  site = await startSite();
});

afterAll(() => site.close());

const transports = [
  ['JSONRPC', () => new JsonRpcTransportFactory()],
  ['HTTP+JSON', () => new RestTransportFactory()],
] as const;

let sent = 0;

function message(text: string, skill?: string) {
  sent += 1;
  return {
    message: {
      kind: 'message' as const,
      messageId: `from-before-${sent}`,
      role: 'user' as const,
      parts: [{ kind: 'text' as const, text }],
      ...(skill !== undefined && { metadata: { skill } }),
    },
  };
}

function answered(result: Message | Task): string {
  return JSON.stringify(result.kind === 'message' ? result.parts : result.artifacts);
}

it.each(livePeers)('resolves the card of %s, and its url is the agent', async (id) => {
  for (const path of ['.well-known/agent-card.json', '.well-known/agent.json']) {
    const card = await new DefaultAgentCardResolver().resolve(`${site.gateway.a2a(id)}/`, path);
    expect(card).toMatchObject({
      url: site.gateway.a2a(id),
      protocolVersion: expect.stringMatching(/^0\.3/),
      preferredTransport: 'JSONRPC',
    });
    expect(card.skills.map((skill) => skill.id)).toContain('echo');
  }
});

it.each(transports)('calls an agent and a tool over %s from their bases', async (name, make) => {
  const factory = new ClientFactory({ transports: [make()], preferredTransports: [name] });
  const agent = await factory.createFromUrl(`${site.gateway.a2a(peerIds.agent)}/`);
  expect(answered(await agent.sendMessage(message('echo from before')))).toContain('from before');
  const tools = await factory.createFromUrl(`${site.gateway.a2a(peerIds.server)}/`);
  const result = await tools.sendMessage(message('a tool from before', 'echo'));
  expect(answered(result)).toContain('a tool from before');
});

it.each(transports)('calls both over %s from the origin', async (name, make) => {
  const factory = new ClientFactory({ transports: [make()], preferredTransports: [name] });
  const gateway = await factory.createFromUrl(site.gateway.url);
  for (const id of livePeers) {
    const result = await gateway.sendMessage(message(`echo hello ${id}`, `${id}/echo`));
    expect(answered(result)).toContain(`hello ${id}`);
  }
});
