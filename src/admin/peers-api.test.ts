import { expect, it } from 'vitest';
import { DefinitionBook } from '../discovery/definition-book.ts';
import { peersShown } from './peers-api.ts';

it('all peers are shown from one list of them, however many there are', async () => {
  let asked = 0;
  const nothing = async () => {};
  const definitions = await DefinitionBook.open({
    store: { pins: async () => [], savePins: nothing, dropPins: nothing, deletePins: nothing },
    policyOf: () => 'review',
    ownNames: [],
    events: { emit: () => {} },
    clock: () => 0,
  });
  const shown = peersShown({
    peers: () => {
      asked += 1;
      return ['b', 'a'].map((id) => ({ id, kind: 'mcp', source: 'config', entry: {} }));
    },
    runtime: {
      get: () => undefined,
      list: () => [{ id: 'c', config: null, by: 'ops', addedAt: 0, changedAt: 0 }],
      add: async () => '',
      change: nothing,
      remove: nothing,
    },
    definitions,
  });
  expect(shown.map(({ id, kind }) => [id, kind])).toEqual([
    ['a', 'mcp'],
    ['b', 'mcp'],
    ['c', 'unknown'],
  ]);
  expect(asked).toBe(1);
});
