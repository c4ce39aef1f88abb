/** The second-order servers of examples/, each borrowing through a gateway. */
import { TaskState } from '@a2a-js/sdk';
import type { CallToolResult, Client } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asTask, collect, connectA2a } from '../support/a2a-client.ts';
import { textOf as partsText, userRequest } from '../support/a2a-parts.ts';
import { startFileServer, startSlowLibrary, startUnitServer } from './second-order-peers.ts';
import { startSecondOrder, type SecondOrder } from './second-order-world.ts';

let world: SecondOrder;
const library = await startSlowLibrary();
const files = await startFileServer();
const units = await startUnitServer();

/** What is lent; tests that want less say so. */
const lending = {
  research: { to: 'research', tools: ['search/*', 'memory/*'] },
  code: {
    to: 'code',
    tools: ['search/*', 'memory/remember'],
    arguments: { 'memory/remember': { properties: { text: { maxLength: 40 } } } },
  },
  attachments: { to: 'attachments', tools: ['files/read_resource'] },
  toolbox: { to: 'toolbox', tools: ['units/*', 'memory/*'] },
};

beforeAll(async () => {
  world = await startSecondOrder({
    lending: Object.values(lending),
    peers: [
      { id: 'library', mcp: library.url },
      { id: 'files', mcp: files.url },
      { id: 'units', mcp: units.url },
    ],
  });
});
afterAll(async () => {
  await world.close();
  await Promise.all([library.close(), files.close(), units.close()]);
});

function lend(...rules: Record<string, unknown>[]): void {
  world.gateway.reconfigure({ lending: rules });
}

function textOf({ content }: Pick<CallToolResult, 'content'>): string {
  return content.map((block) => (block.type === 'text' ? block.text : '')).join('\n');
}

/** Base64 of a text within a longer one: what it is depends on where in three bytes it begins. */
function base64Of(text: string): string[] {
  const forms = ['', ' ', '  '].map((before) => Buffer.from(`${before}${text}`).toString('base64'));
  return forms.map((form) => form.slice(4, -4)).filter(({ length }) => length >= 8);
}

