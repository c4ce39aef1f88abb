/**
 * Secrets of the configuration that are none: empty, because a variable is set to nothing, or still
 * what an example had in their place. Looked for by the names of settings, whatever section they
 * are in. Messages never repeat a value.
 */
import { pathText, type Mistake } from './mistake.ts';

/** Names whose values are secrets, without case, "-" and "_". */
const secretName = /(?:token|secret|password|passphrase|apikey|authorization)$/;

/** What stands where a secret was to be put in. */
const placeholder =
  /^(?:(?:please)?(?:change|replace)(?:me|it|this)\w*|(?:your|my|the|top|some)(?:api|access|client|bearer)?(?:token|secret|password|key)\w*|(?:default|test|demo)?(?:token|secret|password|passw0rd|apikey)\d*|admin|default|dummy|example|insecure|none|null|placeholder|tbd|todo|undefined|unset|x{3,}|\*{3,}|\.{3,}|<.*>|\[.*\]|\{.*\})$/i;

/** Further settings that hold secrets: private keys. */
const keySetting = /^(?:idp)?key$/i;

/** The mistakes in a parsed document, placeholders replaced. */
export function secretMistakes(document: unknown): Mistake[] {
  return mistakesIn(document, flawOf);
}

/**
 * Secrets that stand in the document itself, as it was written: copies of it lie in repositories
 * and backups. They belong into the environment or files of their own.
 */
export function inlineSecretMistakes(written: unknown): Mistake[] {
  return mistakesIn(written, (name, value) =>
    (isSecret(name) || keySetting.test(name)) && !/\$\{(?:env|file):/.test(value)
      ? 'stands in this file; put it into ${env:NAME} or ${file:PATH}'
      : undefined,
  );
}

function mistakesIn(
  document: unknown,
  flaw: (name: string, value: string) => string | undefined,
): Mistake[] {
  const mistakes: Mistake[] = [];
  const walk = (value: unknown, path: readonly PropertyKey[]): void => {
    if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) walk(item, [...path, index]);
      return;
    }
    if (typeof value !== 'object' || value === null) return;
    for (const [name, item] of Object.entries(value)) {
      const at = [...path, name];
      const message = typeof item === 'string' ? flaw(name, item) : undefined;
      if (message === undefined) walk(item, at);
      else mistakes.push({ path: pathText(at), message });
    }
  };
  walk(document, []);
  return mistakes;
}

function isSecret(name: string): boolean {
  return secretName.test(name.toLowerCase().replace(/[-_]/g, ''));
}

function flawOf(name: string, value: string): string | undefined {
  if (!isSecret(name)) return undefined;
  const bare = value.replace(/^(?:bearer|basic)\s+/i, '').trim();
  if (bare === '') return 'is empty; put the secret there, for example with ${env:…} or ${file:…}';
  const words = /^[\w -]+$/.test(bare) ? bare.replace(/[-_ ]/g, '') : bare;
  if (placeholder.test(words)) return 'is the placeholder of an example; put the real secret there';
  return undefined;
}
