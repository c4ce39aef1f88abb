import { describe, expect, it } from 'vitest';
import { Roster } from './roster.ts';

describe('a roster', () => {
  it('holds who came and has not left', () => {
    const roster = new Roster<string>();
    const [first, second] = [roster.add('a'), roster.add('b')];
    roster.add('c');
    roster.remove(first);
    expect(roster.members().toSorted()).toEqual(['b', 'c']);
    roster.remove(second);
    expect(roster.members()).toEqual(['c']);
    expect(roster.size).toBe(1);
  });

  it('takes no notice of one that leaves twice', () => {
    const roster = new Roster<string>();
    const seat = roster.add('a');
    roster.remove(seat);
    roster.add('b');
    roster.remove(seat);
    expect(roster.members()).toEqual(['b']);
  });

  it('seats the same member twice', () => {
    const roster = new Roster<string>();
    const seat = roster.add('a');
    roster.add('a');
    roster.remove(seat);
    expect(roster.members()).toEqual(['a']);
  });

  it('gives a list that later changes leave alone', () => {
    const roster = new Roster<string>();
    const seat = roster.add('a');
    const members = roster.members();
    roster.remove(seat);
    expect(members).toEqual(['a']);
  });
});
