import { pathText, type Mistake } from './mistake.ts';

/** Where `${env:…}` and `${file:…}` come from. */
export interface PlaceholderSource {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readFile: (path: string) => string;
}

/**
 * Replaces `${env:NAME}` and `${file:PATH}` in every string of a parsed document. What is put in is
 * not searched again. A file's last line break is dropped, as `$(cat FILE)` would.
 */
export function substitute(
  document: unknown,
  source: PlaceholderSource,
): { value: unknown; mistakes: Mistake[] } {
  const mistakes: Mistake[] = [];

  const fill = (text: string, path: readonly PropertyKey[]): string =>
    text.replace(/\$\{([^}]*)\}/g, (_whole, inner: string) => {
      const [, kind, name] = /^(env|file):(.+)$/.exec(inner) ?? [];
      const found =
        kind === undefined || name === undefined ? unknownKind : read(kind, name, source);
      if ('text' in found) return found.text;
      mistakes.push({ path: pathText(path), message: found.mistake });
      return '';
    });

  const walk = (value: unknown, path: readonly PropertyKey[]): unknown => {
    if (typeof value === 'string') return value.includes('${') ? fill(value, path) : value;
    if (Array.isArray(value)) return value.map((item, index) => walk(item, [...path, index]));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, walk(item, [...path, key])]),
    );
  };

  return { value: walk(document, []), mistakes };
}

type Found = { readonly text: string } | { readonly mistake: string };

const unknownKind: Found = { mistake: 'expected ${env:NAME} or ${file:PATH} after "${"' };

function read(kind: string, name: string, source: PlaceholderSource): Found {
  if (kind === 'env') {
    const text = source.env[name];
    return text === undefined ? { mistake: `environment variable ${name} is not set` } : { text };
  }
  try {
    return { text: source.readFile(name).replace(/\r?\n$/, '') };
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    return { mistake: `file ${name} cannot be read (${reason})` };
  }
}
