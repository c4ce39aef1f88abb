/**
 * The canonical forms of an agent card: what exactly a signature covers.
 *
 * What differs: §8.4.1 leaves out default values by the presence rules of the protobuf schema, but
 * signers read it in their own ways. Some sign the document as they serve it. Some rebuild the card
 * from the schema first, which loses every member that the schema does not know. The official SDKs
 * also leave out every empty value, at any depth, required or not.
 *
 * What is lost: the forms after the first two cover less than the document. Whoever accepts one
 * goes on with the covered form, never with the document, so nothing unsigned gets in.
 *
 * Spec: A2A 1.0 §5.7 (presence), §8.4.1 (canonicalization); RFC 8785
 */
import canonicalize from 'canonicalize';
import { isObject, type Json, type JsonObject } from '../model/json.ts';
import { atOnce, type Sliced } from './slices.ts';

/** The readings of "canonical", from the strictest on. See the file comment. */
export type CardForm = 'as-served' | 'defaults-removed' | 'known-members' | 'empties-removed';

/** Canonical texts by what they are of: forms share nearly all of their parts. */
export type CanonicalTexts = WeakMap<object, string>;

/** Every form as canonical JSON without `signatures`; forms that are equal stand once. */
export function canonicalForms(card: JsonObject): Map<string, CardForm> {
  return atOnce(canonicalFormsSliced(card));
}

/** The same in slices. `texts` is what is known from other cards of the same parts. */
export function* canonicalFormsSliced(
  card: JsonObject,
  texts: CanonicalTexts = new WeakMap(),
): Sliced<Map<string, CardForm>> {
  const { signatures: _excluded, ...served } = card;
  const known = (): JsonObject => withoutDefaults(served, 'known members only');
  const forms: [CardForm, () => Json][] = [
    ['as-served', () => served],
    ['defaults-removed', () => withoutDefaults(served)],
    ['known-members', known],
    ['empties-removed', () => withoutEmpties(known()) ?? {}],
  ];
  const made = new Map<string, CardForm>();
  for (const [form, make] of forms) {
    const value = make();
    // Taking a card apart takes about as long as going through it: others have their turn between.
    yield (texts.get(served) ?? '').length;
    const text = yield* canonicalText(value, texts);
    if (!made.has(text)) made.set(text, form);
  }
  return made;
}

/** The schemas of a card's tools are this far down: `capabilities.extensions[0].params.tools.x`. */
const deepestPart = 6;

/** Canonical JSON, part by part, each part made once. Spec: RFC 8785 §3.2.3 (order of members) */
function* canonicalText(value: Json, texts: CanonicalTexts, depth = 0): Sliced<string> {
  const isPart = typeof value === 'object' && value !== null;
  const known = isPart ? texts.get(value) : undefined;
  if (known !== undefined) return known;
  let text: string;
  if (!isPart || depth === deepestPart) {
    text = canonicalize(value) ?? 'null';
    yield text.length;
  } else if (Array.isArray(value)) {
    const parts: string[] = [];
    for (const part of value) parts.push(yield* canonicalText(part, texts, depth + 1));
    text = `[${parts.join(',')}]`;
  } else {
    const parts: string[] = [];
    for (const [name, member] of Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      if (member === undefined) continue;
      parts.push(`${canonicalize(name)}:${yield* canonicalText(member, texts, depth + 1)}`);
    }
    text = `{${parts.join(',')}}`;
  }
  if (isPart) texts.set(value, text);
  return text;
}

/**
 * A card without the default values that the schema lets be left out.
 * Spec: A2A 1.0 §8.4.1 (required members stay, `optional` ones stay where they are set)
 */
export function withoutDefaults(card: JsonObject, unknown?: 'known members only'): JsonObject {
  return reduce(card, 'AgentCard', unknown !== undefined);
}

// What changes nothing gives back what it was given, so that equal forms are equal parts.

function reduce(value: JsonObject, message: Message, knownOnly: boolean): JsonObject {
  const fields: Readonly<Record<string, Field>> = schema[message];
  return mapMembers(value, (member, name) => {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined) return knownOnly ? undefined : member;
    return isLeftOut(member, field) ? undefined : reduceMember(member, field, knownOnly);
  });
}

function reduceMember(member: Json, { of, map }: Field, knownOnly: boolean): Json {
  if (of === undefined) return member;
  const inner = (one: Json): Json =>
    isJsonObject(one) ? reduce(one, of as Message, knownOnly) : one;
  if (Array.isArray(member)) return mapElements(member, inner);
  if (!map || !isJsonObject(member)) return inner(member);
  return mapMembers(member, inner);
}

function mapMembers(
  value: JsonObject,
  change: (member: Json, name: string) => Json | undefined,
): JsonObject {
  let isChanged = false;
  const members = Object.entries(value).flatMap(([name, member]): [string, Json][] => {
    const changed = member === undefined ? undefined : change(member, name);
    isChanged ||= changed !== member;
    return changed === undefined ? [] : [[name, changed]];
  });
  return isChanged ? Object.fromEntries(members) : value;
}

function mapElements(list: readonly Json[], change: (one: Json) => Json | undefined): Json[] {
  const changed = list.map(change);
  if (changed.every((one, at) => one === list[at])) return list as Json[];
  return changed.filter((one) => one !== undefined);
}