describe('the research agent', () => {
  const question = 'When did the first Tacoma Narrows Bridge collapse?';
  let client: Client;
  beforeAll(async () => {
    client = await world.at('research');
  });
  const ask = async (message: string) => {
    const result = await client.callTool({ name: 'research', arguments: { message } });
    const { data } = result.structuredContent as { data: Record<string, unknown>[] };
    return { result, report: data[0] ?? {} };
  };

  it('answers with sources by a borrowed search, and has the finding remembered', async () => {
    lend(lending.research);
    const { result, report } = await ask(question);
    expect(textOf(result)).toMatch(
      /^The first Tacoma Narrows Bridge collapsed on 7 November 1940, four months after it was opened\./,
    );
    expect(report).toMatchObject({
      sources: [{ title: 'The Tacoma Narrows collapse', uri: 'article://tacoma' }],
      remembered: true,
      undone: [],
    });
    const memory = await world.at('memory');
    const recalled = await memory.callTool({ name: 'recall', arguments: { query: 'Tacoma' } });
    expect(recalled.structuredContent).toMatchObject({ entries: [{ text: report['finding'] }] });
  });

  it('says over A2A what it does meanwhile, and shows its caller no offer', async () => {
    lend(lending.research);
    const cardUrl = `${world.gateway.a2a('research')}/.well-known/agent-card.json`;
    const a2a = await connectA2a(cardUrl, { version: '1.0', binding: 'JSONRPC' });
    const events = await collect(a2a.sendMessageStream(userRequest('How long is the canal?')));
    const told = events.flatMap(({ payload }) =>
      payload?.$case === 'statusUpdate' ? [partsText(payload.value.status?.message?.parts)] : [],
    );
    expect(told).toContain('I was lent 4 tools.');
    expect(told).toContain('Calling search__search_articles.');
    expect(told).toContain('Calling memory__remember.');
    expect(JSON.stringify(events)).toContain('82 kilometres');
    expect(JSON.stringify(events)).not.toContain('lease_ref');
  });

  it('says that it can do nothing when nothing is lent', async () => {
    lend();
    const { result, report } = await ask(question);
    expect(result.isError).toBeFalsy();
    expect(report).toEqual({
      question,
      sources: [],
      remembered: false,
      undone: [
        'I could not search or remember anything: I have no tools of my own, and was lent none.',
      ],
    });
  });

  it('takes the tools for what their definitions say, whoever has them', async () => {
    lend({ to: 'research', tools: ['memory/*', 'vault/*'] });
    const { report } = await ask(question);
    expect(report['undone']).toEqual(['I could not search: no tool that could was lent']);
  });

  it('tells what it found, and what it could not do, when its calls are used up', async () => {
    lend({ ...lending.research, maxCalls: 1 });
    const { result, report } = await ask(question);
    expect(textOf(result)).toContain(
      'The first Tacoma Narrows Bridge collapsed on 7 November 1940',
    );
    expect(report['remembered']).toBe(false);
    expect(report['undone']).toContain(
      'I could not remember the finding: the tool said: All 1 calls of these tools that were lent are used. Go on without it.',
    );
  });

  it('tells the same when the lease is over in the middle', async () => {
    lend({ to: 'research', tools: ['library/*', 'memory/*'], ttl: '2s' });
    const { report } = await ask('How long is a bridge?');
    expect(report).toMatchObject({
      answer: 'A bridge is long.',
      sources: [{ title: 'Bridges', uri: 'b1' }],
      remembered: false,
    });
    expect(report['undone']).toEqual([
      expect.stringMatching(/^I could not read "Bridges": /),
      'I could not remember the finding: The lease of these tools is over. Go on without them; another call of the agent may lend them again.',
    ]);
    await library.abandoned;
  });
});

describe('the research agent, when its task is canceled', () => {
  it('stops what it was doing with borrowed tools', async () => {
    const slow = await startSlowLibrary();
    const other = await startSecondOrder({
      lending: [{ to: 'research', tools: ['library/*'] }],
      peers: [{ id: 'library', mcp: slow.url }],
    });
    const cardUrl = `${other.gateway.a2a('research')}/.well-known/agent-card.json`;
    const a2a = await connectA2a(cardUrl, { version: '1.0', binding: 'JSONRPC' });
    const configuration = {
      returnImmediately: true,
      acceptedOutputModes: [],
      taskPushNotificationConfig: undefined,
    };
    const task = asTask(
      await a2a.sendMessage({ ...userRequest('How long is a bridge?'), configuration }),
    );
    await slow.asked;
    const canceled = await a2a.cancelTask({ tenant: '', id: task.id, metadata: undefined });
    expect(canceled.status?.state).toBe(TaskState.TASK_STATE_CANCELED);
    await slow.abandoned;
    await other.close();
    await slow.close();
  });
});

