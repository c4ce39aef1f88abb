/** Names of members whose values never reach a log, compared without case, "-" and "_". */
const secretNames = new Set([
  'authorization',
  'proxyauthorization',
  'cookie',
  'setcookie',
  'bearer',
  'passphrase',
  'privatekey',
  'credentials',
  'dpop',
  'codeverifier',
  'requeststate',
  'leaseref',
  'mcpsessionid',
]);

/** Endings that say the same of any name: `vaultToken`, `client_secret`. */
const secretEnding = /(?:token|secret|password|assertion|apikey)$/;

/** Protocol words that end like a secret and are none. */
const harmless = new Set(['progresstoken', 'nextpagetoken', 'pagetoken']);

const maxDepth = 10;
const maxItems = 200;
const maxText = 8192;

/** What is written in place of a secret. */
export const redacted = '[redacted]';

/**
 * A copy of a value that is fit for a log: secrets replaced wherever they sit, errors as objects
 * with their causes, bytes as their length, cycles and depth cut.
 */
export function redactValue(value: unknown, seen: readonly object[] = []): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string') return shortText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (seen.includes(value)) return '[circular]';
  if (seen.length >= maxDepth) return '[deep]';
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof URL) return value.href;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  const trail = [...seen, value];
  if (value instanceof Error) return redactError(value, trail);
  if (Array.isArray(value)) {
    return value.slice(0, maxItems).map((item) => redactValue(item, trail));
  }
  const entries = isIterableOfPairs(value) ? [...value] : Object.entries(value);
  return Object.fromEntries(
    entries.slice(0, maxItems).map(([name, item]) => [name, redactMember(name, item, trail)]),
  );
}

/** The top level of a log object. */
export function redactFields(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, redactMember(name, value, [])]),
  );
}

/** Parameters of OAuth that are secrets, whether a URL, a form or a JSON body has them. */
const secretParameter =
  '(?:access|id|refresh|subject|actor|logout)_token|id_token_hint|client_(?:secret|assertion)|assertion|code_verifier|device_code|password';

const inUrlOrForm = new RegExp(
  `([?&\\s"'](?:${secretParameter}|token|code|state|secret|api_key|apikey|key|sig|signature)=)[^&\\s"'#\\\\]+`,
  'gi',
);
/** In a log line a peer's JSON is text, and its quotes are escaped. */
const inJson = new RegExp(
  `("(?:${secretParameter})\\\\{0,8}"\\s{0,8}:\\s{0,8}\\\\{0,8}")[^"\\\\]+`,
  'gi',
);

/** Removes secrets that sit inside texts: bearer tokens, JWTs, and secret parameters. */
export function redactText(text: string): string {
  return withoutTokens(text)
    .replace(/\b(Bearer|DPoP|Basic)(\s+|%20|\+)[\w.~+/-]{6,}=*/gi, `$1 ${redacted}`)
    .replace(inUrlOrForm, `$1${redacted}`)
    .replace(inJson, `$1${redacted}`)
    .replace(/\b(https?:\/\/)[^\s/"'@\\]+@/gi, `$1${redacted}@`);
}

/** What a peer or a client wrote can be long; a log line is not. */
function shortText(text: string): string {
  return text.length <= maxText ? text : `${text.slice(0, maxText)}… (${text.length} characters)`;
}

/** Removes JWTs. In two steps, because one pattern takes quadratic time on a text made for it. */
function withoutTokens(text: string): string {
  if (!text.includes('eyJ')) return text;
  return text.replace(/[\w.-]+/g, (run) => {
    if (!run.includes('eyJ')) return run;
    const segments = run.split('.');
    const kept: string[] = [];
    for (let at = 0; at < segments.length; at += 1) {
      const segment = segments[at] ?? '';
      const start = segment.search(/\beyJ/);
      const isToken = start !== -1 && segment.length >= start + 8 && segments[at + 1];
      if (!isToken || segments.length < at + 3) {
        kept.push(segment);
        continue;
      }
      kept.push(segment.slice(0, start) + redacted);
      at += 2;
    }
    return kept.join('.');
  });
}

function redactMember(name: string, value: unknown, trail: readonly object[]): unknown {
  if (value !== undefined && value !== null && isSecretName(name)) return redacted;
  return redactValue(value, trail);
}

function isSecretName(name: string): boolean {
  const plain = name.toLowerCase().replace(/[-_]/g, '');
  return secretNames.has(plain) || (secretEnding.test(plain) && !harmless.has(plain));
}

function redactError(error: Error, trail: readonly object[]): Record<string, unknown> {
  const own = Object.fromEntries(
    Object.entries(error).map(([name, item]) => [name, redactMember(name, item, trail)]),
  );
  return {
    type: error.name,
    message: shortText(error.message),
    ...own,
    stack: error.stack === undefined ? undefined : shortText(error.stack),
    ...(error.cause !== undefined && { cause: redactValue(error.cause, trail) }),
  };
}

function isIterableOfPairs(value: object): value is Iterable<[string, unknown]> {
  return value instanceof Headers || value instanceof Map || value instanceof URLSearchParams;
}
