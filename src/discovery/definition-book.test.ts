import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AgentCard } from '../model/a2a.ts';
import type { JsonObject } from '../model/json.ts';
import { anonymous, type Principal } from '../model/principal.ts';
import type { BusinessEvent } from '../observe/events.ts';
import type { DefinitionPin, DefinitionPolicy } from '../ports/definitions.ts';
import type { Catalogue } from '../ports/peer.ts';
import { hasNoSkills, isAllWithheld } from '../translate/withheld-skills.ts';
import { DefinitionBook } from './definition-book.ts';

/** A store in memory that can be told to refuse. */
class Rows {
  readonly pinned = new Map<string, DefinitionPin>();
  broken = false;
  pins = async () => [...this.pinned.values()];
  savePins = async (pins: readonly DefinitionPin[]) => {
    this.#check();
    for (const pin of pins) this.pinned.set(keyOf(pin), pin);
  };
  dropPins = async (pins: readonly Pick<DefinitionPin, 'peer' | 'kind' | 'name'>[]) => {
    this.#check();
    for (const pin of pins) this.pinned.delete(keyOf(pin));
  };
  deletePins = async (peer: string) => {
    this.#check();
    for (const [key, pin] of this.pinned) if (pin.peer === peer) this.pinned.delete(key);
  };
  #check() {
    if (this.broken) throw new Error('disk full');
  }
}

const keyOf = ({ peer, kind, name }: Pick<DefinitionPin, 'peer' | 'kind' | 'name'>) =>
  `${peer}/${kind}/${name}`;

let looks = 0;
function catalogue(tools: JsonObject[]): Catalogue {
  looks += 1;
  return {
    version: `v${looks}`,
    revision: '2025-11-25',
    serverInfo: { name: 'x', version: '1' },
    capabilities: {},
    tools,
    prompts: [],
    resources: [],
    resourceTemplates: [],
  };
}

function tool(name: string, description = 'does it'): JsonObject {
  return { name, description, inputSchema: { type: 'object' } };
}

function card(skills: [id: string, description: string][]): AgentCard {
  return {
    name: 'Agent',
    description: 'An agent',
    supportedInterfaces: [],
    version: '1',
    capabilities: {},
    defaultInputModes: [],
    defaultOutputModes: [],
    skills: skills.map(([id, description]) => ({ id, name: id, description, tags: [] })),
  };
}

const names = ({ tools }: Catalogue) => tools.map((one) => one['name']);
const ids = ({ skills }: AgentCard) => skills.map(({ id }) => id);

