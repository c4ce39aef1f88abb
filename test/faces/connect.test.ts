/** The page behind the links that URL elicitations carry. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import supertest from 'supertest';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { WireClient } from '../support/wire-client.ts';

let agent: A2aAgent;
let gateway: TestGateway;
let wire: WireClient;
let http: ReturnType<typeof supertest>;

beforeAll(async () => {
  agent = await startA2aAgent();
  gateway = await startGateway({ peers: [{ id: 'agent', a2a: agent.cardUrl }] });
  wire = new WireClient(gateway.mcp('agent'));
  http = supertest(gateway.url);
});

afterAll(async () => {
  await gateway.close();
  await agent.close();
});

/** Starts a skill that needs authorization: the task and the path of its page. */
async function sentAway(skill: string): Promise<{ taskId: string; path: string }> {
  const { taskId } = await wire.call(skill, { message: 'please' });
  const task = await wire.pollTask(String(taskId), ({ status }) => status === 'input_required');
  const requests = Object.values(task['inputRequests'] as Record<string, unknown>);
  const [{ params }] = requests as [{ params: { mode: string; url: string } }];
  expect(params.mode).toBe('url');
  expect(params.url.startsWith(`${gateway.url}/connect/`)).toBe(true);
  return { taskId: String(taskId), path: new URL(params.url).pathname };
}

describe('the connect page', () => {
  it('names the agent, its words and the whole host, and leads on to the one URL', async () => {
    const { path } = await sentAway('auth');
    const { text, status, headers } = await http.get(path);
    const { host } = new URL(agent.url);
    expect(status).toBe(200);
    expect(text).toContain(agent.card.name);
    expect(text).toContain('Please authorize the travel desk.');
    expect(text).toContain(`<strong class="host">${host}</strong>`);
    expect(text.match(/<a /g)).toHaveLength(1);
    expect(text).toMatch(/<a class="button" href="http:\/\/127\.0\.0\.1:\d+\/authorize\//);
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(headers['cache-control']).toBe('no-store');
    expect(headers['referrer-policy']).toBe('no-referrer');
  });

  it('offers no button where the agent names several URLs', async () => {
    const { path } = await sentAway('auth-two-urls');
    const { text } = await http.get(path);
    expect(text).not.toContain('<a ');
    expect(text).toContain('several addresses');
  });

  it('changes nothing when it is looked at', async () => {
    const { path, taskId } = await sentAway('auth');
    const before = agent.ledger.length;
    await http.get(path);
    await http.head(path).expect(200);
    await http.post(path).expect(405).expect('allow', 'GET, HEAD');
    expect(agent.ledger).toHaveLength(before);
    const task = await wire.pollTask(taskId, () => true);
    expect(task['status']).toBe('input_required');
  });

  it('is gone when the agent has gone on, and the task is done by itself', async () => {
    const { path, taskId } = await sentAway('auth');
    const atPeer = agent.waitingForAuth().at(-1) ?? '';
    agent.completeAuth(atPeer);
    const task = await wire.pollTask(taskId, ({ status }) => status === 'completed');
    expect(JSON.stringify(task['result'])).toContain('booked with your authorization');
    const { text } = await http.get(path).expect(404);
    expect(text).toContain('Nothing to do here');
  });

  it('is the same answer for every link that was not made here', async () => {
    const { path } = await sentAway('auth');
    const forged = path.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
    const pages = await Promise.all(
      [forged, '/connect/', '/connect/x', '/connect/../../etc/passwd%00'].map((each) =>
        http.get(each),
      ),
    );
    expect(pages.map(({ status }) => status)).toEqual([404, 404, 404, 404]);
    expect(pages[0]?.text).toBe(pages[2]?.text);
  });
});
