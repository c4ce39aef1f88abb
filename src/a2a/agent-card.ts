/**
 * The card of a peer on its A2A face: an agent's own card with our interfaces, or an MCP server's
 * catalogue as a card.
 *
 * Spec: A2A 1.0 §4.4 (AgentCard), §5.2 (interfaces), A2A 0.3 §5.5 (the older shape)
 */
import { contentVersion, publishedUrl } from '../discovery/published-text.ts';
import { hybridSecurity } from '../discovery/card-security.ts';
import type {
  AgentCard,
  AgentExtension,
  AgentInterface,
  AgentSkill,
  CardSecurity,
} from '../model/a2a.ts';
import type { JsonObject } from '../model/json.ts';
import { gatewayPeerId, type Catalogue } from '../ports/peer.ts';
import {
  boundedModes,
  boundedText,
  cardParts,
  mostSkills,
  shownOnCard,
} from '../translate/card-bounds.ts';
import { skillNames, skillsFromCatalogue, toolCallExtension } from '../translate/tool-skills.ts';
import { hasNoSkills } from '../translate/withheld-skills.ts';

/** Who runs the gateway. */
export interface Organization {
  id: string;
  name: string;
  url?: string;
}

/** What a card says about the place that serves it. */
export interface CardPlace {
  peerId: string;
  /** The gateway's origin. */
  publicUrl: string;
  organization: Organization;
  /** How callers prove who they are; nothing is asked of them when absent. */
  security?: CardSecurity;
}

/** The card of 1.0, and the members that a 0.3 reader looks for. No member has two meanings. */
export type HybridCard = AgentCard & JsonObject;

const bindings = ['JSONRPC', 'HTTP+JSON'] as const;
const versions = ['1.0', '0.3'] as const;

/** In UTF-16 units; longer ones are cut. */
const longestLine = 1024;
const longestDescription = 16 * 1024;

/** An agent's own card with our interfaces in place of its own. Spec: A2A 1.0 §4.4.1 */
export function cardOfAgent(card: AgentCard, place: CardPlace): AgentCard {
  const { description } = card;
  const name = boundedText(card.name || place.peerId, longestLine);
  const isOurs = place.peerId === gatewayPeerId;
  const provider = isOurs ? card.provider : providerOf(card.provider);
  const documentationUrl = publishedUrl(card.documentationUrl);
  const iconUrl = publishedUrl(card.iconUrl);
  const said = boundedText(description || name, longestDescription);
  const own = hasNoSkills(card)
    ? [{ id: 'send_message', name: 'Send message', description: said, tags: ['message'] }]
    : card.skills;
  const declared = card.capabilities.extensions ?? [];
  // Our own card is bounded where it is made.
  const { skills, extensions } = isOurs
    ? { skills: own, extensions: declared }
    : shownOnCard(
        cardParts(own.slice(0, mostSkills).map(withoutSecurity), declared, {
          skills: own.length,
        }),
        "The whole is the agent's own card.",
      );
  return versioned(isOurs ? ownVersion : card.version, {
    name,
    description: said,
    supportedInterfaces: interfacesOf(place),
    ...(provider && { provider }),
    ...(documentationUrl !== undefined && { documentationUrl }),
    capabilities: {
      ...capabilitiesWith(extensions),
      extendedAgentCard: card.capabilities.extendedAgentCard === true,
    },
    defaultInputModes: orElse(boundedModes(card.defaultInputModes ?? []), ['text/plain']),
    defaultOutputModes: orElse(boundedModes(card.defaultOutputModes ?? []), ['text/plain']),
    skills,
    ...(iconUrl !== undefined && { iconUrl }),
    ...place.security,
  });
}

