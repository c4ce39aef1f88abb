/**
 * Which peer a message to the gateway's own agent is for, and the message as that peer wants it.
 * Decided by what the message names, never guessed; where nothing decides, the caller is asked.
 *
 * Differs: callers know a skill as `peer/skill`; an A2A agent knows it under its own id in
 * `metadata.skill`, an MCP server as a tool.
 * Lost: references to tasks of other peers, which have no business there. Flagged: `loss`.
 */
import { createHash } from 'node:crypto';
import type { Message, Part } from '../model/a2a.ts';
import type { Json, JsonObject } from '../model/json.ts';
import { isObject } from '../model/json.ts';
import type { PeerTurn } from '../ports/peer.ts';
import { textOfParts } from '../translate/content.ts';
import { withoutKeys } from '../translate/loss.ts';
import { plainText } from '../translate/plain-text.ts';
import { messageFromArguments } from '../translate/skills.ts';
import { plainSkillId, skillId, type Offer, type OfferedPeer } from './peer-share.ts';
import { askSkill } from './skill-question.ts';

/** Where a message goes, or the parts that ask for a skill. `loss` names what cannot go along. */
export type SkillRoute =
  { kind: 'peer'; peerId: string; turn: PeerTurn; loss: string[] } | { kind: 'ask'; parts: Part[] };

const foreignTasks = 'Tasks of other peers that the message refers to are not named to this one.';

/** A skill of a peer, by its own id. */
interface Named {
  readonly peer: OfferedPeer;
  readonly own: string;
}

/**
 * Routes new work. In this order: `metadata.skill` of the message or the request; a data part
 * `{ tool, arguments }`; the peer that the context belongs to; the only skill there is.
 */
export function routeTurn(turn: PeerTurn, offer: Offer): SkillRoute {
  const bound = boundPeer(turn.message.contextId, offer);
  const skill = text(turn.message.metadata?.['skill']) ?? text(turn.metadata?.['skill']);
  if (skill !== undefined) {
    const named = find(skill, offer, bound);
    return named === undefined ? unknown(skill, offer) : toSkill(named, turn);
  }
  const calls = turn.message.parts.flatMap(({ data }) => text(toolOf(data)) ?? []);
  const named = calls.map((tool) => find(tool, offer, bound));
  const [first] = named;
  if (first !== undefined && named.every((one) => one?.peer === first.peer)) {
    return toCall(first, turn);
  }
  if (calls.length > 1) {
    const reason = 'The message calls tools of more than one peer. Send one call at a time.';
    return { kind: 'ask', parts: askSkill(offer, { reason }) };
  }
  const [tool] = calls;
  if (tool !== undefined && (bound === undefined || offer.has(prefixOf(tool)))) {
    return unknown(tool, offer);
  }
  if (bound !== undefined) return arrived(bound, turn);
  const only = onlySkill(offer);
  if (only !== undefined) return toSkill(only, turn);
  return { kind: 'ask', parts: askSkill(offer, { reason: 'Which skill do you want to use?' }) };
}

/** Routes the answer to the question which skill was meant. `asked` is the message that left it open. */
export function routeAnswer(asked: PeerTurn, reply: PeerTurn, offer: Offer): SkillRoute {
  const { contextId } = asked.message;
  const only = reply.message.parts.every((part) => part.text !== undefined);
  const said = only ? textOfParts(reply.message.parts).trim() : '';
  const named = find(said, offer, boundPeer(contextId, offer));
  if (named !== undefined) return toSkill(named, withoutNames(asked));
  const { referenceTaskIds } = asked.message;
  const { referenceTaskIds: _ours, ...message } = reply.message;
  return routeTurn(
    {
      ...asked,
      message: {
        ...message,
        ...(contextId !== undefined && { contextId }),
        ...(referenceTaskIds !== undefined && { referenceTaskIds }),
      },
      ...(reply.metadata && { metadata: reply.metadata }),
    },
    offer,
  );
}

/** A further message in the peer's own names: they may be the gateway's, or the peer's already. */
export function inOwnNames<T extends { message: Message; metadata?: JsonObject }>(
  peerId: string,
  turn: T,
): T {
  const own = (name: string): string => withoutPrefix(name, peerId);
  const parts = turn.message.parts.map((part) => withTool(part, own));
  const message: Message = { ...turn.message, parts };
  const skill = text(message.metadata?.['skill']);
  if (skill !== undefined) message.metadata = { ...message.metadata, skill: own(skill) };
  const asked = text(turn.metadata?.['skill']);
  const metadata = asked === undefined ? {} : { metadata: { ...turn.metadata, skill: own(asked) } };
  return { ...turn, message, ...metadata };
}

/** A peer's context as the gateway's agent names it: it leads back to that peer only. */
export function boundContext(peerId: string, contextId: string): string {
  return `${peerId}/${contextId}`;
}

/** A peer's task as the gateway's agent names it. */
export function boundTask(peerId: string, taskId: string): string {
  return `${peerId}/${taskId}`;
}

// ── what a name means ───────────────────────────────────────────────────────

