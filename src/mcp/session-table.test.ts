import { describe, expect, it } from 'vitest';
import { anonymous, ownerKey } from '../model/principal.ts';
import { SessionTable } from './session-table.ts';

const table = (most: number, mostPerOwner = Infinity) =>
  new SessionTable<{ session: ReturnType<typeof session> }>({ most, mostPerOwner });

let minted = 0;
const session = (subject: string, idleSince: number | undefined) => {
  minted += 1;
  return { facts: { id: `${subject}-${minted}`, owner: owner(subject) }, idleSince };
};
const owner = (subject: string) => ownerKey({ ...anonymous, subject });

/** Opens a session as the face does; the owner's name and time of the one that had to go. */
function open(
  sessions: ReturnType<typeof table>,
  subject: string,
  idleSince: number | undefined,
): string | undefined {
  const evicted = sessions.evicted(owner(subject));
  if (evicted !== undefined) sessions.delete(evicted.session.facts.id);
  sessions.add({ session: session(subject, idleSince) });
  if (evicted === undefined) return undefined;
  const { facts, idleSince: since } = evicted.session;
  return `${facts.id.split('-')[0]} ${since}`;
}

const tooMany = expect.objectContaining({ code: 'too-many', facts: { retryAfterMs: 5000 } });

describe('a full table', () => {
  it('takes from who opens in a loop their own oldest idle session, never a neighbour’s', () => {
    const sessions = table(10);
    for (let n = 0; n < 5; n += 1) open(sessions, 'bob', n);
    const gone = Array.from({ length: 100 }, (_, n) => open(sessions, 'mallory', 1000 + n));
    expect(gone.slice(0, 7)).toEqual([
      ...Array.from({ length: 5 }, () => undefined),
      'mallory 1000',
      'mallory 1001',
    ]);
    expect(gone.filter((one) => one?.startsWith('bob'))).toEqual([]);
    expect(sessions.size).toBe(10);
  });

  it('takes from the one who has the most when the newcomer has none', () => {
    const sessions = table(5);
    open(sessions, 'bob', 0);
    for (let n = 0; n < 4; n += 1) open(sessions, 'mallory', 10 + n);
    expect(open(sessions, 'carol', 20)).toBe('mallory 10');
  });

  it('never takes a session that is in use, and not the only one that somebody has', () => {
    const busy = table(3);
    for (let n = 0; n < 3; n += 1) open(busy, 'mallory', undefined);
    expect(() => open(busy, 'mallory', 1)).toThrow(tooMany);
    expect(() => open(busy, 'bob', 1)).toThrow(tooMany);
    const fair = table(2);
    open(fair, 'bob', 1);
    open(fair, 'carol', 2);
    expect(() => open(fair, 'mallory', 3)).toThrow(tooMany);
  });
});

describe('an owner at their own bound', () => {
  it('loses the oldest idle session, though there is room', () => {
    const sessions = table(100, 2);
    open(sessions, 'alice', 5);
    open(sessions, 'alice', 4);
    expect(open(sessions, 'alice', 6)).toBe('alice 4');
    expect(open(sessions, 'bob', 1)).toBeUndefined();
  });

  it('is refused while all of theirs are in use', () => {
    const sessions = table(100, 1);
    open(sessions, 'alice', undefined);
    expect(() => open(sessions, 'alice', 6)).toThrow(tooMany);
  });
});

it('forgets owners without sessions', () => {
  const sessions = table(2, 1);
  open(sessions, 'alice', 1);
  sessions.delete(sessions.all()[0]?.session.facts.id ?? '');
  sessions.delete('unknown');
  expect([sessions.size, open(sessions, 'alice', 1)]).toEqual([0, undefined]);
});
