/**
 * The question which skill of which peer is meant, in prose and as data.
 */
import type { AgentSkill, Part } from '../model/a2a.ts';
import type { JsonObject } from '../model/json.ts';
import { plainText, shortened } from '../translate/plain-text.ts';
import type { Offer } from './peer-share.ts';

const shownInProse = 30;
const shownInData = 100;

/** Every one is compared with what was named. */
const mostConsidered = 5000;

/** Longer names are compared by how they begin. */
const longestCompared = 100;

/** The parts that ask. `near` is what was named in vain: skills with names like it come first. */
export function askSkill(offer: Offer, why: { reason: string; near?: string }): Part[] {
  const total = [...offer.values()].reduce((sum, peer) => sum + peer.names.size, 0);
  if (total === 0) return [{ text: `${why.reason} No agent is served here at the moment.` }];
  const skills = considered(offer, why.near ?? '');
  const ordered = why.near === undefined ? skills : closestFirst(skills, why.near);
  const lines = ordered
    .slice(0, shownInProse)
    .map(({ id, description }) => `- ${plainText(id)}: ${line(description, 160)}`);
  if (total > lines.length) lines.push(`… and ${total - lines.length} more, on the agent card.`);
  const prose = [
    why.reason,
    ...lines,
    'Answer with the id of a skill; or send a message with the id in metadata.skill, or with a data part { "tool": id, "arguments": object }. The schemas of tools are on the agent card.',
  ].join('\n');
  const data: JsonObject = {
    skills: ordered.slice(0, shownInData).map(({ id, name, description }) => ({
      id,
      name: line(name, 100),
      description: line(description, 300),
    })),
    total,
  };
  return [{ text: prose }, { data, mediaType: 'application/json' }];
}

/** Skills among which the closest are looked for: those of the peer that was named come first. */
function considered(offer: Offer, near: string): AgentSkill[] {
  const meant = offer.get(near.slice(0, Math.max(0, near.indexOf('/'))));
  const skills: AgentSkill[] = [...(meant?.skills ?? [])];
  for (const peer of offer.values()) {
    if (skills.length >= mostConsidered) break;
    if (peer !== meant) skills.push(...peer.skills);
  }
  return skills.slice(0, mostConsidered);
}

/** No more is read than may be shown. */
function line(text: string, max: number): string {
  return shortened(plainText(text.slice(0, 8 * max)), max);
}

function closestFirst(skills: readonly AgentSkill[], near: string): AgentSkill[] {
  const wanted = new Set(pairsOf(near));
  return skills
    .map((skill) => ({ skill, score: likeness(skill.id, near, wanted) }))
    .toSorted((a, b) => b.score - a.score)
    .map(({ skill }) => skill);
}

/** How many pairs of characters two names share, at most 1; more where only the peer is wrong. */
function likeness(id: string, near: string, wanted: ReadonlySet<number>): number {
  const pairs = pairsOf(id);
  let shared = 0;
  for (const pair of pairs) if (wanted.has(pair)) shared += 1;
  const alike = (2 * shared) / (pairs.length + wanted.size || 1);
  const own = id.slice(id.indexOf('/') + 1);
  const isSame = own === near.slice(near.indexOf('/') + 1);
  return alike + (isSame ? 1 : 0) + sharedStart(id, near) / 1000;
}

/** The pairs of neighbouring characters of a name, each as one number. */
function pairsOf(name: string): number[] {
  const flat = name.slice(0, longestCompared).toLowerCase();
  const pairs: number[] = [];
  for (let at = 1; at < flat.length; at += 1) {
    pairs.push(flat.charCodeAt(at - 1) * 0x1_0000 + flat.charCodeAt(at));
  }
  return pairs;
}

function sharedStart(one: string, other: string): number {
  let at = 0;
  while (at < one.length && at < longestCompared && one[at] === other[at]) at += 1;
  return at;
}
