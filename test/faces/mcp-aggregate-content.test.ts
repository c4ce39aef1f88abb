/** All peers as one MCP server: prompts, and the artifacts of agents. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectModernClient } from '../support/mcp-clients.ts';
import { startAggregateWorld, structured, type AggregateWorld } from './mcp-aggregate-world.ts';

let world: AggregateWorld;

beforeAll(async () => {
  world = await startAggregateWorld();
});

afterAll(() => world.close());

type Json = Record<string, unknown>;

describe('prompts', () => {
  it('of all peers are listed under their names, and got', async () => {
    const client = await connectModernClient(world.url);
    const { prompts } = await client.listPrompts();
    const names = prompts.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['desk__echo_example_1', 'files__review']));
    const review = await client.getPrompt({
      name: 'files__review',
      arguments: { language: 'perl' },
    });
    expect(JSON.stringify(review.messages)).toContain('Review this perl');
    const example = await client.getPrompt({ name: 'desk__echo_example_1' });
    expect(JSON.stringify(example.messages)).toContain('echo hello there');
    await client.close();
  });

  it('are completed by their peer', async () => {
    const client = await connectModernClient(world.url);
    const { completion } = await client.complete({
      ref: { type: 'ref/prompt', name: 'files__review' },
      argument: { name: 'language', value: 'p' },
    });
    expect(completion.values).toEqual(['python', 'pascal', 'perl']);
    await client.close();
  });

  it('that nobody has are -32602', async () => {
    const { error } = await world.wire.request('prompts/get', { name: 'files__nothing' });
    expect(error?.code).toBe(-32602);
    const nobody = await world.wire.request('prompts/get', { name: 'nothing' });
    expect(nobody.error?.code).toBe(-32602);
  });
});

describe('artifacts', () => {
  it('are read by the URI that a result links to, and listed', async () => {
    const client = await connectModernClient(world.url);
    const result = await client.callTool({
      name: 'ask_desk',
      arguments: { message: 'go', skill: 'binary' },
    });
    const link = (result.content as { type: string; uri?: string }[]).find(
      ({ type, uri }) => type === 'resource_link' && uri?.startsWith('a2a://desk/'),
    );
    const uri = link?.uri ?? `a2a://desk/tasks/${structured(result).taskId}/artifacts/binary`;
    const { contents } = await client.readResource({ uri });
    expect(contents.length).toBeGreaterThan(0);
    const { resources } = await client.listResources();
    expect(resources.map((resource) => resource.uri)).toContain(uri);
    await client.close();
  });

  it('and resources that are not there are not found', async () => {
    for (const uri of [
      'a2a://desk/tasks/none/artifacts/x',
      'a2a://files/tasks/a/artifacts/b',
      'test://blob',
    ]) {
      const { error } = await world.wire.request('resources/read', { uri });
      expect(error).toMatchObject({ code: -32602, data: { uri } });
    }
  });

  it('are completed from the peer on', async () => {
    const ref = { type: 'ref/resource', uri: 'a2a://{peer}/tasks/{task}/artifacts/{artifact}' };
    const { result: templates } = await world.wire.request('resources/templates/list');
    expect(templates).toMatchObject({ resourceTemplates: [{ uriTemplate: ref.uri }] });
    const done = await world.wire.call(
      'ask_desk',
      { message: 'x', skill: 'task' },
      { capabilities: {} },
    );
    const complete = async (name: string, context: Json) => {
      const argument = { name, value: '' };
      const { result } = await world.wire.request('completion/complete', {
        ref,
        argument,
        context: { arguments: context },
      });
      return ((result ?? {})['completion'] as { values: string[] }).values;
    };
    expect(await complete('peer', {})).toEqual(['desk']);
    expect(await complete('task', { peer: 'desk' })).toContain(structured(done).taskId);
    expect(await complete('task', {})).toEqual([]);
  });
});
