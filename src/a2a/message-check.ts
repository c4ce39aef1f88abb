/**
 * Checks a SendMessage request as it came, before the SDK's codecs make defaults of what is missing
 * or wrong. Each dialect spells roles and parts in its own way; the rules are the same.
 *
 * Spec: A2A 1.0 §4.1.4 (Message), §4.1.6 (Part), §5.7 (required members)
 */
import { GatewayError } from '../model/errors.ts';
import { isObject } from '../model/json.ts';

/** The JSON forms of a message: 1.0 (both bindings), 0.3 JSON-RPC, 0.3 HTTP+JSON. */
export type MessageDialect = '1.0' | '0.3-rpc' | '0.3-rest';

interface Spelling {
  role: readonly unknown[];
  parts: string;
  checkPart(part: Record<string, unknown>, at: string): void;
}

const spellings: Record<MessageDialect, Spelling> = {
  '1.0': { role: ['ROLE_USER', 1], parts: 'parts', checkPart },
  '0.3-rpc': { role: ['user'], parts: 'parts', checkPart: checkLegacyPart },
  '0.3-rest': { role: ['ROLE_USER', 1], parts: 'content', checkPart: checkLegacyRestPart },
};

/** Throws `invalid-params` that names the first field that is missing or wrong. */
export function checkSendRequest(params: unknown, dialect: MessageDialect): void {
  if (!isObject(params)) throw wrong('message', 'is required');
  const message = params['message'] ?? (dialect === '0.3-rest' ? params['request'] : undefined);
  if (message === undefined || message === null) throw wrong('message', 'is required');
  if (!isObject(message)) throw wrong('message', 'must be an object');
  const spelling = spellings[dialect];
  const messageId = message['messageId'] ?? message['message_id'];
  if (typeof messageId !== 'string' || messageId === '') {
    throw wrong('message.messageId', 'must be a string that is not empty');
  }
  if (!spelling.role.includes(message['role'])) {
    throw wrong('message.role', `must be ${JSON.stringify(spelling.role[0])}`);
  }
  checkParts(message[spelling.parts], spelling);
  checkMembers(message);
  checkConfiguration(params['configuration']);
  if (!isObject(params['metadata'] ?? {})) throw wrong('metadata', 'must be an object');
}

function checkParts(parts: unknown, spelling: Spelling): void {
  const field = `message.${spelling.parts}`;
  if (!Array.isArray(parts) || parts.length === 0) {
    throw wrong(field, 'must be an array with at least one part');
  }
  parts.forEach((part: unknown, at) => {
    if (!isObject(part)) throw wrong(`${field}[${at}]`, 'must be an object');
    spelling.checkPart(part, `${field}[${at}]`);
    if (!isObject(part['metadata'] ?? {}))
      throw wrong(`${field}[${at}].metadata`, 'must be an object');
  });
}

function checkMembers(message: Record<string, unknown>): void {
  for (const name of ['contextId', 'taskId']) {
    if (typeof (message[name] ?? '') !== 'string')
      throw wrong(`message.${name}`, 'must be a string');
  }
  for (const name of ['extensions', 'referenceTaskIds']) {
    if (!areStrings(message[name] ?? [])) {
      throw wrong(`message.${name}`, 'must be an array of strings');
    }
  }
  if (!isObject(message['metadata'] ?? {})) throw wrong('message.metadata', 'must be an object');
}

function checkConfiguration(configuration: unknown): void {
  if (configuration === undefined || configuration === null) return;
  if (!isObject(configuration)) throw wrong('configuration', 'must be an object');
  if (!areStrings(configuration['acceptedOutputModes'] ?? [])) {
    throw wrong('configuration.acceptedOutputModes', 'must be an array of strings');
  }
  for (const name of ['returnImmediately', 'blocking']) {
    if (typeof (configuration[name] ?? false) !== 'boolean') {
      throw wrong(`configuration.${name}`, 'must be true or false');
    }
  }
}

/** Spec: A2A 1.0 §4.1.6 (exactly one of text, raw, url, data) */
function checkPart(part: Record<string, unknown>, at: string): void {
  const present = ['text', 'raw', 'url', 'data'].filter((name) => part[name] !== undefined);
  const [kind] = present;
  if (kind === undefined || present.length > 1) {
    throw wrong(at, 'must have exactly one of text, raw, url and data');
  }
  if (kind === 'data') return;
  const value = part[kind];
  if (typeof value !== 'string') throw wrong(`${at}.${kind}`, 'must be a string');
  if (kind === 'raw' && !isBase64(value)) throw wrong(`${at}.raw`, 'must be base64');
}

/** Spec: A2A 0.3 §6.5 (parts by kind) */
function checkLegacyPart(part: Record<string, unknown>, at: string): void {
  switch (part['kind']) {
    case 'text':
      if (typeof part['text'] !== 'string') throw wrong(`${at}.text`, 'must be a string');
      return;
    case 'data':
      if (!isObject(part['data'])) throw wrong(`${at}.data`, 'must be an object');
      return;
    case 'file': {
      const { file } = part;
      if (!isObject(file)) throw wrong(`${at}.file`, 'must be an object');
      const { bytes, uri } = file;
      if ((bytes === undefined) === (uri === undefined)) {
        throw wrong(`${at}.file`, 'must have exactly one of bytes and uri');
      }
      if (typeof (bytes ?? uri) !== 'string') throw wrong(`${at}.file`, 'must hold a string');
      if (typeof bytes === 'string' && !isBase64(bytes)) {
        throw wrong(`${at}.file.bytes`, 'must be base64');
      }
      return;
    }
    default:
      throw wrong(`${at}.kind`, 'must be "text", "file" or "data"');
  }
}

function checkLegacyRestPart(part: Record<string, unknown>, at: string): void {
  const present = ['text', 'file', 'data'].filter((name) => part[name] !== undefined);
  const [kind] = present;
  if (kind === undefined || present.length > 1) {
    throw wrong(at, 'must have exactly one of text, file and data');
  }
  const value = part[kind];
  if (kind === 'text' ? typeof value !== 'string' : !isObject(value)) {
    throw wrong(`${at}.${kind}`, kind === 'text' ? 'must be a string' : 'must be an object');
  }
}

/** Standard or URL-safe base64, padded or not. */
function isBase64(text: string): boolean {
  return /^[A-Za-z0-9+/_-]*={0,2}$/.test(text);
}

function areStrings(value: unknown): boolean {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

function wrong(field: string, what: string): GatewayError {
  return new GatewayError('invalid-params', `${field} ${what}.`, { facts: { field } });
}