describe('the code-mode server', () => {
  let client: Client;
  beforeAll(async () => {
    client = await world.at('code');
  });
  const run = async (code: string) => {
    const result = await client.callTool({ name: 'run_code', arguments: { code } });
    return { isError: result.isError ?? false, run: result.structuredContent };
  };

  it('runs code that calls lent tools, and returns nothing but what the code returns', async () => {
    lend(lending.code);
    const outcome = await run(`
      const { results } = await search__search_articles({ query: 'canal', limit: 5 });
      const articles = await Promise.all(results.map(({ uri }) => search__read_article({ uri })));
      const longest = articles.sort((a, b) => b.text.length - a.text.length)[0];
      console.log(articles.length, 'read');
      await memory__remember({ text: longest.title });
      return { longest: longest.title, tools: tools.map(({ name }) => name) };`);
    expect(outcome).toEqual({
      isError: false,
      run: {
        value: {
          longest: 'What an isthmus is',
          tools: ['search__search_articles', 'search__read_article', 'memory__remember'],
        },
        console: ['2 read'],
        calls: [
          { tool: 'search__search_articles', outcome: 'ok' },
          { tool: 'search__read_article', outcome: 'ok' },
          { tool: 'search__read_article', outcome: 'ok' },
          { tool: 'memory__remember', outcome: 'ok' },
        ],
      },
    });
  });

  it('gives code no more than is lent: other tools, other arguments', async () => {
    lend(lending.code);
    const outcome = await run(`
      const words = async (act) => { try { return await act(); } catch ({ message }) { return message; } };
      return [
        await words(() => vault__sign({ text: 'give me money' })),
        await words(() => callTool('vault__sign', { text: 'give me money' })),
        await words(() => memory__remember({ text: 'x'.repeat(41) })),
      ];`);
    expect((outcome.run as { value: string[] }).value).toEqual([
      expect.stringContaining('vault__sign'),
      'The tool "vault__sign" is not lent. See tools for those that are.',
      expect.stringMatching(/^The tool is lent for other arguments than these:\n- text: /),
    ]);
  });

  it('tells code that its calls are used up, or that the lease is over', async () => {
    const words = `catch ({ message }) { return message; }`;
    lend({ ...lending.code, maxCalls: 2 });
    const often = `try { for (;;) await search__search_articles({ query: 'toll' }); } ${words}`;
    const used = await run(often);
    expect(used.run).toMatchObject({
      value: 'All 2 calls of these tools that were lent are used. Go on without it.',
      calls: [{ outcome: 'ok' }, { outcome: 'ok' }, { outcome: 'failed' }],
    });
    lend({ to: 'code', tools: ['library/*'], ttl: '2s' });
    const over = await run(`try { await library__open_book({ id: 'b1' }); } ${words}`);
    expect(over.run).toMatchObject({
      value: expect.stringContaining('Go on without them') as string,
    });
  });

  it('runs code without any tools where nothing is lent', async () => {
    lend();
    expect(await run(`return [tools, 6 * 7];`)).toEqual({
      isError: false,
      run: { value: [[], 42], console: [], calls: [] },
    });
  });

  it('stops code that does not stop, and answers others meanwhile', async () => {
    lend();
    const [endless, other] = await Promise.all([run('for (;;) {}'), run('return 1;')]);
    expect(endless).toEqual({
      isError: true,
      run: {
        error: 'The code computed for more than 1000 ms and was stopped.',
        console: [],
        calls: [],
      },
    });
    expect(other.run).toMatchObject({ value: 1 });
  });
});

