/**
 * An agent's card in the shapes of 1.0, 0.3 and 0.2, read into one. A card is an advertisement:
 * members that only describe are read leniently, those that we act on are checked.
 *
 * What differs: before 1.0 a card has one `url` with its transport and others beside it, and one
 * version for all of them; 0.2 names a version since 0.2.5 and a transport since 0.2.4. Over
 * JSON-RPC, 0.2 has the methods and objects of 0.3 (`message/send`, `kind`), without the extended
 * card, so it is spoken to as 0.3; its HTTP+JSON called the message `request` and is not spoken.
 * Before 0.2 the methods were others (`tasks/send`): such a card is refused.
 *
 * Spec: A2A 1.0 §4.4, §8; A2A 0.3 §5.5; A2A 0.2.6 §5.5
 */
import { z } from 'zod';
import type { AgentCard, AgentInterface } from '../model/a2a.ts';
import { isObject } from '../model/json.ts';
import type { JsonObject } from '../model/json.ts';
import { chooseInterface } from './agent-interface.ts';
import type { ChoosingOptions, InterfaceChoice, PassedOver } from './agent-interface.ts';

/** Which version's shape a card has. */
export type CardShape = '1.0' | '0.3' | '0.2' | '0.1';

/** What was found in a JSON value that may be a card. */
export type CardReading =
  | {
      readonly kind: 'card';
      readonly card: AgentCard;
      readonly shape: CardShape;
      readonly choice: InterfaceChoice;
    }
  | {
      /** A card, none of whose interfaces we can use. */
      readonly kind: 'unspoken';
      readonly card: AgentCard;
      readonly shape: CardShape;
      readonly others: readonly PassedOver[];
    }
  | { readonly kind: 'wrong'; readonly path: string; readonly problem: string }
  | { readonly kind: 'no-card' };

/** No description needs more; what does is there to drown its readers. */
const longestText = 65_536;

const text = z
  .string()
  .catch('')
  .pipe(z.string().max(longestText, `longer than ${longestText} characters`));
const texts = z.array(z.string()).catch([]);
const object = z.record(z.string(), z.unknown()) as unknown as z.ZodType<JsonObject>;

