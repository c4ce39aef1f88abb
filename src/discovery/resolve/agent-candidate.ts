/** An A2A agent from its card. Spec: A2A 1.0 §8 (agent discovery) */
import { isObject } from '../../model/json.ts';
import { readAgentCard } from '../../translate/agent-card.ts';
import type { CardReading } from '../../translate/agent-card.ts';
import type { PassedOver } from '../../translate/agent-interface.ts';
import { placeWarnings, shown, urlProblem } from './candidate.ts';
import type { Candidate, Way } from './candidate.ts';

/** Where a card comes from. */
export interface CardPlace {
  /** Where it was read: the card's own URL, or that of the document that holds it. */
  readonly at: URL;
  readonly raw?: string;
  /** Why the gateway could not fetch it again. */
  readonly unreachable?: string;
  readonly foundAt: readonly string[];
}

/** The agent of a card, or why the card is none. */
export function agentCandidate(
  value: unknown,
  place: CardPlace,
): { candidate: Candidate; summary: string } | { problem: string } {
  const { at, foundAt } = place;
  const reading = readAgentCard(value, {
    origins: [at.origin],
    objection: (url) => {
      const problem = urlProblem(url);
      return problem === undefined ? undefined : `its URL ${problem}`;
    },
  });
  if (reading.kind === 'no-card') return { problem: 'JSON that is no agent card' };
  if (reading.kind === 'wrong') {
    const where = shown(reading.path);
    return { problem: `an agent card that is wrong at "${where}": ${shown(reading.problem, 200)}` };
  }
  const { card, shape } = reading;
  const others = reading.kind === 'card' ? reading.choice.others : reading.others;
  const problem = place.unreachable ?? unspokenProblem(reading);
  const candidate: Candidate = {
    kind: 'a2a',
    url: at.href,
    ...(problem !== undefined && { problem }),
    name: shown(card.name),
    description: shown(card.description, 300),
    version: shown(card.version, 40),
    card,
    ...(place.raw !== undefined && { raw: place.raw }),
    skills: card.skills.length,
    ...(reading.kind === 'card' && { speaks: spokenWay(reading) }),
    alternatives: others.slice(0, 50).map((one) => ({ ...wayOf(one), whyNot: one.whyNot })),
    warnings: warningsOf(reading, value, at),
    foundAt,
  };
  const skills = `${card.skills.length} skill${card.skills.length === 1 ? '' : 's'}`;
  return { candidate, summary: `an A2A ${shape} card: "${shown(card.name)}", ${skills}` };
}

function unspokenProblem(reading: CardReading): string | undefined {
  if (reading.kind !== 'unspoken') return undefined;
  const reasons = [...new Set(reading.others.map(({ whyNot }) => whyNot))];
  return `none of its interfaces can be used: ${reasons.slice(0, 5).join('; ')}`;
}

function spokenWay({ choice }: CardReading & { kind: 'card' }): Candidate['speaks'] {
  return { ...wayOf(choice.chosen), why: choice.why };
}

function wayOf(one: Omit<PassedOver, 'whyNot'>): Way {
  return {
    url: shown(one.url, 300),
    binding: shown(one.protocolBinding, 60),
    version: shown(one.protocolVersion, 20),
  };
}

function warningsOf(reading: CardReading, value: unknown, at: URL): string[] {
  if (reading.kind !== 'card') return [];
  const { chosen } = reading.choice;
  const warnings = placeWarnings(new URL(chosen.url), at);
  if (reading.shape === '0.2') {
    warnings.push('its card is of A2A 0.2; it is spoken to as 0.3, which has the same methods');
  }
  const schemes = wantedSchemes(value);
  if (schemes.length > 0) {
    const names = schemes
      .slice(0, 5)
      .map((name) => shown(name, 40))
      .join(', ');
    warnings.push(`it asks for credentials (${names}): add "credentials" to the peer`);
  }
  const required = (reading.card.capabilities.extensions ?? []).filter((one) => one.required);
  for (const { uri } of required.slice(0, 5)) {
    warnings.push(`it requires the extension ${shown(uri, 200)} of whoever calls it`);
  }
  return warnings;
}

/** The names of the security schemes that a card declares and demands. */
function wantedSchemes(value: unknown): string[] {
  if (!isObject(value)) return [];
  const { security, securityRequirements, securitySchemes } = value;
  const wanted = [security, securityRequirements].some(
    (one) => Array.isArray(one) && one.length > 0,
  );
  return wanted && isObject(securitySchemes) ? Object.keys(securitySchemes) : [];
}
