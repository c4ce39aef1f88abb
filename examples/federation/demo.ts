/**
 * `npm run demo:federation`: two organizations, their identity providers and gateways, and a third
 * party, on loopback. Alice of Acme asks an agent of Partner, which calls back through both gateways
 * to her own computer. `-- --interactive` lets a person be Alice; `-- --dir DIR` keeps everything.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { askPlanner } from './assistant.ts';
import { AuditTail } from './audit-tail.ts';
import {
  agentLines,
  assistantLines,
  auditLines,
  logLines,
  serverLines,
  type Sides,
} from './lines.ts';
import { personAtTerminal, playedPerson, type Person } from './person.ts';
import { file, freePorts, Processes } from './processes.ts';
import { Story, type Fact, type Line } from './story.ts';

const { values: flags } = parseArgs({
  options: { interactive: { type: 'boolean', default: false }, dir: { type: 'string' } },
});

const acme: Sides = { self: 'gateway A', caller: 'assistant', grantee: 'gateway B', face: 'MCP' };
const partner: Sides = { self: 'gateway B', caller: 'gateway A', grantee: 'agent', face: 'A2A' };

const offsite = `What: Offsite in Turku
When: 2027-05-12
Who: bob@acme.example
`;

/** Where everything is. */
interface Places {
  readonly dir: string;
  readonly desk: string;
  readonly env: Readonly<Record<string, string>>;
  readonly ports: readonly number[];
}

async function places(dir: string): Promise<Places> {
  if (existsSync(join(dir, 'acme', 'isthmus.db'))) {
    throw new Error(`There is a run in ${dir} already. Choose another directory.`);
  }
  const ports = await freePorts(6);
  const [A, B, loginA, loginB, agent, calendar] = ports.map((port) => `http://127.0.0.1:${port}`);
  const desk = join(dir, 'desk');
  for (const one of [join(desk, 'plans'), join(dir, 'acme'), join(dir, 'partner')]) {
    mkdirSync(one, { recursive: true });
  }
  writeFileSync(join(desk, 'plans', 'offsite.txt'), offsite);
  const env = {
    ACME: A ?? '',
    PARTNER: B ?? '',
    ACME_PORT: `${ports[0]}`,
    PARTNER_PORT: `${ports[1]}`,
    ACME_DIR: join(dir, 'acme'),
    PARTNER_DIR: join(dir, 'partner'),
    ACME_LOGIN: loginA ?? '',
    PARTNER_LOGIN: loginB ?? '',
    AGENT: agent ?? '',
    CALENDAR: calendar ?? '',
  };
  return { dir, desk, env, ports };
}

/** The demo itself. Throws where something is not as it should be. */
class Demo {
  readonly #at: Places;
  readonly #story: Story;
  readonly #processes: Processes;
  readonly #person: Person;
  readonly #tails: (() => void)[] = [];
  /** The task of the planner at each gateway. */
  readonly #tasks = new Map<string, string>();
  readonly #seen = new Set<string>();

  constructor(at: Places) {
    this.#at = at;
    this.#story = new Story(print);
    this.#processes = new Processes(at.dir, at.env);
    const ready = async (): Promise<void> => {
      await sleep(500);
      this.#tell(true);
    };
    const said = (heading: string): void => {
      const what = `says yes until the page says: ${heading}`;
      this.#story.add(Date.now(), { from: 'alice', by: 'browser', what });
    };
    this.#person = flags.interactive ? personAtTerminal(ready) : playedPerson(said);
  }