const skillSchema = z.object({
  id: z.string().min(1).max(longestText, `longer than ${longestText} characters`),
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

const cardSchema = z.object({
  name: z.string().min(1).max(longestText, `longer than ${longestText} characters`),
  description: text,
  version: text,
  supportedInterfaces: z.array(z.unknown()).min(1),
  provider: z.object({ url: text, organization: text }).optional().catch(undefined),
  documentationUrl: z.string().optional().catch(undefined),
  iconUrl: z.string().optional().catch(undefined),
  capabilities: capabilitiesSchema.default({}),
  defaultInputModes: texts,
  defaultOutputModes: texts,
  skills: z.array(skillSchema).default([]),
});

/** Reads a card as it was fetched, and chooses the interface to use. */
export function readAgentCard(raw: unknown, options: ChoosingOptions = {}): CardReading {
  if (!isObject(raw) || !advertises(raw)) return { kind: 'no-card' };
  const shape = shapeOf(raw);
  const parsed = cardSchema.safeParse(shape === '1.0' ? raw : fromLegacyCard(raw, shape));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const path = issue?.path.join('.') ?? '';
    return { kind: 'wrong', path, problem: issue?.message ?? 'unreadable' };
  }
  const read = parsed.data.supportedInterfaces.map(interfaceFrom);
  const supportedInterfaces = read.flatMap((one) => ('whyNot' in one ? [] : [one]));
  const unreadable = read.flatMap((one) => ('whyNot' in one ? [one] : []));
  const card: AgentCard = { ...parsed.data, supportedInterfaces };
  const { choice, others } = chooseInterface(supportedInterfaces, options);
  if (choice === undefined) {
    return { kind: 'unspoken', card, shape, others: [...others, ...unreadable] };
  }
  const all = [...choice.others, ...unreadable];
  return { kind: 'card', card, shape, choice: { ...choice, others: all } };
}

/** Whether anything in an object says that it is meant as a card. */
function advertises(raw: Record<string, unknown>): boolean {
  return cardMembers.some((member) => raw[member] !== undefined);
}

const cardMembers = ['supportedInterfaces', 'url', 'skills', 'name', 'protocolVersion'];

/** A card with both shapes is read as 1.0, which loses nothing. */
function shapeOf(raw: Record<string, unknown>): CardShape {
  const { supportedInterfaces, url, protocolVersion } = raw;
  if (Array.isArray(supportedInterfaces) && supportedInterfaces.length > 0) return '1.0';
  if (typeof url !== 'string') return '1.0';
  if (protocolVersion === undefined) return isBeforeMessages(raw) ? '0.1' : '0.3';
  const [, minor] = /^0\.([0-2])(\.|$)/.exec(textOf(protocolVersion)) ?? [];
  if (minor === undefined) return '0.3';
  return minor === '2' ? '0.2' : '0.1';
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The one member that only cards before 0.2 have; nothing else tells them from later ones. */
function isBeforeMessages(raw: Record<string, unknown>): boolean {
  const later = ['securitySchemes', 'security', 'preferredTransport', 'additionalInterfaces'];
  return isObject(raw['authentication']) && later.every((member) => raw[member] === undefined);
}

/** One `url` with its transport, then the others: 0.3 repeats the first among them. */
function fromLegacyCard(raw: Record<string, unknown>, shape: CardShape): Record<string, unknown> {
  const protocolVersion = raw['protocolVersion'] ?? (shape === '0.1' ? '0.1' : '0.3');
  const others: unknown[] = Array.isArray(raw['additionalInterfaces'])
    ? raw['additionalInterfaces']
    : [];
  const all = [{ url: raw['url'], transport: raw['preferredTransport'] || 'JSONRPC' }, ...others];
  const interfaces = all.filter(isObject).map(({ url, transport }) => ({
    url,
    protocolBinding: transport,
    protocolVersion,
  }));
  const distinct = new Map(interfaces.map((one) => [JSON.stringify(one), one]));
  const capabilities = isObject(raw['capabilities']) ? raw['capabilities'] : {};
  // Until 0.3 the extended card was an HTTP resource of its own, not a method.
  const extended = shape === '0.3' ? raw['supportsAuthenticatedExtendedCard'] : undefined;
  return {
    ...raw,
    supportedInterfaces: [...distinct.values()],
    capabilities: {
      ...capabilities,
      ...(typeof extended === 'boolean' && { extendedAgentCard: extended }),
    },
  };
}

/** One entry of the card; one that cannot be read harms none of the others. */
function interfaceFrom(raw: unknown): AgentInterface | PassedOver {
  const { url, protocolBinding, protocolVersion, tenant } = isObject(raw) ? raw : {};
  const unreadable = (member: string): PassedOver => ({
    url: textOf(url) || '?',
    protocolBinding: textOf(protocolBinding) || '?',
    protocolVersion: textOf(protocolVersion) || '?',
    whyNot: `its "${member}" is not a text`,
  });
  if (typeof url !== 'string') return unreadable('url');
  if (typeof protocolBinding !== 'string') return unreadable('protocolBinding');
  if (tenant !== undefined && typeof tenant !== 'string') return unreadable('tenant');
  const known = { url, protocolBinding, ...(tenant !== undefined && { tenant }) };
  // Spec: A2A 1.0 §3.6.2: an absent version means 0.3
  if (protocolVersion === undefined || protocolVersion === '') {
    return { ...known, protocolVersion: '0.3' };
  }
  if (typeof protocolVersion !== 'string') return unreadable('protocolVersion');
  return { ...known, protocolVersion };
}