describe('the attachment processor', () => {
  const north = 'file:///reports/north.csv';
  const south = 'file:///reports/south.csv';
  let client: Client;
  beforeAll(async () => {
    client = await world.at('attachments');
  });
  const process = (...resources: string[]) =>
    client.callTool({ name: 'process_attachments', arguments: { resources } });

  it('gets references and returns one: the files are in nothing that a model reads', async () => {
    lend(lending.attachments);
    const result = await process(north, south);
    expect(result.content).toMatchObject([
      { type: 'text', text: '4 rows of 2 files, 2 columns with numbers.' },
      { type: 'resource_link', name: 'summary.csv', mimeType: 'text/csv' },
    ]);
    const { uri } = result.structuredContent as { uri: string };
    const { contents } = await client.readResource({ uri });
    const summary = [
      'file,column,count,sum,min,max,mean',
      'north.csv,month,2,3,1,2,1.5',
      'south.csv,month,2,3,1,2,1.5',
      '(all),month,4,6,1,2,1.5',
      'north.csv,sales,2,40,10,30,20',
      'south.csv,sales,1,5.5,5.5,5.5,5.5',
      '(all),sales,3,45.5,5.5,30,15.166667',
      '',
    ];
    expect(contents).toMatchObject([{ text: summary.join('\r\n') }]);

    const seen = JSON.stringify(result);
    const inside = ['secret-of-the-north', 'sales', 'month', ...summary.slice(1, -1)];
    for (const form of inside.flatMap((text) => [text, ...base64Of(text)])) {
      expect(seen).not.toContain(form);
    }
    expect(seen).not.toMatch(/[A-Za-z0-9+/]{60,}/);
  });

  it('reads by path where a tool for files is lent', async () => {
    lend({ to: 'attachments', tools: ['files/read_text_file'] });
    const result = await process('file:///reports/west.csv');
    expect(textOf(result)).toContain('1 rows of 1 files, 1 columns with numbers.');
  });

  it('says which file it could not read, and keeps the words of tools to itself', async () => {
    lend({ to: 'attachments', tools: ['files/read_text_file'] });
    const result = await process('file:///reports/west.csv', 'file:///etc/shadow');
    expect(result.isError).toBe(true);
    expect(textOf(result)).toBe(
      'File 2 of 2 could not be read: The lent tools did not answer as they should.',
    );
  });

  it('says what to lend where nothing is, or nothing that reads', async () => {
    lend();
    expect(textOf(await process(north))).toBe(
      'Nothing was lent that could read these files. Lend a tool that does.',
    );
    lend({ to: 'attachments', tools: ['memory/*'] });
    expect(textOf(await process(north))).toBe(
      'File 1 of 1 could not be read: no tool that reads such files was lent',
    );
  });

  it('gives a product to nobody who guesses', async () => {
    const guess = 'summary://AAAAAAAAAAAAAAAAAAAAAA/summary.csv';
    await expect(client.readResource({ uri: guess })).rejects.toThrow(/not found/i);
    expect((await client.listResources()).resources).toEqual([]);
  });
});

describe('the tool-search server', () => {
  let client: Client;
  beforeAll(async () => {
    client = await world.at('toolbox');
  });
  const found = async (query: string) => {
    const result = await client.callTool({ name: 'search_tools', arguments: { query, limit: 3 } });
    return result.structuredContent as { tools: { name: string }[]; of: number };
  };
  const call = (name: string, args: Record<string, unknown>) =>
    client.callTool({ name: 'call_found_tool', arguments: { name, arguments: args } });

  it('shows two tools, and finds the right one among two hundred', async () => {
    lend(lending.toolbox);
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual([
      'search_tools',
      'call_found_tool',
    ]);
    const { tools, of } = await found('how far is a star, in light years?');
    expect(of).toBe(202);
    expect(tools[0]).toMatchObject({
      name: 'units__parsec_to_lightyear',
      inputSchema: { properties: { amount: { type: 'number' } } },
    });
    expect((await found('remember a fact')).tools[0]?.name).toBe('memory__remember');
  });

  it('calls what was found, and passes on what it said', async () => {
    lend(lending.toolbox);
    const good = await call('units__parsec_to_lightyear', { amount: 2 });
    expect(good.structuredContent).toEqual({ converted: 6.52 });
    const bad = await call('units__parsec_to_lightyear', { amount: 'two' });
    expect(bad.isError).toBe(true);
  });

  it('finds and calls nothing that is not lent', async () => {
    lend({ to: 'toolbox', tools: ['memory/recall'] });
    expect(await found('parsec')).toEqual({ tools: [], of: 1 });
    const refused = await call('units__parsec_to_lightyear', { amount: 2 });
    expect(refused.isError).toBe(true);
    expect(textOf(refused)).toBe(
      'There is no tool "units__parsec_to_lightyear". Use search_tools.',
    );
    lend();
    const none = await client.callTool({ name: 'search_tools', arguments: { query: 'parsec' } });
    expect(textOf(none)).toBe('No tools were lent to search in.');
  });
});
