import { describe, expect, it } from 'vitest';
import { ToolIndex, type ToolDocument } from './tool-index.ts';

function tool(name: string, more: Partial<ToolDocument> = {}): ToolDocument {
  return { name, title: '', description: '', parameters: [], source: '', ...more };
}

const groupOf = (id: string, tools: ToolDocument[]) => ({ id, key: tools, tools: () => tools });

const index = new ToolIndex();
const group = groupOf('all', [
  tool('files__read_file', { title: 'Read a file', parameters: ['path'] }),
  tool('files__writeFile', { description: 'Stores a text under a path' }),
  tool('mail__send', { description: 'Sends a letter', parameters: ['recipient'] }),
  tool('ask_cafe', { title: 'Ask Café', description: 'Orders coffee', source: 'cafe Café' }),
]);
await index.update([group]);

describe('a tool index', () => {
  it('finds by name, title, description, parameters and source', () => {
    expect(index.search('read', 1)).toEqual(['files__read_file']);
    expect(index.search('letter', 1)).toEqual(['mail__send']);
    expect(index.search('recipient', 1)).toEqual(['mail__send']);
    expect(index.search('orders', 1)).toEqual(['ask_cafe']);
    expect(index.search('cafe', 1)).toEqual(['ask_cafe']);
  });

  it('takes names of any spelling apart into words', () => {
    expect(index.search('write', 1)).toEqual(['files__writeFile']);
    expect(index.search('WRITE-FILE', 1)).toEqual(['files__writeFile']);
    expect(index.search('files__read_file', 1)).toEqual(['files__read_file']);
  });

  it('forgives beginnings of words, typing errors and accents', () => {
    expect(index.search('recip', 1)).toEqual(['mail__send']);
    expect(index.search('recipeint', 1)).toEqual(['mail__send']);
    expect(index.search('CAFÉ', 1)).toEqual(['ask_cafe']);
  });

  it('finds what fits more words first, and no more than asked for', () => {
    expect(index.search('read a file', 4)[0]).toBe('files__read_file');
    expect(index.search('file path', 1)).toHaveLength(1);
  });

  it('finds nothing where nothing fits', () => {
    expect(index.search('zeppelin', 5)).toEqual([]);
    expect(index.search('…', 5)).toEqual([]);
  });

  it('answers a very long query in no time', () => {
    const started = performance.now();
    index.search('file '.repeat(200_000), 5);
    index.search('recipientx'.repeat(100_000), 5);
    expect(performance.now() - started).toBeLessThan(500);
  });

  it('searches no further than what a description begins with', async () => {
    const long = new ToolIndex();
    const description = `early ${'x '.repeat(500)} late`;
    await long.update([groupOf('a', [tool('a__b', { description })])]);
    expect(long.search('early', 1)).toEqual(['a__b']);
    expect(long.search('late', 1)).toEqual([]);
  });
});

describe('a change', () => {
  it('reads the tools of the sources that changed, and of no other', async () => {
    const read: string[] = [];
    const source = (id: string, key: object, name: string) => ({
      id,
      key,
      tools: () => {
        read.push(id);
        return [tool(name)];
      },
    });
    const [one, two, three] = [{}, {}, {}];
    const changing = new ToolIndex();
    await changing.update([source('a', one, 'a__old'), source('b', two, 'b__kept')]);
    await changing.update([source('a', three, 'a__fresh'), source('b', two, 'b__kept')]);
    expect(read).toEqual(['a', 'b', 'a']);
    expect(changing.search('old', 5)).toEqual([]);
    expect(changing.search('fresh', 5)).toEqual(['a__fresh']);
    expect(changing.search('kept', 5)).toEqual(['b__kept']);
    await changing.update([source('b', two, 'b__kept')]);
    expect(changing.search('fresh', 5)).toEqual([]);
  });

  it('of many tools lets others have their turn', async () => {
    const tools = Array.from({ length: 1000 }, (_, n) => tool(`a__t${n}`));
    let turns = 0;
    let isDone = false;
    const count = (): void => {
      turns += 1;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    await new ToolIndex().update([groupOf('a', tools)]);
    isDone = true;
    expect(turns).toBeGreaterThanOrEqual(10);
  });
});
