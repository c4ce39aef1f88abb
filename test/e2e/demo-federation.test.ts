/** `npm run demo:federation`: two organizations from end to end, as a reader runs it. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startChild } from '../faults/child.ts';

const program = 'examples/federation/demo.ts';

let dir: string;
let code: number | NodeJS.Signals;
let output: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-demo-test-'));
  const child = startChild(program, ['--dir', dir]);
  code = await child.ended;
  output = child.output();
}, 120_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** The numbered lines, without number and time, and with one space between words. */
function steps(): string[] {
  return [...output.matchAll(/^ *\d+ +\d+\.\d\d {2}(.+)$/gm)].map(([, text = '']) =>
    text.replaceAll(/ {2,}/g, ' ').trim(),
  );
}

/** The first of these that is not among the steps behind the one before; nothing when all are. */
function missing(...wanted: RegExp[]): string | undefined {
  const all = steps();
  let at = -1;
  for (const pattern of wanted) {
    at = all.findIndex((step, index) => index > at && pattern.test(step));
    if (at === -1) return `${String(pattern)} in:\n${output}`;
  }
  return undefined;
}

describe('the demo of two organizations', () => {
  it('is one command, and ends well', () => {
    const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    const { scripts } = JSON.parse(text) as { scripts: Record<string, string> };
    expect(scripts['demo:federation']).toBe(`node ${program}`);
    expect({ code, output }).toEqual({ code: 0, output });
    expect(output).not.toMatch(/REFUSED|failure|\bdemo:/);
  });

  it('numbers what happens', () => {
    const numbers = [...output.matchAll(/^ *(\d+) +\d+\.\d\d {2}/gm)].map(([, n]) => Number(n));
    expect(numbers.length).toBeGreaterThan(50);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  });

  it('lends through both gateways, each token bound to a key', () => {
    expect(
      missing(
        /^alice → login A browser logs in$/,
        /^assistant → gateway A \/as\/token token for alice: peer:planner:call peer:calendar:call$/,
        /^assistant → gateway A \/lend reverse channel open: desk-/,
        /^assistant → gateway A MCP tools\/call ask_planner$/,
        /^gateway A → gateway B offer lent for this task: calendar\/add_event, desk-\w+\/read_file, desk-\w+\/send_mail;/,
        /^gateway B → agent offer lent for this task: offered\/calendar__add_event, /,
        /^gateway B → agent A2A SendMessage, with an offer of calendar__add_event, desk__read_file, desk__send_mail$/,
        /^agent → gateway B \/sts\/token lease_ref exchanged, token bound to key [\w-]{8}…$/,
        /^gateway B → gateway A \/sts\/token lease_ref exchanged, token bound to key [\w-]{8}…$/,
        /^agent → gateway B MCP tools\/call desk__read_file$/,
        /^desk stdio a file was read$/,
        /^gateway B → agent MCP result of desk__read_file$/,
      ),
    ).toBeUndefined();
    expect(
      missing(/^gateway A → gateway B \/sts\/token token for \/a2a\/planner, .*: true$/),
    ).toBeUndefined();
    expect(missing(/^gateway B → login B \/token client_credentials$/)).toBeUndefined();
  });

  it('sends no mail before a person has allowed it', () => {
    expect(
      missing(
        /^agent → gateway B MCP tools\/call desk__send_mail$/,
        /^gateway A → assistant MCP elicitation \(form\): "planner" wants to call desk-\w+\/send_mail with \{"to":"bob@acme\.example",/,
        /^assistant → gateway A MCP answer: allow once$/,
        /^desk stdio a mail was sent$/,
      ),
    ).toBeUndefined();
    expect(readFileSync(join(dir, 'desk', 'outbox', 'mail.txt'), 'utf8')).toBe(
      'To: bob@acme.example\nSubject: Offsite in Turku\n\nOffsite in Turku: 2027-05-12. Please keep it free.\n',
    );
  });

  it('enters nothing at the third party before the person has consented there', () => {
    expect(
      missing(
        /^agent → gateway B MCP tools\/call calendar__add_event$/,
        /^gateway A → assistant MCP elicitation \(url\): "calendar" needs access to your account at Example Calendar/,
        /^alice → calendar browser logs in$/,
        /^alice → calendar browser allow: the gateway may have calendar\.write$/,
        /^calendar event entered for alice, who has 1 now$/,
        /^gateway B → agent MCP result of calendar__add_event$/,
      ),
    ).toBeUndefined();
    const atCalendar = steps().filter((step) => step.startsWith('calendar event'));
    expect(atCalendar).toHaveLength(1);
  });

  it('ends the leases of both gateways with the task', () => {
    const result =
      /^gateway A → assistant MCP result: Offsite in Turku is in alice's calendar on 2027-05-12\.$/;
    expect(missing(/^gateway B task TASK_STATE_COMPLETED$/, result)).toBeUndefined();
    for (const gateway of ['A', 'B']) {
      expect(
        missing(
          /^gateway B → agent MCP result of calendar__add_event$/,
          new RegExp(`^gateway ${gateway} lease ended: task$`),
        ),
      ).toBeUndefined();
    }
    const afterwards = /^agent → gateway B \/callback tried again after the task: lease-over$/;
    expect(missing(/^gateway B task TASK_STATE_COMPLETED$/, afterwards)).toBeUndefined();
  });

  it('has every call decided at the gateway of the lender', () => {
    expect(
      missing(
        /^gateway B → gateway A \/sts\/token lease_ref exchanged/,
        /^gateway B → gateway A \/callback desk-\w+\/read_file may be called$/,
        /^gateway A → assistant approval may desk-\w+\/send_mail be called\?$/,
        /^assistant → gateway A approval desk-\w+\/send_mail: allow once$/,
        /^gateway B → gateway A \/callback desk-\w+\/send_mail may be called$/,
        /^gateway B → gateway A \/callback calendar\/add_event may be called$/,
        /^gateway A → assistant question calendar\/add_event needs the person who lent it$/,
        /^gateway B → gateway A \/callback calendar\/add_event: completed$/,
        /^gateway A lease ended: task$/,
      ),
    ).toBeUndefined();
    const made = /^gateway A → calendar OAuth connection "calendar" made for the client desktop-/;
    expect(missing(/^alice → calendar browser allow/, made)).toBeUndefined();
  });

  it('has the story of the task in both audit logs, and both verify', () => {
    const [, ofA = '', ofB = ''] = output.split('$ isthmus audit show');
    for (const story of [ofA, ofB]) {
      const kinds = [...story.matchAll(/^[ ~]\S+Z +(\S+)/gm)].map(([, kind]) => kind);
      expect(kinds.filter((kind) => kind === 'call.allowed')).toHaveLength(3);
      expect(kinds).toEqual(expect.arrayContaining(['lease.offered', 'lease.redeemed']));
      expect(kinds).toContain('lease.ended');
    }
    expect(ofA).toMatch(/approval\.decided .* decision="allow once"/);
    expect(ofA).toMatch(/question\.asked +calendar \(mcp\) +add_event/);
    const verdicts = [
      ...output.matchAll(/The audit log is intact\. Entries: (\d+), signed up to (\d+)/g),
    ];
    expect(verdicts).toHaveLength(2);
    for (const [, entries, signed] of verdicts) expect(signed).toBe(entries);
  });

  it('shows no token, reference or key, in the output or in any log', () => {
    const said = everythingSaid();
    expect(said).toContain('sts.issued');
    expect(said).not.toMatch(/eyJ[\w-]+\.[\w-]+/);
    expect(said).not.toMatch(/"?(?:access_token|refresh_token|id_token|code_verifier)"?[=:]/);
    const digests = new Set(['acme', 'partner'].flatMap(referenceDigests));
    expect(digests.size).toBe(2);
    const words = new Set(said.match(/[\w-]{43,}/g));
    const digestOf = (word: string) => createHash('sha256').update(word).digest('base64url');
    expect([...words].filter((word) => digests.has(digestOf(word)))).toEqual([]);
    for (const secret of ['acme', 'partner'].flatMap(secretsOf)) expect(said).not.toContain(secret);
  });

  it('starts nothing where a run has left its data', async () => {
    const child = startChild(program, ['--dir', dir]);
    expect(await child.ended).toBe(1);
    expect(child.output()).toContain('There is a run in');
  });
});

it('the demo says what went wrong, and ends with 1', { timeout: 120_000 }, async () => {
  const place = mkdtempSync(join(tmpdir(), 'isthmus-demo-test-'));
  // The mail is there already: it is not sent a second time.
  mkdirSync(join(place, 'desk', 'outbox'), { recursive: true });
  writeFileSync(join(place, 'desk', 'outbox', 'mail.txt'), '');
  const child = startChild(program, ['--dir', place]);
  expect(await child.ended).toBe(1);
  expect(child.output()).toMatch(/^demo: .*desk__send_mail: .*EEXIST/m);
  expect(child.output()).toContain(`demo: logs are in ${place}`);
  rmSync(place, { recursive: true, force: true });
});

/** The output, and what each process wrote. */
function everythingSaid(): string {
  const logs = readdirSync(dir).filter((name) => name.endsWith('.log'));
  expect(logs.length).toBeGreaterThan(5);
  return [output, ...logs.map((name) => readFileSync(join(dir, name), 'utf8'))].join('\n');
}

/** What a gateway keeps of the references that it gave out. */
function referenceDigests(name: string): string[] {
  const database = new DatabaseSync(join(dir, name, 'isthmus.db'), { readOnly: true });
  const rows = database.prepare('SELECT ref FROM lease').all();
  database.close();
  return rows.map(({ ref }) => String(ref));
}

/** What makes the keys of a gateway keys. */
function secretsOf(name: string): string[] {
  const read = (file: string) => readFileSync(join(dir, name, 'keys', file), 'utf8');
  const signing = [...read('signing-keys.json').matchAll(/"d":\s*"([\w-]+)"/g)];
  expect(signing).toHaveLength(1);
  return [...signing.map(([, d = '']) => d), read('sealing.key').trim()];
}
