/**
 * An agent's card in the shapes of 1.0 and 0.3, read into one. A card is an advertisement: members
 * that only describe are read leniently, those that we act on are checked.
 *
 * Spec: A2A 1.0 §4.4, §8; A2A 0.3 §5.5
 */
import { z } from 'zod';
import type { AgentCard, AgentInterface } from '../../model/a2a.ts';
import { GatewayError } from '../../model/errors.ts';
import { isObject } from '../../model/json.ts';
import type { JsonObject } from '../../model/json.ts';
import { noCardFault } from './faults.ts';

/** The bindings that the connector speaks. */
export type SpokenBinding = 'JSONRPC' | 'HTTP+JSON';

/** A card and the interface that we talk to. */
export interface KnownCard {
  card: AgentCard;
  chosen: AgentInterface & { protocolBinding: SpokenBinding };
  /** URIs of the extensions that the card declares. */
  extensions: ReadonlySet<string>;
}

const text = z.string().catch('');
const texts = z.array(z.string()).catch([]);
const object = z.record(z.string(), z.unknown()) as unknown as z.ZodType<JsonObject>;

const skillSchema = z.object({
  id: z.string().min(1),
  name: text,
  description: text,
  tags: texts,
  examples: texts.optional(),
  inputModes: texts.optional(),
  outputModes: texts.optional(),
});

const extensionSchema = z.object({
  uri: z.string().min(1),
  description: z.string().optional().catch(undefined),
  required: z.boolean().optional().catch(undefined),
  params: object.optional().catch(undefined),
});

const capabilitiesSchema = z.object({
  streaming: z.boolean().optional(),
  pushNotifications: z.boolean().optional(),
  extendedAgentCard: z.boolean().optional(),
  extensions: z.array(extensionSchema).optional(),
});

const interfaceSchema = z.object({
  url: z.string(),
  protocolBinding: z.string(),
  tenant: z.string().optional(),
  // Spec: A2A 1.0 §3.6.2: an absent version means 0.3
  protocolVersion: z.string().min(1).catch('0.3'),
});

const cardSchema = z.object({
  name: z.string().min(1),
  description: text,
  version: text,
  supportedInterfaces: z.array(interfaceSchema).min(1),
  provider: z.object({ url: text, organization: text }).optional().catch(undefined),
  documentationUrl: z.string().optional().catch(undefined),
  iconUrl: z.string().optional().catch(undefined),
  capabilities: capabilitiesSchema.default({}),
  defaultInputModes: texts,
  defaultOutputModes: texts,
  skills: z.array(skillSchema).default([]),
});

/**
 * Reads a card as it was fetched. Throws `peer-protocol` naming the member that is wrong, or the
 * bindings that we do not speak.
 */
export function readCard(peerId: string, raw: unknown): KnownCard {
  if (!isObject(raw) || !advertises(raw)) {
    throw noCardFault({ peerId, stage: 'card' }, 'JSON that is something else');
  }
  const parsed = cardSchema.safeParse(isLegacyCard(raw) ? fromLegacyCard(raw) : raw);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const path = issue?.path.join('.') ?? '';
    throw badCard(peerId, `is wrong at "${path}": ${issue?.message ?? 'unreadable'}`);
  }
  const card: AgentCard = parsed.data;
  const chosen = card.supportedInterfaces.flatMap(spoken)[0];
  if (!chosen) {
    const named = card.supportedInterfaces.map(
      ({ protocolBinding, protocolVersion }) => `${protocolBinding} ${protocolVersion}`,
    );
    throw badCard(
      peerId,
      `names no interface that the gateway speaks (JSONRPC or HTTP+JSON of A2A 1.0 or 0.3 at an http or https URL), only: ${named.join(', ').slice(0, 200)}`,
    );
  }
  const extensions = new Set((card.capabilities.extensions ?? []).map((one) => one.uri));
  return { card, chosen, extensions };
}

/** Whether anything in an object says that it is meant as a card. */
function advertises(raw: Record<string, unknown>): boolean {
  return cardMembers.some((member) => raw[member] !== undefined);
}

const cardMembers = ['supportedInterfaces', 'url', 'skills', 'name', 'protocolVersion'];

/** Whether an interface speaks a version before 1.0. */
export function isLegacyInterface({ protocolVersion }: AgentInterface): boolean {
  return /^0\.[3-9](\.|$)/.test(protocolVersion);
}

function spoken(one: AgentInterface): KnownCard['chosen'][] {
  const protocolBinding = one.protocolBinding.toUpperCase();
  if (protocolBinding !== 'JSONRPC' && protocolBinding !== 'HTTP+JSON') return [];
  if (!isLegacyInterface(one) && !/^1(\.|$)/.test(one.protocolVersion)) return [];
  if (!URL.canParse(one.url) || !/^https?:$/.test(new URL(one.url).protocol)) return [];
  return [{ ...one, protocolBinding }];
}

/** A card with both shapes is read as 1.0, which loses nothing. */
function isLegacyCard(raw: Record<string, unknown>): boolean {
  const { supportedInterfaces, url } = raw;
  if (Array.isArray(supportedInterfaces) && supportedInterfaces.length > 0) return false;
  return typeof url === 'string';
}

/** One `url` with its transport, then the others: 0.3 repeats the first among them. */
function fromLegacyCard(raw: Record<string, unknown>): Record<string, unknown> {
  const version = typeof raw['protocolVersion'] === 'string' ? raw['protocolVersion'] : '0.3';
  const others: unknown[] = Array.isArray(raw['additionalInterfaces'])
    ? raw['additionalInterfaces']
    : [];
  const all = [{ url: raw['url'], transport: raw['preferredTransport'] ?? 'JSONRPC' }, ...others];
  const interfaces = all.filter(isObject).map(({ url, transport }) => ({
    url,
    protocolBinding: transport,
    protocolVersion: version,
  }));
  const distinct = new Map(interfaces.map((one) => [JSON.stringify(one), one]));
  const capabilities = isObject(raw['capabilities']) ? raw['capabilities'] : {};
  const extended = raw['supportsAuthenticatedExtendedCard'];
  return {
    ...raw,
    supportedInterfaces: [...distinct.values()],
    capabilities: {
      ...capabilities,
      ...(typeof extended === 'boolean' && { extendedAgentCard: extended }),
    },
  };
}

function badCard(peerId: string, what: string): GatewayError {
  return new GatewayError('peer-protocol', `The card of the agent "${peerId}" ${what}.`, {
    facts: { peer: peerId, stage: 'card' },
  });
}