function isLeftOut(member: Json, { presence }: Field): boolean {
  if (presence === 'required') return false;
  // In protobuf's JSON null is a member that was not set.
  if (presence === 'explicit') return member === null;
  return (
    member === null ||
    member === '' ||
    member === false ||
    member === 0 ||
    (typeof member === 'object' && Object.keys(member).length === 0)
  );
}

/** What is left without empty strings, lists, objects and nulls; undefined when nothing is. */
function withoutEmpties(value: Json): Json | undefined {
  if (value === '' || value === null || value === undefined) return undefined;
  if (Array.isArray(value)) {
    const kept = mapElements(value, withoutEmpties);
    return kept.length > 0 ? kept : undefined;
  }
  if (!isJsonObject(value)) return value;
  const kept = mapMembers(value, withoutEmpties);
  return Object.keys(kept).length > 0 ? kept : undefined;
}

function isJsonObject(value: Json): value is JsonObject {
  return isObject(value);
}

/** `explicit`: `optional`, a message or a choice of several, where unset and empty differ. */
type Presence = 'required' | 'explicit' | 'implicit';

interface Field {
  readonly presence: Presence;
  /** The message that the member, its elements or its entries hold. */
  readonly of?: string;
  readonly map?: true;
}

const required = { presence: 'required' } as const;
const explicit = { presence: 'explicit' } as const;
const implicit = { presence: 'implicit' } as const;

/** The members of a card and of all that it holds. Spec: A2A 1.0 §4.4, §4.5 (a2a.proto) */
const schema = {
  AgentCard: {
    name: required,
    description: required,
    supportedInterfaces: { ...required, of: 'AgentInterface' },
    provider: { ...explicit, of: 'AgentProvider' },
    version: required,
    documentationUrl: explicit,
    capabilities: { ...required, of: 'AgentCapabilities' },
    securitySchemes: { ...implicit, of: 'SecurityScheme', map: true },
    securityRequirements: { ...implicit, of: 'SecurityRequirement' },
    defaultInputModes: required,
    defaultOutputModes: required,
    skills: { ...required, of: 'AgentSkill' },
    iconUrl: explicit,
  },
  AgentInterface: {
    url: required,
    protocolBinding: required,
    tenant: implicit,
    protocolVersion: required,
  },
  AgentProvider: { url: required, organization: required },
  AgentCapabilities: {
    streaming: explicit,
    pushNotifications: explicit,
    extensions: { ...implicit, of: 'AgentExtension' },
    extendedAgentCard: explicit,
  },
  AgentExtension: { uri: implicit, description: implicit, required: implicit, params: explicit },
  AgentSkill: {
    id: required,
    name: required,
    description: required,
    tags: required,
    examples: implicit,
    inputModes: implicit,
    outputModes: implicit,
    securityRequirements: { ...implicit, of: 'SecurityRequirement' },
  },
  SecurityRequirement: { schemes: { ...implicit, of: 'StringList', map: true } },
  StringList: { list: implicit },
  SecurityScheme: {
    apiKeySecurityScheme: { ...explicit, of: 'APIKeySecurityScheme' },
    httpAuthSecurityScheme: { ...explicit, of: 'HTTPAuthSecurityScheme' },
    oauth2SecurityScheme: { ...explicit, of: 'OAuth2SecurityScheme' },
    openIdConnectSecurityScheme: { ...explicit, of: 'OpenIdConnectSecurityScheme' },
    mtlsSecurityScheme: { ...explicit, of: 'MutualTlsSecurityScheme' },
  },
  APIKeySecurityScheme: { description: implicit, location: required, name: required },
  HTTPAuthSecurityScheme: { description: implicit, scheme: required, bearerFormat: implicit },
  OAuth2SecurityScheme: {
    description: implicit,
    flows: { ...required, of: 'OAuthFlows' },
    oauth2MetadataUrl: implicit,
  },
  OpenIdConnectSecurityScheme: { description: implicit, openIdConnectUrl: required },
  MutualTlsSecurityScheme: { description: implicit },
  OAuthFlows: {
    authorizationCode: { ...explicit, of: 'AuthorizationCodeOAuthFlow' },
    clientCredentials: { ...explicit, of: 'ClientCredentialsOAuthFlow' },
    implicit: { ...explicit, of: 'ImplicitOAuthFlow' },
    password: { ...explicit, of: 'PasswordOAuthFlow' },
    deviceCode: { ...explicit, of: 'DeviceCodeOAuthFlow' },
  },
  AuthorizationCodeOAuthFlow: {
    authorizationUrl: required,
    tokenUrl: required,
    refreshUrl: implicit,
    scopes: required,
    pkceRequired: implicit,
  },
  ClientCredentialsOAuthFlow: { tokenUrl: required, refreshUrl: implicit, scopes: required },
  ImplicitOAuthFlow: { authorizationUrl: implicit, refreshUrl: implicit, scopes: implicit },
  PasswordOAuthFlow: { tokenUrl: implicit, refreshUrl: implicit, scopes: implicit },
  DeviceCodeOAuthFlow: {
    deviceAuthorizationUrl: required,
    tokenUrl: required,
    refreshUrl: implicit,
    scopes: required,
  },
} as const satisfies Record<string, Readonly<Record<string, Field>>>;

type Message = keyof typeof schema;
