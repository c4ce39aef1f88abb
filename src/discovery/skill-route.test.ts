import { describe, expect, test } from 'vitest';
import type { AgentSkill, Message } from '../model/a2a.ts';
import type { Offer, OfferedPeer } from './peer-share.ts';
import { inOwnNames, routeTurn } from './skill-route.ts';

function peer(
  id: string,
  protocol: 'a2a' | 'mcp',
  skills: string[],
  calls: string[] = skills,
): OfferedPeer {
  const shown = (skill: string): AgentSkill => ({
    id: `${id}/${skill}`,
    name: skill,
    description: skill,
    tags: [],
  });
  return {
    id,
    protocol,
    known: true,
    names: new Set(skills),
    skills: skills.map(shown),
    callable: new Set(calls),
  };
}

const offerOf = (...peers: OfferedPeer[]): Offer => new Map(peers.map((one) => [one.id, one]));
const both = offerOf(
  peer('agent', 'a2a', ['talk', 'a/b'], []),
  peer('tools', 'mcp', ['add', 'echo']),
);

const turn = (more: Partial<Message>, metadata?: Record<string, string>) => ({
  message: { messageId: 'm', role: 'ROLE_USER' as const, parts: [{ text: 'hi' }], ...more },
  ...(metadata && { metadata }),
});

describe('a message goes', () => {
  test('to the skill in its metadata, before what its data says', () => {
    const parts = [{ data: { tool: 'tools/echo', arguments: {} } }];
    const route = routeTurn(turn({ metadata: { skill: 'agent/talk', kept: 1 }, parts }), both);
    expect(route).toMatchObject({
      kind: 'peer',
      peerId: 'agent',
      turn: { message: { parts, metadata: { skill: 'talk', kept: 1 } } },
    });
  });

  test('to a skill with a slash in its own id', () => {
    const route = routeTurn(turn({ metadata: { skill: 'agent/a/b' } }), both);
    expect(route).toMatchObject({ turn: { message: { metadata: { skill: 'a/b' } } } });
  });

  test('to the tool that its data part calls, which is renamed', () => {
    const parts = [{ text: 'sum' }, { data: { tool: 'tools/add', arguments: { a: 1 } } }];
    expect(routeTurn(turn({ parts }), both)).toMatchObject({
      peerId: 'tools',
      turn: {
        message: { parts: [{ text: 'sum' }, { data: { tool: 'add', arguments: { a: 1 } } }] },
      },
    });
  });

  test('to the only skill of the only peer when nothing is said', () => {
    const route = routeTurn(turn({}), offerOf(peer('tools', 'mcp', ['echo'])));
    expect(route).toMatchObject({
      peerId: 'tools',
      turn: { message: { metadata: { skill: 'echo' } } },
    });
  });

  test('to nobody when the only peer has two skills', () => {
    expect(routeTurn(turn({}), offerOf(peer('tools', 'mcp', ['a', 'b']))).kind).toBe('ask');
  });

  test('to an agent without skills, which is told no skill', () => {
    const offer = offerOf(peer('plain', 'a2a', ['send_message'], []));
    const route = routeTurn(turn({ metadata: { skill: 'plain/send_message' } }), offer);
    expect(route).toMatchObject({
      peerId: 'plain',
      turn: { message: { parts: [{ text: 'hi' }] } },
    });
    expect(route).not.toHaveProperty('turn.message.metadata');
  });

  test('to a peer that was never reached, whatever it asks for', () => {
    const offer = offerOf({ ...peer('dead', 'a2a', []), known: false });
    expect(routeTurn(turn({ metadata: { skill: 'dead/x' } }), offer)).toMatchObject({
      peerId: 'dead',
    });
  });

  test('to nobody for a name that only looks like a member of a map', () => {
    for (const skill of ['__proto__/constructor', 'constructor', 'agent/', '/talk', 'agent']) {
      expect(routeTurn(turn({ metadata: { skill } }), both).kind).toBe('ask');
    }
  });

  test('without the request metadata that was for the gateway', () => {
    const route = routeTurn(turn({}, { skill: 'agent/talk', trace: 'kept' }), both);
    expect(route).toMatchObject({ turn: { metadata: { trace: 'kept' } } });
    expect(route).not.toHaveProperty('turn.metadata.skill');
  });

  test('on with the peer that its context belongs to, under the context that the peer knows', () => {
    const route = routeTurn(turn({ contextId: 'agent/c-1' }), both);
    expect(route).toMatchObject({ peerId: 'agent', turn: { message: { contextId: 'c-1' } } });
  });

  test('to nobody when its context belongs to a peer that is not offered any more', () => {
    expect(routeTurn(turn({ contextId: 'gone/c-1' }), both).kind).toBe('ask');
  });

  test('away from its context only with another name for it', () => {
    const route = routeTurn(
      turn({ contextId: 'agent/c-1', metadata: { skill: 'tools/echo' } }),
      both,
    );
    expect(route).toMatchObject({ peerId: 'tools' });
    expect(JSON.stringify(route)).not.toContain('c-1');
  });
});

describe('the question which skill is meant', () => {
  test('shows no characters that hide what is shown', () => {
    const asked = routeTurn(turn({ metadata: { skill: 'a\u202Eb' } }), both);
    expect(JSON.stringify(asked)).not.toContain('\u202E');
  });

  test('names at most a hundred of many, and how many there are', () => {
    const many = Array.from({ length: 5000 }, (_, n) => `tool_${n}`);
    const started = performance.now();
    const asked = routeTurn(
      turn({ metadata: { skill: 'big/tool_4999x' } }),
      offerOf(peer('big', 'mcp', many)),
    );
    expect(performance.now() - started).toBeLessThan(500);
    if (asked.kind !== 'ask') throw new Error('expected a question');
    const data = asked.parts[1]?.data as { skills: { id: string }[]; total: number };
    expect(data.skills).toHaveLength(100);
    expect(data.skills[0]?.id).toBe('big/tool_4999');
    expect(data.total).toBe(5000);
  });
});

test('a further message may use the names of the gateway or of the peer', () => {
  const parts = [
    { data: { tool: 'tools/add' } },
    { data: { tool: 'add' } },
    { data: { tool: 'agent/add' } },
  ];
  const { message } = inOwnNames('tools', turn({ parts, metadata: { skill: 'tools/add' } }));
  expect(message.parts.map(({ data }) => (data as { tool: string }).tool)).toEqual([
    'add',
    'add',
    'agent/add',
  ]);
  expect(message.metadata).toEqual({ skill: 'add' });
});