async function bookWith(policy: DefinitionPolicy = 'review') {
  const store = new Rows();
  const told: BusinessEvent[] = [];
  const book = await DefinitionBook.open({
    store,
    policyOf: () => policy,
    ownNames: [],
    events: { emit: (event: BusinessEvent) => void told.push(event) },
    clock: Date.now,
  });
  const pin = (kind: DefinitionPin['kind'], name: string) => book.get({ peer: 'p', kind, name });
  const reject = async (kind: DefinitionPin['kind'], name: string) => {
    const hash = pin(kind, name)?.pending?.hash ?? '';
    return book.reject({ peer: 'p', kind, name }, hash, 'ops');
  };
  return { store, told, book, pin, reject };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('what one peer may take up', () => {
  it('is 64 KiB for a definition', async () => {
    const { book, told } = await bookWith();
    const view = book.of('p');
    const shown = view.catalogue(catalogue([tool('a'), tool('b', 'x'.repeat(65_536))]));
    expect(names(shown)).toEqual(['a']);
    expect(view.refusal('tool', 'b')).toBe(
      'The tool "b" of "p" is not available: it is larger than 64 KiB.',
    );
    expect(book.list().map(({ name }) => name)).toEqual(['self', 'a']);
    expect(told).toContainEqual({
      event: 'definition.refused',
      peer: 'p',
      count: 1,
      names: ['tool/b'],
      reasons: ['it is larger than 64 KiB'],
    });
  });

  it('is 2,000 pins, which is said once', async () => {
    const { book, told } = await bookWith();
    const view = book.of('p');
    for (const round of ['a', 'b']) {
      const many = Array.from({ length: 3000 }, (_, n) => tool(`${round}${n}`));
      const shown = view.catalogue(catalogue(many));
      expect(shown.tools).toHaveLength(round === 'a' ? 1999 : 0);
    }
    expect(book.list()).toHaveLength(2000);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(told.filter(({ event }) => event === 'definition.refused')).toMatchObject([
      { count: 1, reasons: ['this peer offers more than is kept of one peer'] },
    ]);
    expect(view.refusal('tool', 'b1')).toContain('more than is kept of one peer');
  });

  it('is 8 MiB of text, changes included', async () => {
    const { book } = await bookWith();
    const view = book.of('p');
    const many = (letter: string) =>
      Array.from({ length: 100 }, (_, n) => tool(`t${n}`, letter.repeat(65_000)));
    for (const letter of 'abc') view.catalogue(catalogue(many(letter)));
    const kept = JSON.stringify(
      book.list().map(({ definition, pending }) => [definition, pending]),
    );
    expect(kept.length).toBeGreaterThan(8_000_000);
    expect(kept.length).toBeLessThan(8.5 * 1024 * 1024);
  });

  it('is made room for by names that were away for a day and never decided on', async () => {
    const { book, store, reject } = await bookWith();
    const view = book.of('p');
    const many = (word: string) => Array.from({ length: 1998 }, (_, n) => tool(`${word}${n}`));
    view.catalogue(catalogue([...many('a'), tool('kept')]));
    view.catalogue(catalogue([...many('a'), tool('kept', 'changed')]));
    await reject('tool', 'kept');
    expect(names(view.catalogue(catalogue([tool('new')])))).toEqual([]);
    await vi.advanceTimersByTimeAsync(25 * 3_600_000);
    view.catalogue(catalogue([tool('a1997')]));
    const shown = view.catalogue(catalogue([tool('new'), tool('newer'), tool('a1997')]));
    expect(names(shown)).toEqual(['new', 'newer', 'a1997']);
    await book.flush();
    expect(book.list()).toHaveLength(2000);
    expect(store.pinned.has('p/tool/a0')).toBe(false);
    expect(store.pinned.has('p/tool/a1')).toBe(false);
    expect(store.pinned.has('p/tool/a2')).toBe(true);
    expect(store.pinned.has('p/tool/kept')).toBe(true);
  });

  it('is one line of the log per look, and a minute of flips is told in one more', async () => {
    const { book, told } = await bookWith();
    const view = book.of('p');
    const many = (description: string) =>
      catalogue(Array.from({ length: 50 }, (_, n) => tool(`t${n}`, description)));
    view.catalogue(many('one'));
    expect(told).toEqual([
      { event: 'definition.pinned', peer: 'p', count: 51, waiting: 0, names: [] },
    ]);
    told.length = 0;
    for (let flip = 0; flip < 10; flip += 1) {
      view.catalogue(many('two'));
      view.catalogue(many('one'));
    }
    const twenty = Array.from({ length: 20 }, (_, n) => `tool/t${n}`);
    const about = { peer: 'p', names: twenty };
    expect(told).toEqual([
      { event: 'definition.changed', ...about, count: 50, policy: 'review' },
      { event: 'definition.restored', ...about, count: 50 },
    ]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told.slice(2)).toEqual([
      { event: 'definition.changed', ...about, count: 450, policy: 'review' },
      { event: 'definition.restored', ...about, count: 450 },
    ]);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(told).toHaveLength(4);
  });
});

describe('a peer that knows the callers', () => {
  const caller = (subject: string): Principal => ({ ...anonymous, subject });

  it('has a view for each of them: what waits is withheld from who is offered it', async () => {
    const { book, pin } = await bookWith();
    const view = book.of('p', { perCaller: true });
    const [alice, bob] = [view.of(caller('alice')), view.of(caller('bob'))];
    expect(view.of(caller('alice'))).toBe(alice);
    expect(names(alice.catalogue(catalogue([tool('a', 'for alice')])))).toEqual(['a']);
    expect(bob.observed).toBe(false);
    const raw = catalogue([tool('a', 'for bob'), tool('b')]);
    expect(bob.catalogue(raw).tools).toEqual([tool('b')]);
    expect(bob.refusal('tool', 'a')).toBe(
      'The tool "a" of "p" is not available: its definition is not the one that was approved, and waits for approval.',
    );
    expect(alice.refusal('tool', 'a')).toBeUndefined();
    const heard: unknown[] = [];
    view.onDecision(() => heard.push(names(bob.catalogue(raw))));
    const hash = pin('tool', 'a')?.pending?.hash ?? '';
    await book.approve({ peer: 'p', kind: 'tool', name: 'a' }, hash, 'ops');
    expect(heard).toEqual([['a', 'b']]);
    expect(bob.refusal('tool', 'a')).toBeUndefined();
  });

  it('shows nobody what an extended card told another; the card of all is as ever', async () => {
    const { book } = await bookWith();
    const view = book.of('p', { perCaller: true });
    view.card(card([['s', 'public']]));
    expect(view.card(card([['s', 'changed']])).skills[0]?.description).toBe('public');
    expect(ids(view.extendedCard(card([['vip', 'for alice']])))).toEqual(['vip']);
    const shown = view.extendedCard(card([['vip', 'for bob']]));
    expect(shown.skills).toEqual([]);
    expect(JSON.stringify(shown)).not.toContain('alice');
  });

  it('is one view for all where it does not', async () => {
    const { book } = await bookWith();
    const view = book.of('p');
    expect(view.of(caller('alice'))).toBe(view);
  });
});

describe('a new name at a peer that was seen before', () => {
  it('waits for approval under block', async () => {
    const { book, pin, told } = await bookWith('block');
    const view = book.of('p');
    expect(names(view.catalogue(catalogue([tool('read'), tool('write')])))).toEqual([
      'read',
      'write',
    ]);
    const renamed = catalogue([tool('read'), tool('write_all')]);
    expect(names(view.catalogue(renamed))).toEqual(['read']);
    expect(view.refusal('tool', 'write_all')).toContain('it waits for approval');
    expect(told.at(-1)).toEqual({
      event: 'definition.pinned',
      peer: 'p',
      count: 1,
      waiting: 1,
      names: ['tool/write_all'],
    });
    const hash = pin('tool', 'write_all')?.pending?.hash ?? '';
    await book.approve({ peer: 'p', kind: 'tool', name: 'write_all' }, hash, 'ops');
    expect(names(view.catalogue(renamed))).toEqual(['read', 'write_all']);
  });

  it('waits under block after a restart too', async () => {
    const { book, store } = await bookWith('block');
    book.of('p').catalogue(catalogue([tool('read')]));
    await book.flush();
    const later = await DefinitionBook.open({
      store,
      policyOf: () => 'block',
      ownNames: [],
      events: { emit: () => {} },
      clock: Date.now,
    });
    expect(names(later.of('p').catalogue(catalogue([tool('read_all')])))).toEqual([]);
  });

  it.each(['review', 'accept'] as const)('is shown at once under %s, and told', async (policy) => {
    const { book, told } = await bookWith(policy);
    const view = book.of('p');
    view.catalogue(catalogue([tool('read')]));
    expect(names(view.catalogue(catalogue([tool('read'), tool('more')])))).toEqual([
      'read',
      'more',
    ]);
    expect(told.at(-1)).toMatchObject({ waiting: 0, names: ['tool/more'] });
  });

  it('is no new one on an extended card that repeats the public one', async () => {
    const { book } = await bookWith('block');
    const view = book.of('p');
    view.card(card([['echo', 'says it again']]));
    const extended = card([
      ['echo', 'says it again'],
      ['secret', 'is for some only'],
    ]);
    expect(ids(view.extendedCard(extended))).toEqual(['echo']);
  });
});

describe('an agent whose skills are all withheld', () => {
  it('is not one without skills, until one of them is approved', async () => {
    const { book, pin } = await bookWith('block');
    const view = book.of('p');
    view.card(card([['echo', 'one']]));
    expect(view.silence()).toBeUndefined();
    const changed = card([['echo', 'two']]);
    const shown = view.card(changed);
    expect([isAllWithheld(shown), hasNoSkills(shown)]).toEqual([true, false]);
    expect(JSON.parse(JSON.stringify(shown))).toMatchObject({ skills: [] });
    expect(view.silence()).toContain('waits for approval');
    const hash = pin('skill', 'echo')?.pending?.hash ?? '';
    await book.approve({ peer: 'p', kind: 'skill', name: 'echo' }, hash, 'ops');
    expect(view.silence()).toBeUndefined();
    expect(isAllWithheld(view.card(changed))).toBe(false);
  });

  it('cannot be told by the agent itself', async () => {
    const { book } = await bookWith();
    const said = JSON.parse(
      '{"allWithheld":true,"Symbol(all skills are withheld)":true}',
    ) as object;
    const shown = book.of('p').card({ ...card([]), ...said });
    expect([isAllWithheld(shown), hasNoSkills(shown)]).toEqual([false, true]);
  });
});

describe('a decision', () => {
  it('to refuse holds before the next look', async () => {
    const { book, reject } = await bookWith();
    const view = book.of('p');
    view.catalogue(catalogue([tool('a')]));
    view.catalogue(catalogue([tool('a', 'changed')]));
    expect(view.refusal('tool', 'a')).toBeUndefined();
    await reject('tool', 'a');
    expect(view.refusal('tool', 'a')).toContain('was refused');
  });

  it('about one name does not release another that cannot be shown', async () => {
    const { book, pin } = await bookWith();
    const view = book.of('p');
    view.catalogue(catalogue([tool('a'), tool('b')]));
    view.catalogue(catalogue([tool('a', 'x'.repeat(70_000)), tool('b', 'changed')]));
    const hash = pin('tool', 'b')?.pending?.hash ?? '';
    await book.approve({ peer: 'p', kind: 'tool', name: 'b' }, hash, 'ops');
    expect(view.refusal('tool', 'a')).toContain('larger than 64 KiB');
  });
});

describe('an extended card', () => {
  it('does not take back a skill that everybody may call', async () => {
    const { book } = await bookWith('block');
    const view = book.of('p');
    view.card(card([['echo', 'says it again']]));
    const skills = card([
      ['echo', 'says it again, at length'],
      ['secret', 'is for some only'],
    ]);
    expect(ids(view.extendedCard(skills))).toEqual([]);
    expect(view.refusal('skill', 'echo')).toBeUndefined();
    expect(view.refusal('skill', 'secret')).toContain('it waits for approval');
  });
});

describe('a connector that is not in use any more', () => {
  it('does not bring back what was forgotten', async () => {
    const { book, store } = await bookWith();
    const view = book.of('p');
    view.catalogue(catalogue([tool('a')]));
    await book.flush();
    await book.forget('p');
    expect(names(view.catalogue(catalogue([tool('a', 'late')])))).toEqual([]);
    await book.flush();
    expect([book.list(), [...store.pinned.keys()]]).toEqual([[], []]);
  });

  it('is not taken for a look at the server that its successor speaks to', async () => {
    const { book, pin } = await bookWith();
    const old = book.of('p');
    old.catalogue(catalogue([tool('a')]));
    const fresh = book.of('p');
    expect(names(old.catalogue(catalogue([tool('a', 'late'), tool('b')])))).toEqual(['a']);
    expect(fresh.observed).toBe(false);
    expect([pin('tool', 'a')?.status, pin('tool', 'b')]).toEqual(['approved', undefined]);
  });
});

describe('a store that refuses', () => {
  it('is told once, and forgets and writes when it can again', async () => {
    const { book, store, told } = await bookWith();
    const view = book.of('p');
    view.catalogue(catalogue([tool('a')]));
    await book.flush();
    store.broken = true;
    book.of('q').catalogue(catalogue([tool('b')]));
    await expect(book.flush()).rejects.toThrow('disk full');
    await book.forget('p');
    await vi.advanceTimersByTimeAsync(5000);
    const faults = () => told.filter(({ event }) => event === 'internal.error').length;
    expect(faults()).toBe(1);
    // Seen again before the old rows are gone: the new ones stay.
    book.of('p').catalogue(catalogue([tool('c')]));
    store.broken = false;
    await vi.advanceTimersByTimeAsync(5000);
    expect([...store.pinned.keys()].toSorted()).toEqual([
      'p/server/self',
      'p/tool/c',
      'q/server/self',
      'q/tool/b',
    ]);
    expect(faults()).toBe(1);
  });
});

describe('a card', () => {
  it('of the same content is the same object, and known to be whole', async () => {
    const { book } = await bookWith();
    const view = book.of('p');
    const first = view.card(card([['echo', 'one']]));
    const again = card([['echo', 'one']]);
    expect(view.card(again)).toBe(first);
    expect(view.isWhole(again)).toBe(true);
    const changed = card([['echo', 'two']]);
    expect(view.card(changed)).not.toBe(changed);
    expect(view.card(card([['echo', 'two']]))).toBe(view.card(changed));
    expect(view.isWhole(changed)).toBe(false);
  });

  it('may name a skill "extended:x" without touching the extended card', async () => {
    const { book, reject } = await bookWith();
    const view = book.of('p');
    view.card(card([['extended:x', 'one']]));
    view.card(card([['extended:x', 'two']]));
    await reject('skill', 'extended:x');
    view.card(card([['extended:x', 'two']]));
    expect(view.refusal('skill', 'extended:x')).toContain('was refused');
    view.extendedCard(card([['x', 'other']]));
    expect(view.refusal('skill', 'extended:x')).toContain('was refused');
    expect(view.refusal('skill', 'x')).toBeUndefined();
  });
});
