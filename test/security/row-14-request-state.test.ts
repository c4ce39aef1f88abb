/** SECURITY row 14: a `requestState` serves its own request only, and its answer is used once. */
import { expect, it } from 'vitest';
import { anonymous } from '../../src/model/principal.ts';
import { createSeal } from '../../src/auth/seal.ts';
import type { CallContext } from '../../src/mcp/call-context.ts';
import { openState, sealState } from '../../src/mcp/request-state.ts';
import { WireClient } from '../support/wire-client.ts';
import { agentWith, gatewayWith, serverOf } from './world.ts';

const capabilities = { elicitation: { form: {}, url: {} } };

async function asked() {
  const [agent, other, server] = await Promise.all([agentWith(), agentWith(), serverOf()]);
  const gateway = await gatewayWith({
    peers: [
      { id: 'agent', a2a: agent.cardUrl },
      { id: 'other', a2a: other.cardUrl },
      { id: 'tools', mcp: server.url },
    ],
  });
  const client = new WireClient(gateway.mcp('agent'));
  const args = { message: 'now' };
  const first = await client.call('ask', args, { capabilities });
  expect(first).toMatchObject({ resultType: 'input_required' });
  const [key = ''] = Object.keys(first['inputRequests'] as object);
  const answer = { [key]: { action: 'accept', content: { answer: 'Rome' } } };
  return { agent, gateway, client, args, answer, state: first['requestState'] as string };
}

it('of which any character was changed is refused, and nothing reaches the agent', async () => {
  const { agent, client, args, answer, state } = await asked();
  for (let at = 0; at < state.length; at += 9) {
    const flipped = state[at] === 'A' ? 'B' : 'A';
    const requestState = state.slice(0, at) + flipped + state.slice(at + 1);
    const params = { name: 'ask', arguments: args, requestState, inputResponses: answer };
    const { error } = await client.request('tools/call', params, { capabilities });
    expect(error?.code).toBe(-32602);
    expect(error?.message).toContain('requestState is not valid');
  }
  for (const requestState of [{}, 7, null, '', 'x'.repeat(100_000), state + state]) {
    const params = { name: 'ask', arguments: args, requestState, inputResponses: answer };
    const { error } = await client.request('tools/call', params, { capabilities });
    expect(error?.code).toBe(-32602);
  }
  expect(agent.ledger).toHaveLength(1);
});

it('is refused with other arguments, for another tool, and at another peer', async () => {
  const { agent, gateway, client, args, answer, state } = await asked();
  const retry = async (to: WireClient, name: string, given: object) => {
    const params = { name, arguments: given, requestState: state, inputResponses: answer };
    return (await to.request('tools/call', params, { capabilities })).error?.code;
  };
  expect(await retry(client, 'ask', { message: 'other' })).toBe(-32602);
  expect(await retry(client, 'ask', { ...args, more: 1 })).toBe(-32602);
  expect(await retry(client, 'ask2', args)).toBe(-32602);
  expect(await retry(new WireClient(gateway.mcp('other')), 'ask', args)).toBe(-32602);
  expect(await retry(new WireClient(gateway.mcp('tools')), 'ask', args)).toBe(-32602);
  expect(agent.ledger).toHaveLength(1);
  expect(await retry(client, 'ask', args)).toBeUndefined();
  expect(agent.ledger).toHaveLength(2);
});

it('that is replayed, ten times at once, answers the question once', async () => {
  const { agent, client, args, answer, state } = await asked();
  const params = { name: 'ask', arguments: args, requestState: state, inputResponses: answer };
  const replies = await Promise.all(
    Array.from({ length: 10 }, () => client.request('tools/call', params, { capabilities })),
  );
  expect(agent.ledger).toHaveLength(2);
  const texts = replies.map(({ result, error }) => JSON.stringify(result ?? error));
  expect(texts.some((text) => text.includes('city: Rome'))).toBe(true);
  const later = await client.request('tools/call', params, { capabilities });
  expect(JSON.stringify(later.result)).toContain('city: Rome');
  expect(agent.ledger).toHaveLength(2);
});

it('of one principal is refused for every other one, and after its hour', () => {
  let now = 1000;
  const services = { seal: createSeal(Buffer.alloc(32, 7)), clock: () => now };
  const subject = { method: 'tools/call', params: { name: 'x', arguments: {} } };
  const as = (over: object): CallContext =>
    ({ principal: { ...anonymous, ...over }, peer: { id: 'p' } }) as unknown as CallContext;
  const sealed = sealState({ taskId: 't' }, subject, as({}), services);
  expect(openState(sealed, subject, as({}), services)).toEqual({ taskId: 't' });
  for (const over of [
    { subject: 'bob' },
    { organization: 'else' },
    { client: 'other' },
    { issuer: 'https://idp.example' },
    { organization: 'local","', issuer: '' },
  ]) {
    expect(() => openState(sealed, subject, as(over), services)).toThrow('not valid');
  }
  now += 60 * 60 * 1000 + 1;
  expect(() => openState(sealed, subject, as({}), services)).toThrow('expired');
});
