/** What an MCP client holds when the gateway restarts is still good afterwards. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { WireClient } from '../support/wire-client.ts';

let agent: A2aAgent;
let gateway: TestGateway;
let wire: WireClient;

beforeAll(async () => {
  agent = await startA2aAgent();
  gateway = await startGateway({ peers: [{ id: 'agent', a2a: agent.cardUrl }] });
  wire = new WireClient(gateway.mcp('agent'));
});

afterAll(async () => {
  await gateway.close();
  await agent.close();
});

const answer = { action: 'accept', content: { answer: 'Rome' } };

it('a requestState continues its call', async () => {
  const ask = { capabilities: { elicitation: { form: {} } } };
  const first = await wire.call('ask', { message: 'go' }, ask);
  const [key = ''] = Object.keys(first['inputRequests'] as object);
  const more = { requestState: first['requestState'], inputResponses: { [key]: answer } };
  await gateway.restart();
  const result = await wire.call('ask', { message: 'go' }, { ...ask, more });
  expect(result['structuredContent']).toMatchObject({ text: 'city: Rome' });
});

it('a task that waits still waits, under the same key, and a running one is picked up', async () => {
  const waits = String((await wire.call('ask', { message: 'go' }))['taskId']);
  const runs = String((await wire.call('slow', { message: '1500' }))['taskId']);
  const asks = (task: Record<string, unknown>) => task['status'] === 'input_required';
  const before = await wire.pollTask(waits, asks);
  await gateway.restart();
  const after = await wire.pollTask(waits, asks);
  expect(after['inputRequests']).toMatchObject({
    [Object.keys(before['inputRequests'] as object)[0] ?? '']: { method: 'elicitation/create' },
  });
  const done = await wire.pollTask(runs);
  expect(done['result']).toMatchObject({ structuredContent: { text: 'slept 1500 ms' } });
});
