import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/**
 * The import rules of the architecture, derived from the source text alone. dependency-cruiser
 * checks the same rules on its own graph; two readers that share no code rarely share a blind spot.
 */

const root = fileURLToPath(new URL('..', import.meta.url));

interface ImportStatement {
  readonly target: string;
  readonly typeOnly: boolean;
}

interface SourceFile {
  readonly path: string;
  readonly folder: string;
  readonly text: string;
  readonly imports: readonly ImportStatement[];
}

/** The tier of each folder: a folder imports itself and lower tiers only. */
const tiers: Record<string, number> = {
  model: 0,
  ports: 0.5,
  translate: 1,
  policy: 1.5,
  engine: 2,
  discovery: 2,
  auth: 2,
  switchboard: 2,
  push: 2,
  a2a: 3,
  mcp: 3,
  admin: 3,
};

/** Adapters see the vocabulary, never the engine or a face; only the composition root sees them. */
const adapters = new Set(['store', 'peers']);
const leaves = new Set(['config', 'observe']);
/** A configuration is checked in the words of what it sets; nobody but the root sees it. */
const wordsOfConfig = new Set(['model', 'translate', 'policy']);

/** For other programs: they stand on the vocabulary alone, and the gateway does not use them. */
const libraries = new Set(['borrower', 'lender']);

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
}

function importsOf(text: string): ImportStatement[] {
  const found: ImportStatement[] = [];
  const statement = /^\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?['"]([^'"]+)['"]/gm;
  for (const [, type, target] of text.matchAll(statement)) {
    if (target !== undefined) found.push({ target, typeOnly: type !== undefined });
  }
  for (const [, target] of text.matchAll(/\b(?:import|require)\(\s*['"]([^'"]+)['"]/g)) {
    if (target !== undefined) found.push({ target, typeOnly: false });
  }
  return found;
}

function readSources(): SourceFile[] {
  return readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .filter((entry) => !entry.name.endsWith('.test.ts'))
    .map((entry) => {
      const file = join(entry.parentPath, entry.name);
      const path = relative(root, file).split(sep).join('/');
      const text = withoutComments(readFileSync(file, 'utf8'));
      const segments = path.split('/');
      const folder = segments.length > 2 ? (segments[1] ?? '') : '';
      return { path, folder, text, imports: importsOf(text) };
    });
}

const sources = readSources();
const byPath = new Map(sources.map((source) => [source.path, source]));

function resolved(source: SourceFile, target: string): string | undefined {
  return target.startsWith('.')
    ? join(dirname(source.path), target).split(sep).join('/')
    : undefined;
}

function folderOf(path: string): string {
  return /^src\/([^/]+)\//.exec(path)?.[1] ?? '';
}

function mayImport(from: string, to: string): boolean {
  // The command of whoever lends is a program of its own.
  if (libraries.has(to)) return from === to || (from === '' && to === 'lender');
  if (from === 'lender') return from === to || to === 'model';
  if (libraries.has(from)) return from === to || to === 'model' || to === 'translate';
  if (from === to || to === 'observe') return from !== 'model' || from === to;
  if (from === '') return true;
  if (from === 'config') return wordsOfConfig.has(to);
  if (leaves.has(from) || leaves.has(to) || adapters.has(to)) return false;
  const target = tiers[to];
  if (target === undefined) return false;
  if (adapters.has(from)) return target <= 1;
  const own = tiers[from];
  return own !== undefined && target < own;
}

function isSdk(target: string): boolean {
  return target.startsWith('@modelcontextprotocol/') || target.startsWith('@a2a-js/');
}

function isPackage(target: string, name: string): boolean {
  return target === name || target.startsWith(`${name}/`);
}

/** Every import for which `broken` says why it is not allowed. */
function violations(
  broken: (source: SourceFile, statement: ImportStatement) => string | undefined,
): string[] {
  return sources.flatMap((source) =>
    source.imports.flatMap((statement) => {
      const reason = broken(source, statement);
      return reason === undefined ? [] : [`${source.path} → ${statement.target}: ${reason}`];
    }),
  );
}

function reachableFrom(start: string): Set<string> {
  const seen = new Set<string>();
  const queue = [start];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const source = byPath.get(path);
    if (seen.has(path) || source === undefined) continue;
    seen.add(path);
    for (const { target } of source.imports) {
      const next = resolved(source, target);
      if (next !== undefined) queue.push(next);
    }
  }
  return seen;
}

