/**
 * The card of a peer on its A2A face: an agent's own card with our interfaces, or an MCP server's
 * catalogue as a card.
 *
 * Spec: A2A 1.0 §4.4 (AgentCard), §5.2 (interfaces), A2A 0.3 §5.5 (the older shape)
 */
import type { AgentCard, AgentExtension, AgentInterface, AgentSkill } from '../model/a2a.ts';
import type { JsonObject } from '../model/json.ts';
import type { Catalogue } from '../ports/peer.ts';
import { skillsFromCatalogue, toolCallExtension } from '../translate/tool-skills.ts';

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
}

/** The card of 1.0, and the members that a 0.3 reader looks for. No member has two meanings. */
export type HybridCard = AgentCard & JsonObject;

const bindings = ['JSONRPC', 'HTTP+JSON'] as const;
const versions = ['1.0', '0.3'] as const;

/** An agent's own card with our interfaces in place of its own. Spec: A2A 1.0 §4.4.1 */
export function cardOfAgent(card: AgentCard, place: CardPlace): AgentCard {
  const { name, description, version, provider, documentationUrl, iconUrl } = card;
  const said = description || name || place.peerId;
  return {
    name: name || place.peerId,
    description: said,
    supportedInterfaces: interfacesOf(place),
    ...(provider && { provider }),
    version: version || '1.0.0',
    ...(documentationUrl && { documentationUrl }),
    capabilities: {
      ...capabilitiesWith(card.capabilities.extensions ?? []),
      extendedAgentCard: card.capabilities.extendedAgentCard === true,
    },
    defaultInputModes: orElse(card.defaultInputModes, ['text/plain']),
    defaultOutputModes: orElse(card.defaultOutputModes, ['text/plain']),
    skills: orElse(card.skills, [
      { id: 'send_message', name: 'Send message', description: said, tags: ['message'] },
    ]).map(withoutSecurity),
    ...(iconUrl && { iconUrl }),
  };
}

/** An MCP server's catalogue as a card: a skill per tool. Its version changes with the catalogue. */
export function cardOfServer(catalogue: Catalogue, place: CardPlace): AgentCard {
  const { serverInfo, instructions } = catalogue;
  const { organization, publicUrl, peerId } = place;
  const name = text(serverInfo['title']) ?? text(serverInfo['name']) ?? peerId;
  const description =
    text(serverInfo['description']) ?? text(instructions) ?? `The tools of ${name}, as an agent.`;
  const documentationUrl = text(serverInfo['websiteUrl']);
  const own = text(serverInfo['version']) ?? '1.0.0';
  return {
    name,
    description,
    supportedInterfaces: interfacesOf(place),
    provider: { organization: organization.name, url: organization.url ?? publicUrl },
    version: `${own}+${catalogue.version.slice(0, 16)}`,
    ...(documentationUrl !== undefined && { documentationUrl }),
    capabilities: capabilitiesWith([toolCallExtension(catalogue)]),
    defaultInputModes: ['application/json', 'text/plain'],
    defaultOutputModes: ['text/plain', 'application/json'],
    skills: orElse(skillsFromCatalogue(catalogue), [
      {
        id: 'describe',
        name: 'Describe',
        description: `${name} offers no tools at the moment.`,
        tags: ['mcp'],
      },
    ]),
  };
}

/**
 * The same card for readers of either version: the 0.3 members beside `supportedInterfaces`.
 * Spec: A2A 0.3 §5.5 (AgentCard), A2A 1.0 §3.6.2 (no version means 0.3)
 */
export function hybridCard(card: AgentCard): HybridCard {
  const legacy = card.supportedInterfaces.filter((one) => one.protocolVersion === '0.3');
  const url = legacy[0]?.url ?? '';
  return {
    ...card,
    protocolVersion: '0.3.0',
    url,
    preferredTransport: 'JSONRPC',
    additionalInterfaces: legacy.map((one) => ({ url: one.url, transport: one.protocolBinding })),
    supportsAuthenticatedExtendedCard: card.capabilities.extendedAgentCard === true,
  } as unknown as HybridCard;
}

/** Both bindings share one base; what is asked for tells them apart. */
export function interfacesOf({ peerId, publicUrl }: CardPlace): AgentInterface[] {
  const url = `${publicUrl.replace(/\/+$/, '')}/a2a/${peerId}`;
  return versions.flatMap((protocolVersion) =>
    bindings.map((protocolBinding) => ({ url, protocolBinding, protocolVersion })),
  );
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
