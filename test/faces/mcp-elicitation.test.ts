/** Questions of agents and servers: how they are put to people, and what comes of the answers. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import type { A2aAgent } from '../support/a2a-agent.ts';
import { artifact, dataPart, textOf, textPart } from '../support/a2a-parts.ts';
import { startBadPeer, type BadPeer } from '../support/bad-peer.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { LegacyWire } from '../support/legacy-wire.ts';
import { WireClient } from '../support/wire-client.ts';
import { callTool, RawA2a, sayParts } from './a2a-raw.ts';
import {
  answer,
  Opened,
  paramsOf,
  said,
  startSkilledAgent,
  startToolServer,
  tool,
} from './mcp-world.ts';

type Json = Record<string, unknown>;

interface Question {
  method: string;
  params: Json & { mode?: string; message?: string; url?: string; requestedSchema?: Json };
}

const opened = new Opened();
let agent: A2aAgent;
let asker: BadPeer;
let listener: BadPeer;
let gateway: TestGateway;

const nested = {
  type: 'object',
  properties: { trip: { type: 'object', properties: { city: { type: 'string' } } } },
  required: ['trip'],
};
const cityForm = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
};

beforeAll(async () => {
  listener = opened.add(await startBadPeer());
  const secretUrl = `${listener.url}/authorize?token=s3cret&user=ann@example.org`;
  agent = opened.add(
    await startSkilledAgent({
      password: async (turn) => {
        turn.begin();
        await turn.needAuthorization([textPart('Please tell me your password.')]);
      },
      secret: async (turn) => {
        turn.begin();
        await turn.needAuthorization([textPart('Sign in.'), dataPart({ url: secretUrl })]);
      },
      nested: (turn) => {
        turn.begin();
        turn.ask([textPart('Where to?'), dataPart(nested)], async (reply) => {
          reply.begin();
          reply.complete([artifact('got', [dataPart(reply.data)])]);
        });
      },
      silent: (turn) => {
        turn.begin();
        turn.ask([], async (reply) => {
          reply.begin();
          reply.complete([artifact('got', [textPart(textOf(reply.parts))])]);
        });
      },
    }),
  );
  const form = { message: 'Where to?', requestedSchema: cityForm };
  const link = { mode: 'url', message: 'Sign in', url: secretUrl, elicitationId: 'e-1' };
  const questions: Record<string, Json> = {
    modeless: form,
    form: { mode: 'form', ...form },
    link,
  };
  asker = opened.add(
    await startToolServer({
      tools: [...Object.keys(questions), 'plain'].map((name) => tool(name)),
      on: {
        'tools/call': answer(({ name, inputResponses }) => {
          const params = questions[String(name)];
          if (params === undefined) return said('plain');
          if (inputResponses !== undefined) return said(JSON.stringify(inputResponses));
          const q = { method: 'elicitation/create', params };
          return { resultType: 'input_required', inputRequests: { q } };
        }),
      },
    }),
  );
  gateway = opened.add(
    await startGateway({
      peers: [
        { id: 'agent', a2a: agent.cardUrl },
        { id: 'asker', mcp: asker.mcpUrl },
      ],
      limits: { syncCall: '2s' },
    }),
  );
});

afterAll(() => opened.close());

const form = { form: {} };
const both = { form: {}, url: {} };
const at = (peer: string) => new WireClient(gateway.mcp(peer));
const face = (peer: string) => new RawA2a(gateway.a2a(peer));

/** Calls a tool as a client with this elicitation capability. */
function ask(peer: string, name: string, elicitation: Json | undefined): Promise<Json> {
  const capabilities = elicitation === undefined ? {} : { elicitation };
  return at(peer).call(name, peer === 'agent' ? { message: 'go' } : {}, { capabilities });
}

function questionsOf(result: Json): Question[] {
  return Object.values((result['inputRequests'] as Record<string, Question> | undefined) ?? {});
}

/** Repeats a call with one response for every question. */
function reply(peer: string, name: string, first: Json, response: unknown): Promise<Json> {
  const keys = Object.keys(first['inputRequests'] as Json);
  const more = {
    requestState: first['requestState'],
    inputResponses: Object.fromEntries(keys.map((key) => [key, response])),
  };
  const args = peer === 'agent' ? { message: 'go' } : {};
  return at(peer).call(name, args, { capabilities: { elicitation: both }, more });
}