function find(name: string, offer: Offer, bound: OfferedPeer | undefined): Named | undefined {
  const peer = offer.get(prefixOf(name));
  const own = peer === undefined ? '' : withoutPrefix(name, peer.id);
  // What was never reached cannot be looked up; the call itself says whether it is there.
  if (peer !== undefined && own !== '' && (!peer.known || peer.names.has(own))) {
    return { peer, own };
  }
  return bound?.names.has(name) === true ? { peer: bound, own: name } : undefined;
}

function boundPeer(contextId: string | undefined, offer: Offer): OfferedPeer | undefined {
  return contextId?.includes('/') === true ? offer.get(prefixOf(contextId)) : undefined;
}

function onlySkill(offer: Offer): Named | undefined {
  const [peer, ...peers] = offer.values();
  if (peer === undefined || peers.length > 0) return undefined;
  const [own, ...more] = peer.names;
  return own === undefined || more.length > 0 ? undefined : { peer, own };
}

function unknown(name: string, offer: Offer): SkillRoute {
  const reason = `There is no skill "${plainText(name).slice(0, 100)}" here.`;
  return { kind: 'ask', parts: askSkill(offer, { reason, near: name }) };
}

// ── the message as its peer wants it ────────────────────────────────────────

function toSkill({ peer, own }: Named, turn: PeerTurn): SkillRoute {
  const rest = withoutKeys(turn.message.metadata, ['skill']);
  const says = peer.protocol === 'mcp' || own !== plainSkillId || peer.callable.has(own);
  const metadata = says ? { ...rest, skill: own } : rest;
  const parts = turn.message.parts.map((part) =>
    withTool(part, (name) => withoutPrefix(name, peer.id)),
  );
  const { metadata: _gateways, ...message } = turn.message;
  return arrived(peer, { ...turn, message: { ...message, parts, ...(metadata && { metadata }) } });
}

function toCall({ peer, own }: Named, turn: PeerTurn): SkillRoute {
  if (peer.protocol === 'mcp' || peer.callable.has(own)) {
    const parts = turn.message.parts.map((part) =>
      withTool(part, (name) => withoutPrefix(name, peer.id)),
    );
    return arrived(peer, { ...turn, message: { ...turn.message, parts } });
  }
  // An agent without the extension: the arguments are what the skill's tool would take.
  const parts = turn.message.parts.flatMap((part) => {
    const { data } = part;
    return toolOf(data) === undefined || !isObject(data) ? [part] : partsOf(data['arguments']);
  });
  return toSkill({ peer, own }, { ...turn, message: { ...turn.message, parts } });
}

/** The turn with ids that the peer knows, or may know. */
function arrived(peer: OfferedPeer, turn: PeerTurn): SkillRoute {
  const { contextId, referenceTaskIds, ...message } = turn.message;
  const { metadata: _all, ...rest } = turn;
  const metadata = withoutKeys(turn.metadata, ['skill']);
  const mine = referenceTaskIds?.filter((id) => prefixOf(id) === peer.id) ?? [];
  return {
    kind: 'peer',
    peerId: peer.id,
    loss: mine.length === (referenceTaskIds ?? []).length ? [] : [foreignTasks],
    turn: {
      ...rest,
      ...(metadata && { metadata }),
      message: {
        ...message,
        ...(contextId !== undefined && { contextId: contextAt(peer.id, contextId) }),
        ...(mine.length > 0 && {
          referenceTaskIds: mine.map((id) => withoutPrefix(id, peer.id)),
        }),
      },
    },
  };
}

/** A context of the peer itself, or one that no other peer can have. */
function contextAt(peerId: string, contextId: string): string {
  if (contextId.includes('/') && prefixOf(contextId) === peerId) {
    return withoutPrefix(contextId, peerId);
  }
  const digest = createHash('sha256').update(JSON.stringify([peerId, contextId]));
  return digest.digest('base64url').slice(0, 32);
}

/** The message without what it named in vain: the answer names it instead. */
function withoutNames(turn: PeerTurn): PeerTurn {
  const parts = turn.message.parts.map((part) => {
    const { data } = part;
    if (toolOf(data) === undefined || !isObject(data)) return part;
    return { ...part, data: data['arguments'] ?? {} };
  });
  const { metadata: _named, ...message } = turn.message;
  const metadata = withoutKeys(turn.message.metadata, ['skill']);
  return { ...turn, message: { ...message, parts, ...(metadata && { metadata }) } };
}

function partsOf(args: Json | undefined): Part[] {
  if (!isObject(args)) return [];
  const known = ['message', 'data', 'files'];
  if (
    typeof args['message'] === 'string' &&
    Object.keys(args).every((key) => known.includes(key))
  ) {
    return messageFromArguments(args, undefined, '').parts;
  }
  return [{ data: args, mediaType: 'application/json' }];
}

function withTool(part: Part, rename: (name: string) => string): Part {
  const tool = toolOf(part.data);
  if (tool === undefined || !isObject(part.data)) return part;
  return { ...part, data: { ...part.data, tool: rename(tool) } };
}

function toolOf(data: Json | undefined): string | undefined {
  return isObject(data) && typeof data['tool'] === 'string' ? data['tool'] : undefined;
}

function prefixOf(name: string): string {
  const end = name.indexOf('/');
  return end === -1 ? name : name.slice(0, end);
}

function withoutPrefix(name: string, peerId: string): string {
  const prefix = skillId(peerId, '');
  return name.startsWith(prefix) ? name.slice(prefix.length) : name;
}

function text(value: Json | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