function findCycle(): string[] | undefined {
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    const source = byPath.get(path);
    if (done.has(path) || source === undefined) return undefined;
    for (const { target } of source.imports) {
      const next = resolved(source, target);
      const cycle = next === undefined ? undefined : visit(next, [...trail, path]);
      if (cycle !== undefined) return cycle;
    }
    done.add(path);
    return undefined;
  };
  for (const { path } of sources) {
    const cycle = visit(path, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

describe('the architecture', () => {
  it('is read from real sources with real imports', () => {
    expect(sources.length).toBeGreaterThan(40);
    expect(sources.flatMap((source) => source.imports).length).toBeGreaterThan(100);
    expect(importsOf("import type { A } from './a.ts';\nimport {\n  b,\n} from 'b';")).toEqual([
      { target: './a.ts', typeOnly: true },
      { target: 'b', typeOnly: false },
    ]);
    expect(importsOf("export { c } from './c.ts';\nconst d = await import('./d.ts');")).toEqual([
      { target: './c.ts', typeOnly: false },
      { target: './d.ts', typeOnly: false },
    ]);
  });

  it('has only known folders', () => {
    const known = new Set(['', ...Object.keys(tiers), ...adapters, ...leaves, ...libraries]);
    expect(
      [...new Set(sources.map((source) => source.folder))].filter((f) => !known.has(f)),
    ).toEqual([]);
  });

  it('lets a folder import only from those above it', () => {
    expect(
      violations((source, { target }) => {
        const path = resolved(source, target);
        if (path === undefined) return undefined;
        if (!path.startsWith('src/')) return 'leaves src';
        const to = folderOf(path);
        if (to === '' && source.folder !== '') return 'imports the composition root';
        return mayImport(source.folder, to) ? undefined : 'against the direction';
      }),
    ).toEqual([]);
  });

  it('has no import cycles', () => {
    expect(findCycle()).toBeUndefined();
  });

  it('imports only files that exist, with their extension', () => {
    expect(
      violations((source, { target }) => {
        const path = resolved(source, target);
        return path === undefined || byPath.has(path) ? undefined : 'no such source file';
      }),
    ).toEqual([]);
  });

  it('uses express in routers and the composition root only', () => {
    expect(
      violations((source, { target }) =>
        isPackage(target, 'express') &&
        source.path !== 'src/main.ts' &&
        !/router[^/]*\.ts$/.test(source.path)
          ? 'not a router'
          : undefined,
      ),
    ).toEqual([]);
  });

  it('keeps SDK runtimes in the faces, connectors and libraries, and their types behind model/', () => {
    const edges = new Set(['a2a', 'mcp', 'peers', ...libraries]);
    expect(
      violations((source, { target, typeOnly }) => {
        if (!isSdk(target) || edges.has(source.folder)) return undefined;
        if (source.folder !== 'model') return 'SDK outside the edges';
        return typeOnly ? undefined : 'runtime import in model/';
      }),
    ).toEqual([]);
  });

  it('keeps I/O, clock and randomness out of translate/', () => {
    const pure = new Set(['node:buffer', 'node:util']);
    const io = ['undici', 'express', 'kysely', 'pino', 'prom-client'];
    expect(
      violations(({ folder }, { target }) => {
        if (folder !== 'translate') return undefined;
        if (target.startsWith('node:') && !pure.has(target)) return 'node built-in';
        return io.some((name) => isPackage(target, name)) ? 'package with I/O' : undefined;
      }),
    ).toEqual([]);
    const impure =
      /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\brandomUUID\b|\bgetRandomValues\b|\bfetch\(|\bprocess\.|\bset(?:Timeout|Interval)\(|\bperformance\./;
    const translate = sources.filter(({ folder }) => folder === 'translate');
    expect(translate.filter(({ text }) => impure.test(text)).map(({ path }) => path)).toEqual([]);
  });

  it('sends outbound requests through the egress client only', () => {
    const guarded = (path: string) =>
      path.startsWith('src/peers/egress/') || path === 'src/peers/guarded-fetch.ts';
    expect(
      violations(({ path }, { target, typeOnly }) =>
        isPackage(target, 'undici') && !typeOnly && !guarded(path) ? 'unguarded client' : undefined,
      ),
    ).toEqual([]);
    // A library runs in its user's process, which has a way out of its own and passes it in.
    const usersOwn = (path: string) => libraries.has(folderOf(path));
    const globalFetch = /(?<![.\w])fetch\(|\bglobalThis\.fetch\b|\bhttps?\.(?:request|get)\(/;
    const named = /import \{[^}]*\b(?:request|get)\b[^}]*\} from 'node:https?'|\bnew WebSocket\(/;
    const callers = sources.filter(({ text }) => globalFetch.test(text) || named.test(text));
    expect(
      callers.map(({ path }) => path).filter((path) => !guarded(path) && !usersOwn(path)),
    ).toEqual(['src/admin-client.ts']);
  });

  it('keeps the gateway out of the libraries for others', () => {
    const folders = new Set([...reachableFrom('src/borrower/borrower.ts')].map(folderOf));
    expect([...folders].toSorted()).toEqual(['borrower', 'model', 'translate']);
  });

  it('starts no child process from anything that serve can reach', () => {
    const starters = new Set(['child_process', 'cluster', 'cross-spawn']);
    const reachable = reachableFrom('src/cli.ts');
    expect(reachable.has('src/main.ts')).toBe(true);
    expect(reachable.has('src/child-server.ts')).toBe(false);
    expect(reachableFrom('src/lend.ts').has('src/child-server.ts')).toBe(true);
    expect(
      violations(({ path }, { target }) => {
        if (!reachable.has(path)) return undefined;
        if (starters.has(target.replace(/^node:/, ''))) return 'starts processes';
        return isSdk(target) && target.endsWith('/stdio') ? 'stdio transport' : undefined;
      }),
    ).toEqual([]);
  });

  it('exports by name and keeps no mutable state in modules', () => {
    const defaults = sources.filter(({ text }) => /^export default\b/m.test(text));
    expect(defaults.map(({ path }) => path)).toEqual([]);
    const mutable = sources.filter(({ text }) => /^(?:export )?(?:let|var)\s/m.test(text));
    expect(mutable.map(({ path }) => path)).toEqual([]);
  });
});