describe('an agent that wants credentials', () => {
  it('is answered at a page, never in a form', async () => {
    covers('MCP-elicitation-01');
    const [shown] = questionsOf(await ask('agent', 'password', both));
    expect(shown?.params.mode).toBe('url');
    expect(shown?.params).not.toHaveProperty('requestedSchema');
    for (const elicitation of [form, {}, undefined]) {
      const told = await ask('agent', 'password', elicitation);
      expect(told).toMatchObject({ resultType: 'complete' });
      expect(JSON.stringify(told['content'])).toContain('/connect/');
    }
    const session = await LegacyWire.open(gateway.mcp('agent'), {
      capabilities: { elicitation: form },
    });
    let asked = 0;
    await session.call('password', { message: 'go' }, () => {
      asked += 1;
      return { action: 'cancel' };
    });
    expect(asked).toBe(0);
  });

  it('sends people to a page of ours, whose address says nothing', async () => {
    covers('MCP-elicitation-11', 'MCP-elicitation-13');
    for (const name of ['auth', 'password', 'secret', 'auth-two-urls']) {
      const first = await ask('agent', name, both);
      const [shown, ...more] = questionsOf(first);
      expect(more).toEqual([]);
      expect(shown?.method).toBe('elicitation/create');
      expect(shown?.params).toMatchObject({
        mode: 'url',
        message: expect.stringMatching(/\w{4,}/) as string,
      });
      const url = new URL(String(shown?.params.url));
      expect(url.origin).toBe(gateway.url);
      expect(url.pathname).toMatch(/^\/connect\/[\w-]+$/);
      expect([url.search, url.hash, url.username, url.password]).toEqual(['', '', '', '']);
      const id = url.pathname.slice('/connect/'.length);
      const bytes = Buffer.from(id, 'base64url').toString('latin1');
      const { port } = new URL(listener.url);
      for (const secret of ['s3cret', 'ann@', 'authorize', 'agent', 'http', port]) {
        expect(`${id} ${bytes}`).not.toContain(secret);
      }
    }
  });

  it('has its address shown in full before anyone goes there', async () => {
    covers('MCP-elicitation-04');
    const [shown] = questionsOf(await ask('agent', 'secret', both));
    const page = await fetch(String(shown?.params.url), { redirect: 'manual' });
    const html = await page.text();
    expect(page.status).toBe(200);
    expect(page.headers.get('location')).toBeNull();
    expect(page.headers.get('refresh')).toBeNull();
    expect(html).not.toMatch(/<script|http-equiv="?refresh|<iframe|<img/i);
    expect(html).toContain(`Host: <strong class="host">${new URL(listener.url).host}</strong>`);
    expect(html).toContain(`${listener.url}/authorize?token=s3cret&amp;user=ann@example.org`);
    const task = await face('asker').task(callTool('link'));
    expect(task.status.state).toBe('TASK_STATE_AUTH_REQUIRED');
    const text = (task.status.message?.parts ?? []).map((part) => part.text ?? '').join('\n');
    expect(text).toContain(`${listener.url}/authorize?token=s3cret&user=ann@example.org`);
  });
});

describe('the address of a question', () => {
  it('is not visited by us', async () => {
    covers('MCP-elicitation-14');
    const first = await ask('agent', 'secret', both);
    await fetch(String(questionsOf(first)[0]?.params.url));
    await ask('agent', 'secret', undefined);
    const link = await ask('asker', 'link', both);
    expect(questionsOf(link)).toHaveLength(1);
    await reply('asker', 'link', link, { action: 'accept' });
    await face('asker').task(callTool('link'));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(listener.requests).toEqual([]);
    await fetch(`${listener.url}/authorize`);
    expect(listener.requests).toHaveLength(1);
  });
});

describe('a client', () => {
  it('with an empty elicitation capability is asked with forms only', async () => {
    covers('MCP-elicitation-06');
    const [shown] = questionsOf(await ask('agent', 'ask', {}));
    expect(shown?.params).toMatchObject({ mode: 'form', requestedSchema: { type: 'object' } });
    expect(await ask('agent', 'auth', {})).toMatchObject({
      resultType: 'complete',
      structuredContent: { state: 'TASK_STATE_AUTH_REQUIRED' },
    });
    expect(questionsOf(await ask('asker', 'form', {}))).toHaveLength(1);
    const link = await ask('asker', 'link', {});
    expect(link).toMatchObject({ resultType: 'complete', isError: true });
    expect(questionsOf(link)).toEqual([]);
  });

  it('is asked only in the modes that it declared', async () => {
    covers('MCP-elicitation-07');
    for (const peer of ['agent', 'asker']) {
      const [formTool, urlTool] = peer === 'agent' ? ['ask', 'auth'] : ['form', 'link'];
      for (const [elicitation, tools] of [
        [form, [true, false]],
        [{ url: {} }, [false, true]],
        [both, [true, true]],
      ] as const) {
        const shown = await Promise.all(
          [formTool, urlTool].map(async (name) => {
            const params = { name, arguments: peer === 'agent' ? { message: 'x' } : {} };
            const capabilities = { elicitation };
            const { result } = await at(peer).request('tools/call', params, { capabilities });
            return questionsOf(result ?? {}).length === 1;
          }),
        );
        expect([peer, elicitation, shown]).toEqual([peer, elicitation, tools]);
      }
    }
  });

  it('is always told what a question is about', async () => {
    covers('MCP-elicitation-08');
    const calls = [
      ...['ask', 'ask2', 'form', 'auth', 'password', 'nested', 'silent'].map((name) => [
        'agent',
        name,
      ]),
      ...['form', 'modeless', 'link'].map((name) => ['asker', name]),
    ] as [string, string][];
    for (const [peer, name] of calls) {
      const [shown] = questionsOf(await ask(peer, name, both));
      expect([name, shown?.method]).toEqual([name, 'elicitation/create']);
      expect(shown?.params.message).toMatch(/\w{4,}/);
      const args = peer === 'agent' ? { message: 'go' } : {};
      if (peer !== 'agent') continue;
      const { taskId } = await at(peer).call(name, args);
      const task = await at(peer).pollTask(String(taskId), (t) => t['status'] === 'input_required');
      for (const { params } of questionsOf(task)) expect(params.message).toMatch(/\w{4,}/);
    }
  });

  it('gets forms that are flat, and prose as one field', async () => {
    covers('MCP-elicitation-10');
    const primitive = ['string', 'number', 'integer', 'boolean', 'array'];
    for (const name of ['ask', 'form', 'nested', 'silent']) {
      const [shown] = questionsOf(await ask('agent', name, both));
      const schema = shown?.params.requestedSchema as {
        type: string;
        properties: Record<string, { type: string; properties?: unknown }>;
      };
      expect(schema.type).toBe('object');
      expect(Object.keys(schema.properties).length).toBeGreaterThan(0);
      for (const property of Object.values(schema.properties)) {
        expect(primitive).toContain(property.type);
        expect(property.properties).toBeUndefined();
      }
    }
    const [prose] = questionsOf(await ask('agent', 'ask', both));
    expect(prose?.params.requestedSchema).toMatchObject({
      properties: { answer: { type: 'string' } },
      required: ['answer'],
    });
    const first = await ask('agent', 'nested', both);
    const [shown] = questionsOf(first);
    const fields = Object.entries(shown?.params.requestedSchema?.['properties'] as Json);
    expect(fields).toMatchObject([[expect.any(String), { type: 'string' }]]);
    expect(shown?.params['_meta']).toMatchObject({ 'isthmus/loss': [expect.any(String)] });
    const content = { [fields[0]?.[0] ?? '']: '{"trip":{"city":"Rome"}}' };
    const done = await reply('agent', 'nested', first, { action: 'accept', content });
    expect(JSON.stringify(done['structuredContent'])).toContain('{"trip":{"city":"Rome"}}');
  });

  it('that declines, dismisses or answers nonsense comes to an orderly end', async () => {
    covers('MCP-elicitation-12');
    const states = async (response: unknown) => {
      const first = await ask('agent', 'form', both);
      const then = await reply('agent', 'form', first, response);
      const { state } = (then['structuredContent'] ?? {}) as { state?: string };
      return [then['resultType'], state];
    };
    expect(await states({ action: 'decline' })).toEqual(['complete', 'TASK_STATE_COMPLETED']);
    expect(await states({ action: 'cancel' })).toEqual(['complete', 'TASK_STATE_INPUT_REQUIRED']);
    for (const nonsense of [{ action: 'maybe' }, {}, 'yes', null, { action: 'accept' }]) {
      expect([nonsense, await states(nonsense)]).toEqual([nonsense, ['input_required', undefined]]);
    }
    for (const action of ['decline', 'cancel']) {
      const first = await ask('asker', 'form', both);
      const then = await reply('asker', 'form', first, { action });
      expect(then).toMatchObject({ content: [{ text: `{"q":{"action":"${action}"}}` }] });
    }
    const ends = {
      decline: 'TASK_STATE_COMPLETED',
      cancel: 'TASK_STATE_INPUT_REQUIRED',
      maybe: undefined,
    };
    for (const [action, state] of Object.entries(ends)) {
      const session = await LegacyWire.open(gateway.mcp('agent'), {
        capabilities: { elicitation: form },
      });
      const before = performance.now();
      let asked = 0;
      const { result, error } = await session.call('form', { message: 'go' }, () => {
        asked += 1;
        return { action: asked > 3 ? 'cancel' : action };
      });
      expect(performance.now() - before).toBeLessThan(5000);
      expect([action, result !== undefined || error !== undefined]).toEqual([action, true]);
      const then = (result?.['structuredContent'] ?? {}) as { state?: string };
      expect([action, state === undefined || then.state === state]).toEqual([action, true]);
    }
  });
});

describe('a question of a server, at the A2A face', () => {
  it('without a mode is a form', async () => {
    covers('MCP-elicitation-09');
    const task = await face('asker').task(callTool('modeless'));
    expect(task.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    const data = (task.status.message?.parts ?? []).flatMap((part) =>
      part.data === undefined ? [] : [part.data],
    );
    expect(data).toMatchObject([
      { request: { method: 'elicitation/create', params: { requestedSchema: cityForm } } },
    ]);
    const [shown] = questionsOf(await ask('asker', 'modeless', form));
    expect(shown?.params.requestedSchema).toEqual(cityForm);
  });

  it('can be declined and dismissed', async () => {
    covers('MCP-elicitation-03');
    for (const action of ['decline', 'cancel']) {
      const task = await face('asker').task(callTool('form'));
      const key = (task.status.message?.parts ?? []).flatMap(({ data }) =>
        typeof data === 'object' && data !== null && 'key' in data ? [data['key'] as string] : [],
      )[0];
      const before = asker.requestsOf('tools/call').length;
      const follow = { taskId: task.id, contextId: task.contextId };
      const done = await face('asker').task(
        sayParts([{ data: { key: key ?? '', response: { action } } }], follow),
      );
      expect(done.status.state).toBe('TASK_STATE_COMPLETED');
      const [repeat, ...more] = asker.requestsOf('tools/call').slice(before);
      expect(more).toEqual([]);
      expect(paramsOf(repeat?.body)['inputResponses']).toEqual({ q: { action } });
    }
  });

  it('can be asked because we say so, on each request; on the other face the client does', async () => {
    covers('MCP-elicitation-05');
    const declared = async (act: () => Promise<unknown>) => {
      const before = asker.requestsOf('tools/call').length;
      await act();
      return asker
        .requestsOf('tools/call')
        .slice(before)
        .map(({ body }) => {
          const meta = paramsOf(body)['_meta'] as Json;
          const capabilities = meta['io.modelcontextprotocol/clientCapabilities'] as Json;
          return capabilities['elicitation'];
        });
    };
    const asked = await declared(async () => {
      const task = await face('asker').task(callTool('form'));
      const follow = { taskId: task.id, contextId: task.contextId };
      await face('asker').task(sayParts([{ data: { city: 'Rome' } }], follow));
    });
    expect(asked).toEqual([both, both]);
    expect(await declared(() => face('asker').task(callTool('plain')))).toEqual([both]);
    expect(await declared(() => ask('asker', 'plain', form))).toEqual([form]);
    expect(await declared(() => ask('asker', 'plain', { url: {} }))).toEqual([{ url: {} }]);
    expect(await declared(() => ask('asker', 'plain', undefined))).toEqual([undefined]);
    const repeated = await declared(async () => {
      const first = await ask('asker', 'form', both);
      await reply('asker', 'form', first, { action: 'decline' });
    });
    expect(repeated).toEqual([both, both]);
  });

  it('says who asks', async () => {
    covers('MCP-elicitation-02');
    for (const name of ['form', 'modeless', 'link']) {
      const task = await face('asker').task(callTool(name));
      const text = (task.status.message?.parts ?? []).map((part) => part.text ?? '').join('\n');
      expect([name, text]).toEqual([name, expect.stringContaining('"asker" asks:')]);
    }
  });
});