/** An MCP server's catalogue as a card: a skill per tool. */
export function cardOfServer(catalogue: Catalogue, place: CardPlace): AgentCard {
  const { serverInfo, instructions } = catalogue;
  const { organization, publicUrl, peerId } = place;
  const name = boundedText(
    text(serverInfo['title']) ?? text(serverInfo['name']) ?? peerId,
    longestLine,
  );
  const description = boundedText(
    text(serverInfo['description']) ?? text(instructions) ?? `The tools of ${name}, as an agent.`,
    longestDescription,
  );
  const documentationUrl = publishedUrl(serverInfo['websiteUrl']);
  const count = skillNames(catalogue).length;
  const { skills, extensions } = shownOnCard(
    cardParts(
      skillsFromCatalogue(catalogue, mostSkills),
      [toolCallExtension(catalogue, mostSkills)],
      { skills: count, schemas: count },
    ),
    `The whole is in tools/list at ${publicUrl.replace(/\/+$/, '')}/mcp/${peerId}.`,
  );
  return versioned(text(serverInfo['version']), {
    name,
    description,
    supportedInterfaces: interfacesOf(place),
    provider: { organization: organization.name, url: organization.url ?? publicUrl },
    ...(documentationUrl !== undefined && { documentationUrl }),
    capabilities: capabilitiesWith(extensions),
    defaultInputModes: ['application/json', 'text/plain'],
    defaultOutputModes: ['text/plain', 'application/json'],
    skills: orElse(skills, [
      {
        id: 'describe',
        name: 'Describe',
        description: `${name} offers no tools at the moment.`,
        tags: ['mcp'],
      },
    ]),
    ...place.security,
  });
}

/** Of the gateway's own agent. */
const ownVersion = '1.0.0';

/** The card under a version that changes when, and only when, what is shown does. */
function versioned(said: string | undefined, card: Omit<AgentCard, 'version'>): AgentCard {
  return { ...card, version: contentVersion(said || ownVersion, card) };
}

/**
 * The same card for readers of either version: the 0.3 members beside `supportedInterfaces`.
 * Spec: A2A 0.3 §5.5 (AgentCard), A2A 1.0 §3.6.2 (no version means 0.3)
 */
export function hybridCard(card: AgentCard): HybridCard {
  const { securitySchemes, securityRequirements } = card;
  const isSecured = securitySchemes !== undefined && securityRequirements !== undefined;
  const legacy = card.supportedInterfaces.filter((one) => one.protocolVersion === '0.3');
  const url = legacy[0]?.url ?? '';
  return {
    ...card,
    protocolVersion: '0.3.0',
    url,
    preferredTransport: 'JSONRPC',
    additionalInterfaces: legacy.map((one) => ({ url: one.url, transport: one.protocolBinding })),
    supportsAuthenticatedExtendedCard: card.capabilities.extendedAgentCard === true,
    ...(isSecured && hybridSecurity({ securitySchemes, securityRequirements })),
  } as unknown as HybridCard;
}

/** Both bindings share one base; what is asked for tells them apart. */
export function interfacesOf({
  peerId,
  publicUrl,
}: Pick<CardPlace, 'peerId' | 'publicUrl'>): AgentInterface[] {
  const base = `${publicUrl.replace(/\/+$/, '')}/a2a`;
  const url = peerId === gatewayPeerId ? base : `${base}/${peerId}`;
  return versions.flatMap((protocolVersion) =>
    bindings.map((protocolBinding) => ({ url, protocolBinding, protocolVersion })),
  );
}

/** Readers show these URLs as links: only those that lead to the public web are ours to sign. */
function providerOf(provider: AgentCard['provider']): AgentCard['provider'] {
  const url = publishedUrl(provider?.url);
  return provider === undefined || url === undefined ? undefined : { ...provider, url };
}

function capabilitiesWith(extensions: AgentExtension[]): AgentCard['capabilities'] {
  return {
    streaming: true,
    pushNotifications: false,
    extendedAgentCard: false,
    ...(extensions.length > 0 && { extensions }),
  };
}

/** A skill's security names schemes of the peer's own endpoint, which are not ours. */
function withoutSecurity(skill: AgentSkill): AgentSkill {
  const { securityRequirements: _new, security: _old, ...rest } = skill as AgentSkill & JsonObject;
  return rest;
}

function orElse<T>(values: T[] | undefined, fallback: T[]): T[] {
  return values !== undefined && values.length > 0 ? values : fallback;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value : undefined;
}
