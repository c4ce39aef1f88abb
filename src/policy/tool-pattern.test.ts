import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchesTool, overlap, toolText, type LendableTool } from './tool-pattern.ts';

const tool = (text: string): LendableTool => {
  const [peer = '', ...name] = text.split('/');
  return { kind: 'peer', peer, name: name.join('/') };
};
const own: LendableTool = { kind: 'own', peer: 'desk-abcd2345', name: 'read' };
const offered: LendableTool = { kind: 'offered', peer: 'lease', name: 'read' };

const peerId = fc
  .stringMatching(/^[a-z0-9-]{1,8}$/)
  .filter((id) => id !== 'own' && id !== 'offered');
const name = fc.stringMatching(/^[a-z_/]{1,8}$/);
const starred = (text: fc.Arbitrary<string>) =>
  fc
    .tuple(text, fc.boolean(), fc.nat(8))
    .map(([all, star, cut]) => (star ? `${all.slice(0, cut)}*` : all));
describe('a pattern of tools', () => {
  it.each<[pattern: string, tool: string, matches: boolean]>([
    ['files/read_file', 'files/read_file', true],
    ['files/read_file', 'files/read_files', false],
    ['files/read_file', 'FILES/read_file', false],
    ['files/read_file', 'files/Read_file', false],
    ['calendar/*', 'calendar/list_events', true],
    ['calendar/*', 'calendar/a/b', true],
    ['calendar/*', 'calendars/list', false],
    ['cal*/list_*', 'calendar/list_events', true],
    ['cal*/list_*', 'calendar/delete_list_', false],
    ['*/*', 'files/read_file', true],
    ['*', 'files/read_file', false],
    ['*/re*le', 'files/read_file', false],
    ['fi*s/read', 'files/read', false],
    ['files/', 'files/', false],
    ['files/.*', 'files/read_file', false],
    ['files/.*', 'files/.git', true],
    ['own/read', 'own/read', false],
    ['offered/read', 'offered/read', false],
  ])('%s on %s: %s', (text, at, matches) => {
    expect(matchesTool(text, tool(at))).toBe(matches);
  });

  it('reaches what is own or offered by that word alone', () => {
    for (const text of ['*/*', 'o*/*', 'own*/*', 'desk-abcd2345/read', 'desk-*/*', 'lease/read']) {
      expect(matchesTool(text, own)).toBe(false);
      expect(matchesTool(text, offered)).toBe(false);
    }
    expect(matchesTool('own/re*', own)).toBe(true);
    expect(matchesTool('own/re*', offered)).toBe(false);
    expect(matchesTool('offered/read', offered)).toBe(true);
    expect(matchesTool('offered/*', own)).toBe(false);
  });

  it('never reaches what is own or offered by another peer part, whatever it is', () => {
    fc.assert(
      fc.property(starred(peerId), starred(name), name, (peer, toolName, it) => {
        const kinds = ['own', 'offered'] as const;
        const hits = kinds.filter((kind) =>
          matchesTool(`${peer}/${toolName}`, { kind, peer: peer.replace('*', ''), name: it }),
        );
        expect(hits).toEqual([]);
      }),
    );
  });

  it('without a "*" matches one text, and with one all that begin alike', () => {
    fc.assert(
      fc.property(peerId, name, fc.string(), (peer, toolName, more) => {
        const at = { kind: 'peer', peer, name: `${toolName}${more}` } as const;
        expect(matchesTool(`${peer}/${toolName}*`, at)).toBe(true);
        expect(matchesTool(`${peer}/${toolName}`, at)).toBe(more === '');
        expect(matchesTool(`${peer}/x${toolName}*`, at)).toBe(at.name.startsWith(`x${toolName}`));
      }),
    );
  });

  it('takes a time that grows with its length at most, on any text', () => {
    const long = 'a'.repeat(100_000);
    const texts = [
      `a/${'a'.repeat(253)}*`,
      `${'a'.repeat(62)}*/*`,
      `a/${'*'.repeat(200)}`,
      '*'.repeat(256),
    ];
    const started = performance.now();
    for (let round = 0; round < 1000; round += 1) {
      for (const text of texts) matchesTool(text, { kind: 'peer', peer: long, name: long });
    }
    expect(performance.now() - started).toBeLessThan(2000);
    expect(matchesTool(`a/${long}`, { kind: 'peer', peer: 'a', name: long })).toBe(false);
  });

  it('matches nothing where it is none', () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => !text.includes('/')),
        (text) => {
          expect(matchesTool(text, tool(`${text}/${text}`))).toBe(false);
        },
      ),
    );
  });
});

describe('two patterns', () => {
  it.each<[string, string, boolean]>([
    ['calendar/*', 'calendar/list', true],
    ['calendar/list_*', 'cal*/list_events', true],
    ['calendar/list_*', 'calendar/*', true],
    ['files/a', 'files/b', false],
    ['files/a*', 'files/b*', false],
    ['*/*', 'own/a', false],
    ['o*/*', 'own/a', false],
    ['own/*', 'own/a', true],
    ['own/*', 'offered/*', false],
  ])('%s and %s overlap: %s', (one, other, expected) => {
    expect(overlap(one, other)).toBe(expected);
    expect(overlap(other, one)).toBe(expected);
  });

  it('overlap where a tool fits both', () => {
    const some = fc.record({
      kind: fc.constantFrom('peer' as const, 'own' as const, 'offered' as const),
      peer: peerId,
      name,
    });
    const cut = (text: string, at: number): string => (at > 8 ? text : `${text.slice(0, at)}*`);
    fc.assert(
      fc.property(some, fc.array(fc.nat(12), { minLength: 4, maxLength: 4 }), (at, cuts) => {
        const [a = 0, b = 0, c = 0, d = 0] = cuts;
        const patternOf = (peerCut: number, nameCut: number): string =>
          `${at.kind === 'peer' ? cut(at.peer, peerCut) : at.kind}/${cut(at.name, nameCut)}`;
        const [one, other] = [patternOf(a, b), patternOf(c, d)];
        expect([matchesTool(one, at), matchesTool(other, at)]).toEqual([true, true]);
        expect(overlap(one, other)).toBe(true);
      }),
    );
  });
});

it('a tool is told by the word that lends it where it is the caller’s own', () => {
  expect(toolText(own)).toBe('own/read');
  expect(toolText({ kind: 'peer', peer: 'files', name: 'read' })).toBe('files/read');
});
