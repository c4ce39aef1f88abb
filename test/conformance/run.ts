/**
 * Runs `@modelcontextprotocol/conformance` against an MCP server and judges the outcome.
 *
 * How the tool names things:
 * - A *scenario* is a named test (`tools-call-image`); it emits *checks* with ids. A check's status
 *   is SUCCESS, FAILURE, WARNING (a SHOULD was missed), SKIPPED or INFO. Every scenario also emits
 *   `wire-schema-valid`: each message that it saw was valid under the revision's JSON Schema.
 * - A scenario belongs to the revisions in its window. The same name under two revisions is two
 *   tests: 2025-11-25 uses initialize and sessions, 2026-07-28 is stateless.
 *   `--suite all --spec-version V` selects the window; the default suite `active` would leave out
 *   the ones that the tool calls pending.
 * - Extension scenarios (`tasks-*`, `sep-2640-skills-*`) belong to no revision, so a filter by
 *   revision never selects them. They are run one by one with `--scenario`, and then speak
 *   2026-07-28.
 * - The frozen sets of `--requirements` are subsets of `--suite all` and are not used.
 *
 * The tool needs no network beyond the server under test. It exits non-zero for known failures too,
 * so the exit status is ignored and its `checks.json` files are read instead. A scenario that left
 * no file behind (it threw) counts as failed.
 *
 * As a program: `node test/conformance/run.ts --url URL [--tasks-url URL] [--spec-version V]…
 * [--expected FILE]`. Exits with 1 on a failure that is not in the list, or a listed one that
 * passes.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import { z } from 'zod';

/** A protocol revision that the tool can speak. */
export type SpecVersion = '2025-06-18' | '2025-11-25' | '2026-07-28';

/** The scenarios of the Tasks extension. */
export const TASK_SCENARIOS = [
  'tasks-lifecycle',
  'tasks-capability-negotiation',
  'tasks-wire-fields',
  'tasks-request-state-removal',
  'tasks-mrtr-input',
  'tasks-request-headers',
  'tasks-dispatch-and-envelope',
  'tasks-status-notifications',
  'tasks-required-task-error',
  'tasks-mrtr-composition',
] as const;

const checkSchema = z.object({
  id: z.string(),
  status: z.enum(['SUCCESS', 'FAILURE', 'WARNING', 'SKIPPED', 'INFO']),
  description: z.string().default(''),
  errorMessage: z.string().optional(),
});

/** One check of one scenario. */
export type ConformanceCheck = z.infer<typeof checkSchema>;

/** What one scenario found under one revision. */
export interface ScenarioResult {
  scenario: string;
  /** The revision spoken, or `extension`. */
  specVersion: SpecVersion | 'extension';
  checks: ConformanceCheck[];
}

/** What to run. */
export interface ConformanceOptions {
  url: string;
  /** Left out: the scenarios are extension scenarios. */
  specVersion?: SpecVersion;
  /** Left out: all of the revision. */
  scenarios?: readonly string[];
  /** For one run of the tool, in milliseconds. */
  timeoutMs?: number;
}

/** Runs scenarios against a server, in sequence, and returns what each found. */
export async function runConformance(options: ConformanceOptions): Promise<ScenarioResult[]> {
  const { url, specVersion, scenarios, timeoutMs = 180_000 } = options;
  const selections = selectionsOf(specVersion, scenarios);
  const results: ScenarioResult[] = [];
  for (const selection of selections) {
    const found = await runTool(['server', '--url', url, ...selection.args], timeoutMs);
    for (const name of selection.expected ?? found.announced) {
      const checks = found.checks.get(name) ?? [failedToRun(found.output)];
      results.push({ scenario: name, specVersion: specVersion ?? 'extension', checks });
    }
  }
  return results;
}

interface Selection {
  args: string[];
  /** The scenarios that must report; unknown beforehand for a whole suite. */
  expected?: string[];
}

function selectionsOf(
  specVersion: SpecVersion | undefined,
  scenarios: readonly string[] | undefined,
): Selection[] {
  const version = specVersion === undefined ? [] : ['--spec-version', specVersion];
  if (scenarios !== undefined) {
    return scenarios.map((name) => ({
      args: ['--scenario', name, ...version],
      expected: [name],
    }));
  }
  if (specVersion === undefined) throw new Error('Name a revision or the scenarios to run');
  return [{ args: ['--suite', 'all', ...version] }];
}

interface ToolRun {
  /** The scenarios that the tool said it would run. */
  announced: string[];
  checks: Map<string, ConformanceCheck[]>;
  output: string;
}