  async run(): Promise<void> {
    const timer = setInterval(() => this.#tell(), 100);
    try {
      await this.#start();
      print(`Acme ${this.#at.env['ACME']}, Partner ${this.#at.env['PARTNER']}\n`);
      const said = await Promise.race([this.#ask(), this.#processes.failed]);
      await this.#until('agent.refused');
      await sleep(500);
      this.#tell(true);
      this.#check(said);
      for (const name of ['acme', 'partner']) await this.#show(name);
    } finally {
      clearInterval(timer);
      this.#tell(true);
      await this.#processes.stop();
    }
    // What was recorded last is signed when a gateway stops.
    for (const name of ['acme', 'partner']) await this.#verify(name);
  }

  async #start(): Promise<void> {
    const { ACME = '', PARTNER = '', ACME_LOGIN = '', PARTNER_LOGIN = '' } = this.#at.env;
    const { AGENT = '', CALENDAR = '', ACME_DIR = '', PARTNER_DIR = '' } = this.#at.env;
    const program = (name: string, flagsOf: Record<string, string>, lines: Lines) => ({
      name,
      args: [
        file(`examples/federation/${name.replace(/-.*/, '')}.ts`),
        ...Object.entries(flagsOf).flatMap(([flag, value]) => [`--${flag}`, value]),
      ],
      onLine: (line: string) => this.#hear(line, lines),
    });
    const port = (url: string): string => new URL(url).port;
    const metadata = '/.well-known/openid-configuration';
    const alice = { port: port(ACME_LOGIN), gateway: ACME, organization: 'acme', person: 'alice' };
    const bertha = {
      port: port(PARTNER_LOGIN),
      gateway: PARTNER,
      organization: 'partner',
      person: 'bertha',
      resource: `${AGENT}/a2a`,
    };
    const account = { port: port(CALENDAR), gateway: ACME, person: 'alice' };
    const planner = { port: port(AGENT), gateway: PARTNER, issuer: PARTNER_LOGIN };
    const run = (one: ReturnType<typeof program>, url: string) => this.#processes.start(one, url);
    await Promise.all([
      run(program('login-a', alice, serverLines('login A', 'gateway A')), ACME_LOGIN + metadata),
      run(
        program('login-b', bertha, serverLines('login B', 'gateway B')),
        PARTNER_LOGIN + metadata,
      ),
      run(program('calendar', account, serverLines('calendar', 'gateway A')), CALENDAR + metadata),
      run(program('agent', planner, agentLines), `${AGENT}/client.json`),
    ]);
    await this.#gateway('partner', PARTNER, PARTNER_DIR, partner);
    await this.#gateway('acme', ACME, ACME_DIR, acme);
  }

  async #gateway(name: string, url: string, dir: string, sides: Sides): Promise<void> {
    const args = [file('bin/isthmus.js'), 'serve', '--config', config(name)];
    const lines = logLines(sides);
    const onLine = (line: string): void => {
      const fact = this.#hear(line, lines);
      if (fact?.event === 'task.created' && fact['peer'] === 'planner') {
        this.#tasks.set(name, String(fact['taskId']));
      }
    };
    await this.#processes.start({ name: `gateway-${name}`, args, onLine }, `${url}/readyz`);
    const tail = new AuditTail(join(dir, 'isthmus.db'));
    const audited = auditLines(sides);
    this.#tails.push(() => {
      for (const { at, fact } of tail.read()) this.#take(at, fact, audited);
    });
  }

  #ask(): Promise<string> {
    const take = (fact: Fact): void => this.#take(Date.now(), fact, assistantLines);
    return askPlanner('Plan the offsite', {
      gateway: this.#at.env['ACME'] ?? '',
      dir: this.#at.desk,
      on: (event) => take({ ...event }),
      onDesk: (line) => void this.#hear(line, assistantLines),
      person: this.#person,
    });
  }

  /** A line of a process; those that are no facts are in its log alone. */
  #hear(line: string, lines: Lines): Fact | undefined {
    if (!line.startsWith('{')) return undefined;
    const { time, ...fact } = JSON.parse(line) as Fact;
    this.#take(Date.parse(String(time)), fact, lines);
    return fact;
  }

  #take(at: number, fact: Fact, lines: Lines): void {
    this.#seen.add(fact.event);
    const line = lines[fact.event]?.(fact);
    if (line !== undefined) this.#story.add(at, line);
  }

  #tell(all = false): void {
    for (const read of this.#tails) read();
    this.#story.tell({ all });
  }

  async #until(event: string): Promise<void> {
    for (const end = Date.now() + 10_000; !this.#seen.has(event); await sleep(50)) {
      if (Date.now() > end) throw new Error(`"${event}" has not come about.`);
    }
  }

  /** The effects, where they are to be seen. */
  #check(said: string): void {
    const expected = "Offsite in Turku is in alice's calendar on 2027-05-12.";
    if (said !== expected) throw new Error(`The planner said: ${said}`);
    const mail = readFileSync(join(this.#at.desk, 'outbox', 'mail.txt'), 'utf8');
    if (!mail.startsWith('To: bob@acme.example\n')) throw new Error(`The mail is: ${mail}`);
    for (const event of ['approval.decided', 'connection.made', 'lease.ended']) {
      if (!this.#seen.has(event)) throw new Error(`"${event}" has not come about.`);
    }
  }

  async #show(name: string): Promise<void> {
    const task = this.#tasks.get(name);
    if (task === undefined) throw new Error(`The gateway of ${name} had no task.`);
    print(`\n$ isthmus audit show --config ${name}.yaml --task ${task}`);
    await this.#audit(name, ['show', '--task', task]);
  }

  async #verify(name: string): Promise<void> {
    print(`\n$ isthmus audit verify --config ${name}.yaml`);
    await this.#audit(name, ['verify']);
  }

  async #audit(name: string, words: readonly string[]): Promise<void> {
    const args = [file('bin/isthmus.js'), 'audit', ...words, '--config', config(name)];
    const code = await this.#processes.run({ name: `audit-${name}`, args, onLine: print });
    if (code !== 0) throw new Error(`isthmus audit ${words[0]} of ${name} ends with ${code}.`);
  }
}

type Lines = Readonly<Record<string, (fact: Fact) => Line | undefined>>;

function config(name: string): string {
  return file(`examples/federation/${name}.yaml`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const dir = flags.dir === undefined ? mkdtempSync(join(tmpdir(), 'isthmus-demo-')) : flags.dir;
try {
  await new Demo(await places(resolve(dir))).run();
  if (flags.dir === undefined) rmSync(dir, { recursive: true, force: true });
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  console.error(`demo: logs are in ${dir}`);
  process.exitCode = 1;
}
