/** An A2A agent as a modern MCP server, without the Tasks extension: held calls and questions. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { connectModernClient, userWho, type TestUser } from '../support/mcp-clients.ts';
import { WireClient } from '../support/wire-client.ts';

let agent: A2aAgent;
let gateway: TestGateway;
let url: string;

beforeAll(async () => {
  agent = await startA2aAgent();
  gateway = await startGateway({
    peers: [{ id: 'agent', a2a: agent.cardUrl }],
    limits: { syncCall: '2s' },
  });
  url = gateway.mcp('agent');
});

afterAll(async () => {
  await gateway.close();
  await agent.close();
});

const elicitation = { elicitation: { form: {}, url: {} } };

interface Structured {
  taskId: string;
  contextId: string;
  state: string;
  text: string;
}

function structured(result: { structuredContent?: unknown }): Structured {
  return result.structuredContent as Structured;
}

describe('discovery', () => {
  it('negotiates 2026-07-28 and names the agent', async () => {
    const client = await connectModernClient(url);
    expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28');
    expect(client.getServerVersion()).toMatchObject({
      name: 'ip4-127-0-0-1/agent',
      title: agent.card.name,
    });
    await client.close();
  });

  it('lists one tool per skill, and the helper tools', async () => {
    const client = await connectModernClient(url);
    const { tools } = await client.listTools();
    const names = tools.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['echo', 'ask', 'auth']));
    expect(names.slice(-3)).toEqual(['get_task', 'answer_task', 'cancel_task']);
    await client.close();
  });

  it('shows the examples of skills as prompts', async () => {
    const client = await connectModernClient(url);
    const { prompts } = await client.listPrompts();
    const first = prompts[0]?.name ?? '';
    const { messages } = await client.getPrompt({ name: first });
    expect(messages).toEqual([
      { role: 'user', content: { type: 'text', text: 'echo hello there' } },
    ]);
    await client.close();
  });

  it('puts caching hints on what may be cached, private to the caller', async () => {
    const wire = new WireClient(url);
    for (const method of ['server/discover', 'tools/list', 'prompts/list', 'resources/list']) {
      const { result } = await wire.request(method);
      expect(result).toMatchObject({ resultType: 'complete', cacheScope: 'private' });
      expect(result?.['ttlMs']).toBeGreaterThanOrEqual(0);
    }
  });
});

describe('calls', () => {
  it('returns a direct message as a complete result', async () => {
    const wire = new WireClient(url);
    const result = await wire.call('echo', { message: 'hello' }, { capabilities: {} });
    expect(result).toMatchObject({
      resultType: 'complete',
      content: [{ type: 'text', text: 'hello' }],
    });
    expect(result['isError']).toBeUndefined();
  });

  it('returns a finished task with its id, its state and its text', async () => {
    const client = await connectModernClient(url);
    const result = await client.callTool({ name: 'task', arguments: { message: 'well done' } });
    expect(structured(result)).toMatchObject({
      state: 'TASK_STATE_COMPLETED',
      text: 'well done',
    });
    expect(structured(result).taskId).toMatch(/^[\w-]{22,}$/);
    await client.close();
  });

  it('holds a call until the task is done, and reports progress when asked', async () => {
    const client = await connectModernClient(url);
    const heard: number[] = [];
    const result = await client.callTool(
      { name: 'slow', arguments: { message: '1200' } },
      { onprogress: ({ progress }) => void heard.push(progress) },
    );
    expect(structured(result).text).toBe('slept 1200 ms');
    expect(heard.length).toBeGreaterThan(0);
    expect(heard).toEqual([...heard].sort((a, b) => a - b));
    await client.close();
  });

  it('answers with a task id when the call has been held as long as it may be', async () => {
    const client = await connectModernClient(url);
    const result = await client.callTool({ name: 'slow', arguments: { message: '3000' } });
    expect(structured(result).state).toBe('TASK_STATE_WORKING');
    const { taskId } = structured(result);
    let later = await client.callTool({ name: 'get_task', arguments: { taskId } });
    while (structured(later).state === 'TASK_STATE_WORKING') {
      later = await client.callTool({ name: 'get_task', arguments: { taskId } });
    }
    expect(structured(later).text).toBe('slept 3000 ms');
    await client.close();
  });

  it('makes a failed and a rejected task an error result with the reason', async () => {
    const client = await connectModernClient(url);
    for (const name of ['fail', 'reject']) {
      const result = await client.callTool({ name, arguments: { message: 'no more fuel' } });
      expect(result.isError).toBe(true);
      expect(JSON.stringify(result.content)).toContain('no more fuel');
    }
    await client.close();
  });

  it('refuses an unknown tool with -32602', async () => {
    const { error } = await new WireClient(url).request('tools/call', { name: 'nope' });
    expect(error?.code).toBe(-32602);
  });

  it('names the field of arguments that do not fit, as a tool error', async () => {
    const result = await new WireClient(url).call('echo', { message: 7 });
    expect(result['isError']).toBe(true);
    expect(JSON.stringify(result['content'])).toContain('message');
  });

  it('carries contextId from one call to the next', async () => {
    const client = await connectModernClient(url);
    const first = await client.callTool({ name: 'task', arguments: { message: 'one' } });
    const { contextId } = structured(first);
    await client.callTool({ name: 'task', arguments: { message: 'two', contextId } });
    const [one, two] = agent.ledger.slice(-2);
    expect(two?.contextId).toBeDefined();
    expect(one?.text).toBe('one');
    await client.close();
  });

  it('cancels the work when the client closes the response', async () => {
    covers('MCP-http-11');
    const wire = new WireClient(url);
    const controller = new AbortController();
    const before = agent.received.length;
    const call = wire.request(
      'tools/call',
      { name: 'cancelable', arguments: { message: 'run' } },
      { capabilities: {}, signal: controller.signal },
    );
    call.catch(() => undefined);
    await expect.poll(() => agent.ledger.at(-1)?.text).toBe('run');
    await new Promise((resolve) => setTimeout(resolve, 150));
    controller.abort();
    await expect
      .poll(() => agent.received.slice(before).some(({ rpcMethod }) => rpcMethod === 'CancelTask'))
      .toBe(true);
  });
});

describe('questions', () => {
  it('asks a client that can be asked, and goes on with the answer', async () => {
    const user = userWho({ action: 'accept', content: { answer: 'Rome' } });
    const client = await connectModernClient(url, { user, capabilities: elicitation });
    const result = await client.callTool({ name: 'ask', arguments: { message: 'trip' } });
    expect(structured(result)).toMatchObject({ text: 'city: Rome', state: 'TASK_STATE_COMPLETED' });
    expect(user.asked).toMatchObject([{ message: 'Which city?' }]);
    await client.close();
  });

  it('asks again for each question of a task', async () => {
    const user = userWho(
      { action: 'accept', content: { answer: 'Arthur' } },
      { action: 'accept', content: { answer: 'the grail' } },
    );
    const client = await connectModernClient(url, { user, capabilities: elicitation });
    const result = await client.callTool({ name: 'ask2', arguments: { message: 'go' } });
    expect(structured(result).text).toBe('name: Arthur, quest: the grail');
    expect(user.asked).toHaveLength(2);
    await client.close();
  });

  it('shows the schema that the agent sent, and checks the answer before it is passed on', async () => {
    const wire = new WireClient(url);
    const ask = { capabilities: elicitation };
    const first = await wire.call('form', { message: 'go' }, ask);
    const [key = ''] = Object.keys(first['inputRequests'] as object);
    expect(first).toMatchObject({
      resultType: 'input_required',
      inputRequests: {
        [key]: {
          method: 'elicitation/create',
          params: { mode: 'form', requestedSchema: { required: ['city', 'nights'] } },
        },
      },
    });
    const retry = (content: object, state: unknown) =>
      wire.call(
        'form',
        { message: 'go' },
        {
          ...ask,
          more: {
            requestState: state,
            inputResponses: { [key]: { action: 'accept', content } },
          },
        },
      );
    const again = await retry({ city: 'Rome' }, first['requestState']);
    expect(again).toMatchObject({ resultType: 'input_required', inputRequests: { [key]: {} } });
    const done = await retry({ city: 'Rome', nights: 2 }, again['requestState']);
    expect(JSON.stringify(done)).toContain('trip: {');
  });

  it('passes a refusal on to the agent', async () => {
    const user = userWho({ action: 'decline' });
    const client = await connectModernClient(url, { user, capabilities: elicitation });
    const result = await client.callTool({ name: 'form', arguments: { message: 'go' } });
    expect(structured(result).text).toContain('declined');
    await client.close();
  });

  it('keeps a dismissed question open and says how to answer it', async () => {
    const user = userWho({ action: 'cancel' });
    const client = await connectModernClient(url, { user, capabilities: elicitation });
    const result = await client.callTool({ name: 'ask', arguments: { message: 'go' } });
    expect(structured(result).state).toBe('TASK_STATE_INPUT_REQUIRED');
    const { taskId } = structured(result);
    const answered = await client.callTool({
      name: 'answer_task',
      arguments: { taskId, answer: 'Oslo' },
    });
    expect(structured(answered).text).toBe('city: Oslo');
    await client.close();
  });

  it('tells a client that cannot be asked how to answer', async () => {
    const client = await connectModernClient(url, { capabilities: {} });
    const result = await client.callTool({ name: 'form', arguments: { message: 'go' } });
    const { taskId, state } = structured(result);
    expect(state).toBe('TASK_STATE_INPUT_REQUIRED');
    expect(JSON.stringify(result.content)).toContain('answer_task');
    const wrong = await client.callTool({
      name: 'answer_task',
      arguments: { taskId, answer: { city: 'Rome' } },
    });
    expect(wrong.isError).toBe(true);
    expect(JSON.stringify(wrong.content)).toContain('nights');
    const right = await client.callTool({
      name: 'answer_task',
      arguments: { taskId, answer: { city: 'Rome', nights: 3 } },
    });
    expect(structured(right).state).toBe('TASK_STATE_COMPLETED');
    await client.close();
  });

  it('sends the user to the connect page and resumes when the agent does', async () => {
    const user: TestUser = {
      asked: [],
      answer: () => {
        setTimeout(() => agent.waitingForAuth().forEach((id) => agent.completeAuth(id)), 600);
        return { action: 'accept' };
      },
    };
    const client = await connectModernClient(url, { user, capabilities: elicitation });
    const result = await client.callTool({ name: 'auth', arguments: { message: 'book' } });
    expect(structured(result).text).toContain('booked with your authorization');
    expect(user.asked).toHaveLength(1);
    const [asked] = user.asked as { url?: string }[];
    expect(asked?.url).toMatch(new RegExp(`^${gateway.url}/connect/`));
    await client.close();
  });

  it('rejects a task whose authorization the user declines', async () => {
    const user = userWho({ action: 'decline' });
    const client = await connectModernClient(url, { user, capabilities: elicitation });
    const result = await client.callTool({ name: 'auth', arguments: { message: 'book' } });
    expect(result.isError).toBe(true);
    expect(JSON.stringify(result.content)).toContain('declined');
    await client.close();
  });
});

describe('requestState', () => {
  const ask = { capabilities: elicitation };
  const answer = { action: 'accept', content: { answer: 'Rome' } };

  async function asked(wire: WireClient) {
    const first = await wire.call('ask', { message: 'go' }, ask);
    const [key = ''] = Object.keys(first['inputRequests'] as object);
    return { inputResponses: { [key]: answer }, requestState: String(first['requestState']) };
  }

  it('is refused with -32602 when it was changed in any way', async () => {
    const wire = new WireClient(url);
    const more = await asked(wire);
    const bad = [`${more.requestState}x`, more.requestState.slice(0, -2), 'AAAA', '', 7];
    for (const requestState of bad) {
      const params = { name: 'ask', arguments: { message: 'go' }, ...more, requestState };
      const { error } = await wire.request('tools/call', params, ask);
      expect(error?.code).toBe(-32602);
    }
  });

  it('is refused for other arguments and for another tool', async () => {
    const wire = new WireClient(url);
    const more = await asked(wire);
    for (const call of [
      { name: 'ask', arguments: { message: 'elsewhere' } },
      { name: 'ask2', arguments: { message: 'go' } },
    ]) {
      const { error } = await wire.request('tools/call', { ...call, ...more }, ask);
      expect(error?.code).toBe(-32602);
    }
  });

  it('asks again when the answer is missing, and ignores answers that nobody asked for', async () => {
    const wire = new WireClient(url);
    const { requestState, inputResponses } = await asked(wire);
    const again = await wire.call(
      'ask',
      { message: 'go' },
      { ...ask, more: { requestState, inputResponses: { other: answer } } },
    );
    expect(again['resultType']).toBe('input_required');
    const done = await wire.call(
      'ask',
      { message: 'go' },
      {
        ...ask,
        more: {
          requestState: again['requestState'],
          inputResponses: { ...inputResponses, other: answer },
        },
      },
    );
    expect(structured(done).text).toBe('city: Rome');
  });
});

describe('artifacts', () => {
  it('are resources of the caller, linked to when they are large or binary', async () => {
    const client = await connectModernClient(url);
    const result = await client.callTool({ name: 'binary', arguments: { message: 'go' } });
    const { resources } = await client.listResources();
    const listed = resources.find(({ uri }) => uri.includes(structured(result).taskId));
    const { contents } = await client.readResource({ uri: listed?.uri ?? '' });
    expect(contents.length).toBe(5);
    const links = (result.content as { type: string; uri?: string }[])
      .filter(({ type, uri }) => type === 'resource_link' && uri?.startsWith('a2a:'))
      .map(({ uri }) => uri);
    expect(new Set(links)).toEqual(new Set([listed?.uri]));
    await client.close();
  });

  it('that do not exist are -32602 with the URI', async () => {
    const uri = 'a2a://agent/tasks/none/artifacts/none';
    const { error } = await new WireClient(url).request('resources/read', { uri });
    expect(error).toMatchObject({ code: -32602, data: { uri } });
  });

  it('complete the variables of their template', async () => {
    const wire = new WireClient(url);
    const made = await wire.call('task', { message: 'x' }, { capabilities: {} });
    const { result } = await wire.request('resources/templates/list');
    const templates = (result?.['resourceTemplates'] ?? []) as { uriTemplate: string }[];
    const { result: completed } = await wire.request('completion/complete', {
      ref: { type: 'ref/resource', uri: templates[0]?.uriTemplate },
      argument: { name: 'task', value: structured(made).taskId.slice(0, 6) },
    });
    expect(completed?.['completion']).toMatchObject({ values: [structured(made).taskId] });
  });
});