async function runTool(args: string[], timeoutMs: number): Promise<ToolRun> {
  const directory = await mkdtemp(join(tmpdir(), 'conformance-'));
  try {
    const output = await execute([...args, '--output-dir', directory], timeoutMs);
    const announced = [...output.matchAll(/^=== Running scenario: (\S+) ===$/gm)].map(
      ([, name]) => name ?? '',
    );
    return { announced, checks: await readChecks(directory), output };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Runs the tool to its end and returns what it wrote. */
export function execute(args: string[], timeoutMs: number): Promise<string> {
  const packageFile = createRequire(import.meta.url).resolve(
    '@modelcontextprotocol/conformance/package.json',
  );
  const program = join(dirname(packageFile), 'dist', 'index.js');
  return new Promise((resolve) => {
    const options = { timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 };
    execFile(process.execPath, [program, ...args], options, (error, stdout, stderr) => {
      const late = error?.killed === true ? `\nGave up after ${timeoutMs} ms` : '';
      resolve(`${stdout}\n${stderr}${late}`);
    });
  });
}

/** Result directories are called `server-<scenario>-<time>`. */
async function readChecks(directory: string): Promise<Map<string, ConformanceCheck[]>> {
  const found = new Map<string, ConformanceCheck[]>();
  for (const name of await readdir(directory)) {
    const scenario = /^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(name)?.[1];
    if (scenario === undefined) continue;
    const checks = await checksIn(join(directory, name));
    if (checks !== undefined) found.set(scenario, checks);
  }
  return found;
}

/** The checks that one run of a scenario left in its directory. */
export async function checksIn(directory: string): Promise<ConformanceCheck[] | undefined> {
  const text = await readFile(join(directory, 'checks.json'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : z.array(checkSchema).parse(JSON.parse(text));
}

function failedToRun(output: string): ConformanceCheck {
  return {
    id: 'scenario-ran',
    status: 'FAILURE',
    description: 'The scenario runs to its end',
    errorMessage: output.trim().split('\n').slice(-5).join(' | '),
  };
}

const expectedSchema = z.strictObject({ server: z.array(z.string()).nullish() });

/** How the results compare with the list of known failures. */
export interface Verdict {
  /** `<revision> <scenario>:<check>` with its message. */
  unexpected: string[];
  /** Listed entries under which nothing fails any more. */
  stale: string[];
}

/** Reads a list of known failures: YAML, `server:` with entries as {@link judge} takes them. */
export async function readExpectedFailures(file: string): Promise<string[]> {
  const config = expectedSchema.parse(parse(await readFile(file, 'utf8')) ?? {});
  return config.server ?? [];
}

/**
 * Compares failed checks with known ones. An entry is `<scenario>:<check>`, or
 * `<revision>/<scenario>:<check>` for one revision only. A warning is not a failure.
 */
export function judge(results: readonly ScenarioResult[], expected: readonly string[]): Verdict {
  const used = new Set<string>();
  const unexpected: string[] = [];
  for (const { scenario, specVersion, checks } of results) {
    for (const { id, status, description, errorMessage } of checks) {
      if (status !== 'FAILURE') continue;
      const names = [`${scenario}:${id}`, `${specVersion}/${scenario}:${id}`];
      const known = names.filter((name) => expected.includes(name));
      for (const name of known) used.add(name);
      if (known.length > 0) continue;
      unexpected.push(`${specVersion} ${scenario}:${id} ${errorMessage ?? description}`);
    }
  }
  return { unexpected, stale: expected.filter((entry) => !used.has(entry)) };
}

/** A line per scenario: revision, name and how many checks had which status. */
export function table(results: readonly ScenarioResult[]): string {
  const rows = results.map(({ specVersion, scenario, checks }) => {
    const count = (status: ConformanceCheck['status']): string =>
      String(checks.filter((check) => check.status === status).length);
    const mark = count('FAILURE') === '0' ? 'ok  ' : 'FAIL';
    const counts = [count('SUCCESS'), count('FAILURE'), count('WARNING'), count('SKIPPED')];
    const columns = counts.map((value) => value.padStart(8)).join('');
    return `${mark} ${specVersion.padEnd(11)} ${scenario.padEnd(48)}${columns}`;
  });
  const heads = ['passed', 'failed', 'warned', 'skipped'].map((head) => head.padStart(8)).join('');
  return [`     ${'revision'.padEnd(11)} ${'scenario'.padEnd(48)}${heads}`, ...rows].join('\n');
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      'tasks-url': { type: 'string' },
      'spec-version': { type: 'string', multiple: true },
      expected: { type: 'string', default: join(import.meta.dirname, 'expected-failures.yaml') },
    },
  });
  const results: ScenarioResult[] = [];
  if (values.url !== undefined) {
    for (const version of values['spec-version'] ?? ['2025-11-25', '2026-07-28']) {
      const specVersion = version as SpecVersion;
      results.push(...(await runConformance({ url: values.url, specVersion })));
    }
  }
  if (values['tasks-url'] !== undefined) {
    results.push(
      ...(await runConformance({ url: values['tasks-url'], scenarios: TASK_SCENARIOS })),
    );
  }
  const verdict = judge(results, await readExpectedFailures(values.expected));
  process.stdout.write(`${table(results)}\n`);
  for (const line of verdict.unexpected) process.stdout.write(`unexpected failure: ${line}\n`);
  for (const line of verdict.stale) process.stdout.write(`listed but passes: ${line}\n`);
  if (results.length === 0) process.stdout.write('nothing was run: give --url or --tasks-url\n');
  const bad = verdict.unexpected.length + verdict.stale.length > 0 || results.length === 0;
  process.exitCode = bad ? 1 : 0;
}

if (process.argv[1] === import.meta.filename) await main();
