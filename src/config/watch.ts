import { watch } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { LoadResult } from './load.ts';
import type { Mistake } from './mistake.ts';
import type { Config } from './schema.ts';

/** Where the reload signal comes from: `process`, or an emitter in a test. */
export interface SignalSource {
  on(signal: 'SIGHUP', listener: () => void): unknown;
  off(signal: 'SIGHUP', listener: () => void): unknown;
}

/** What `watchConfig` needs. */
export interface WatchOptions {
  readonly file: string;
  /** The configuration in force. */
  readonly current: Config;
  /** Reads the file anew. */
  readonly load: () => LoadResult;
  /** Puts a changed configuration in force. When it rejects, the old one stays. */
  readonly apply: (config: Config, previous: Config) => Promise<void> | void;
  /** Hears of each outcome; `unchanged` says that the file means what it meant before. */
  readonly report: (outcome: ReloadOutcome) => void;
  readonly signals: SignalSource;
  /** Quiet time after a change of the file, in ms; editors write in several steps. Default 100. */
  readonly settleMs?: number;
}

/** What became of a reload. */
export type ReloadOutcome =
  | { readonly kind: 'applied'; readonly config: Config }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'rejected'; readonly mistakes: readonly Mistake[] };

/** A running watch. */
export interface ConfigWatch {
  /** Reloads now; resolves when the outcome has been reported. */
  reload(): Promise<ReloadOutcome>;
  close(): void;
}

/**
 * Reloads the configuration on SIGHUP and when its file changes. A bad file keeps the old
 * configuration and says why. Reloads run one after the other.
 */
export function watchConfig(options: WatchOptions): ConfigWatch {
  let current = options.current;
  let queue: Promise<unknown> = Promise.resolve();
  let settle: NodeJS.Timeout | undefined;

  const reloadOnce = async (): Promise<ReloadOutcome> => {
    const outcome = await attempt();
    if (outcome.kind === 'applied') current = outcome.config;
    options.report(outcome);
    return outcome;
  };

  const attempt = async (): Promise<ReloadOutcome> => {
    const result = options.load();
    if (!result.ok) return { kind: 'rejected', mistakes: result.mistakes };
    if (JSON.stringify(result.config) === JSON.stringify(current)) return { kind: 'unchanged' };
    const fixed = fixedMistakes(current, result.config);
    if (fixed.length > 0) return { kind: 'rejected', mistakes: fixed };
    try {
      await options.apply(result.config, current);
    } catch (error) {
      const message = error instanceof Error ? error.message : 'could not be applied';
      return { kind: 'rejected', mistakes: [{ path: '', message }] };
    }
    return { kind: 'applied', config: result.config };
  };

  const reload = (): Promise<ReloadOutcome> => {
    const next = queue.then(reloadOnce);
    queue = next.catch(() => {});
    return next;
  };
  const onSignal = () => void reload();
  const file = resolve(options.file);
  // The folder is watched, not the file: editors and volume mounts replace the file by renaming.
  const watcher = watch(dirname(file), { persistent: false }, (_event, name) => {
    if (name !== null && name !== basename(file) && !name.startsWith('..')) return;
    clearTimeout(settle);
    settle = setTimeout(onSignal, options.settleMs ?? 100);
    settle.unref();
  });
  watcher.on('error', () => watcher.close());
  options.signals.on('SIGHUP', onSignal);

  return {
    reload,
    close() {
      clearTimeout(settle);
      watcher.close();
      options.signals.off('SIGHUP', onSignal);
    },
  };
}

/** What a running process takes up; everything else is read once, at its start. */
const reloadable: ReadonlySet<string> = new Set([
  'peers',
  'organizations',
  'connections',
  'egress',
  'lending',
  'log',
]);

function fixedMistakes(before: Config, after: Config): Mistake[] {
  const was = settingsOf(before);
  const is = settingsOf(after);
  return [...new Set([...was.keys(), ...is.keys()])]
    .filter((path) => was.get(path) !== is.get(path))
    .map((path) => ({
      path,
      message: 'changes only with a restart; the old configuration stays',
    }));
}

/** Issuers and clients come and go; where people log in stays. */
function fixedAuth({ issuers, clients: _reloaded, ...rest }: Config['auth']): object {
  const logins = issuers
    .filter(({ login }) => login !== undefined)
    .map(({ issuer, organization, login }) => ({ issuer, organization, login }));
  return { ...rest, issuers: logins };
}

/** The settings that stay, each as JSON under its path of two words. */
function settingsOf(config: Config): Map<string, string | undefined> {
  const fixed = { ...config, auth: fixedAuth(config.auth) };
  const sections = Object.entries(fixed).filter(([section]) => !reloadable.has(section));
  return new Map(
    sections.flatMap(([section, settings]) =>
      Object.entries((settings ?? {}) as Record<string, unknown>).map(
        ([name, value]): [string, string | undefined] => [
          `${section}.${name}`,
          JSON.stringify(value),
        ],
      ),
    ),
  );
}
