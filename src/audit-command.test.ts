import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { auditCommand } from './audit-command.ts';
import type { Task } from './model/a2a.ts';
import { ownerKey } from './model/principal.ts';
import type { AuditEvent } from './ports/audit.ts';
import type { SequencedEvent, TaskEvent } from './ports/tasks.ts';
import { SqliteAuditStore } from './store/sqlite/audit-store.ts';
import { openDatabase, type OpenDatabase } from './store/sqlite/database.ts';
import { SqliteTaskStore } from './store/sqlite/task-store.ts';

const start = Date.parse('2026-03-04T05:06:07.000Z');
const trace = '0af7651916cd43dd8448eb211c80319c';
const alice = ownerKey({
  organization: 'acme',
  issuer: 'https://idp.acme.example',
  subject: 'alice',
  client: 'https://app.example/client.json',
  scopes: [],
});
const partner = 'https://partner.example/agent.json';

let dir: string;
let database: OpenDatabase;
let audit: SqliteAuditStore;
let tasks: SqliteTaskStore;
let now: number;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-story-'));
  database = openDatabase(join(dir, 'isthmus.db'));
  audit = new SqliteAuditStore(database, { clock: () => now });
  tasks = new SqliteTaskStore(database);
});

afterEach(() => {
  database.close();
  rmSync(dir, { recursive: true });
});

/** Records an event so many milliseconds after the start. */
async function at(ms: number, event: AuditEvent): Promise<void> {
  now = start + ms;
  await audit.append(event);
}

const time = (ms: number): string => new Date(start + ms).toISOString();

async function keepTask(id: string, events: TaskEvent[], updatedAt = start + 900): Promise<void> {
  const sequenced: SequencedEvent[] = events.map((event, n) => ({ seq: n + 1, event }));
  const row = {
    id,
    owner: alice,
    peerId: 'researcher',
    contextId: 'context-1',
    createdAt: start,
    replica: 'r',
    epoch: 1,
    state: 'TASK_STATE_COMPLETED' as const,
    statusAt: updatedAt,
    updatedAt,
    lastSeq: events.length,
    position: null,
    facts: { call: { name: 'research', arguments: { topic: 'secret-argument' } } },
    deadline: null,
    expiresAt: null,
  };
  await tasks.create(row, sequenced);
}

async function run(words: string[], asked: { task?: string; lease?: string; json?: boolean } = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await auditCommand(words, {
    audit,
    tasks,
    asked: { json: false, ...asked },
    dir: join(dir, 'keys'),
    protocols: async () =>
      new Map([
        ['researcher', 'a2a'],
        ['files', 'mcp'],
      ]),
    out: (line) => out.push(line),
    err: (line) => err.push(line),
  });
  return { code, out, err };
}

const text = (said: string) => [{ text: said }];

/** A task whose tools were lent, and lent on. */
async function lentTask(): Promise<void> {
  const first: Task = {
    id: 'task-1',
    contextId: 'context-1',
    status: { state: 'TASK_STATE_SUBMITTED', timestamp: time(0) },
    history: [{ messageId: 'm1', role: 'ROLE_USER', parts: text('secret-question') }],
  };
  await keepTask('task-1', [
    { kind: 'created', task: first },
    { kind: 'status', status: { state: 'TASK_STATE_WORKING', timestamp: time(20) } },
    {
      kind: 'status',
      status: {
        state: 'TASK_STATE_WORKING',
        timestamp: time(300),
        message: { messageId: 'p', role: 'ROLE_AGENT', parts: text('secret-progress') },
      },
    },
    {
      kind: 'status',
      status: {
        state: 'TASK_STATE_INPUT_REQUIRED',
        timestamp: time(400),
        message: { messageId: 'q', role: 'ROLE_AGENT', parts: text('secret-asked') },
      },
    },
    { kind: 'status', status: { state: 'TASK_STATE_WORKING', timestamp: time(500) } },
    {
      kind: 'history',
      message: { messageId: 'm2', role: 'ROLE_USER', parts: text('secret-answer') },
    },
    {
      kind: 'artifact',
      artifact: {
        artifactId: 'a1',
        name: 'report.pdf',
        parts: [{ raw: 'c2VjcmV0LWFydGlmYWN0' }, { text: 'é' }, { data: { a: 1 } }],
      },
      append: false,
      lastChunk: true,
    },
    { kind: 'metadata', metadata: { a: 'secret-metadata' } },
    { kind: 'status', status: { state: 'TASK_STATE_COMPLETED', timestamp: time(900) } },
  ]);
  const mine = { task: 'task-1', lease: 'lease-1', owner: alice, trace };
  await at(10, {
    ...mine,
    kind: 'lease.offered',
    actor: alice,
    peer: 'researcher',
    facts: { tools: ['files__read_file'], max: 20 },
  });
  await at(15, { kind: 'lease.offered', task: 'task-2', lease: 'lease-x', facts: {} });
  // Of the lease alone, as where a token is asked for.
  await at(100, { kind: 'lease.redeemed', actor: partner, lease: 'lease-1', facts: {} });
  await at(200, {
    ...mine,
    kind: 'call.allowed',
    actor: partner,
    peer: 'files',
    tool: 'read_file',
    facts: { digest: 'D1', note: 'two words' },
  });
  await at(600, {
    kind: 'lease.offered',
    actor: partner,
    task: 'task-9',
    lease: 'lease-2',
    facts: { parent: 'lease-1' },
  });
  await at(650, {
    kind: 'lease.offered',
    task: 'task-10',
    lease: 'lease-3',
    facts: { parent: 'lease-2' },
  });
  await at(700, { kind: 'call.refused', lease: 'lease-3', peer: 'files', facts: { why: 'spent' } });
  await at(901, { ...mine, kind: 'lease.ended', facts: { how: 'task' } });
}

describe('isthmus audit show', () => {
  it('prints the whole story of a task in order, leases lent on included', async () => {
    await lentTask();
    const { code, out, err } = await run(['show'], { task: 'task-1' });
    expect(err).toEqual([]);
    expect(code).toBe(0);
    const person = 'alice@acme via https://app.example/client.json';
    const lent = 'files (mcp)';
    expect(out.map((line) => line.trim().split(/ {2,}/))).toEqual([
      ['TIME', 'WHAT', 'PEER', 'TOOL', 'LEASE', 'ACTOR', 'TRACE', 'FACTS'],
      [
        time(0),
        'task.created',
        'researcher (a2a)',
        'research',
        '-',
        person,
        '-',
        'context=context-1',
      ],
      [
        `~${time(0)}`,
        'task.message',
        'researcher (a2a)',
        '-',
        '-',
        '-',
        '-',
        'role=ROLE_USER parts=1 bytes=15',
      ],
      [
        time(0),
        'task.status',
        'researcher (a2a)',
        '-',
        '-',
        '-',
        '-',
        'state=TASK_STATE_SUBMITTED',
      ],
      [
        time(10),
        'lease.offered',
        'researcher (a2a)',
        '-',
        'lease-1',
        person,
        trace,
        'max=20 tools=["files__read_file"]',
      ],
      [time(20), 'task.status', 'researcher (a2a)', '-', '-', '-', '-', 'state=TASK_STATE_WORKING'],
      [time(100), 'lease.redeemed', '-', '-', 'lease-1', partner, '-', '-'],
      [
        time(200),
        'call.allowed',
        lent,
        'read_file',
        'lease-1',
        partner,
        trace,
        'digest=D1 note="two words"',
      ],
      [
        time(400),
        'task.question',
        'researcher (a2a)',
        '-',
        '-',
        '-',
        '-',
        'state=TASK_STATE_INPUT_REQUIRED parts=1 bytes=12',
      ],
      [
        time(500),
        'task.status',
        'researcher (a2a)',
        '-',
        '-',
        '-',
        '-',
        'state=TASK_STATE_WORKING',
      ],
      [
        `~${time(500)}`,
        'task.message',
        'researcher (a2a)',
        '-',
        '-',
        '-',
        '-',
        'role=ROLE_USER parts=1 bytes=13',
      ],
      [time(600), 'lease.offered', '-', '-', 'lease-2', partner, '-', 'task=task-9 parent=lease-1'],
      [time(650), 'lease.offered', '-', '-', 'lease-3', '-', '-', 'task=task-10 parent=lease-2'],
      [time(700), 'call.refused', lent, '-', 'lease-3', '-', '-', 'why=spent'],
      [
        `~${time(900)}`,
        'task.artifact',
        'researcher (a2a)',
        '-',
        '-',
        '-',
        '-',
        'name=report.pdf parts=3 bytes=24',
      ],
      [
        time(900),
        'task.status',
        'researcher (a2a)',
        '-',
        '-',
        '-',
        '-',
        'state=TASK_STATE_COMPLETED',
      ],
      [time(901), 'lease.ended', '-', '-', 'lease-1', '-', trace, 'how=task'],
    ]);
    const columns = out.map((line) => line.indexOf(line.trim().split(/ {2,}/)[1] ?? ''));
    expect(new Set(columns).size).toBe(1);
  });

  it('prints no content of a task, as lines or as JSON', async () => {
    await lentTask();
    for (const json of [false, true]) {
      const { out } = await run(['show'], { task: 'task-1', json });
      expect(out.join('\n')).toContain('report.pdf');
      expect(out.join('\n')).not.toMatch(/secret|c2Vjcm/);
    }
  });

  it('prints the story of a lease, and of those below it', async () => {
    await lentTask();
    const seqs = async (lease: string) =>
      JSON.parse((await run(['show'], { lease, json: true })).out.join('\n')).map(
        ({ seq }: { seq: number }) => seq,
      );
    expect(await seqs('lease-1')).toEqual([1, 3, 4, 5, 6, 7, 8]);
    expect(await seqs('lease-2')).toEqual([5, 6, 7]);
    expect(await seqs('lease-3')).toEqual([6, 7]);
  });

  it('a cycle of leases, which nobody should have written, ends', async () => {
    await at(1, { kind: 'lease.offered', lease: 'a', facts: { parent: 'b' } });
    await at(2, { kind: 'lease.offered', lease: 'b', facts: { parent: 'a' } });
    expect((await run(['show'], { lease: 'a' })).out).toHaveLength(3);
  });

  it('as JSON each fact has its place in the log, its trace, and what its peer speaks', async () => {
    await lentTask();
    const { out } = await run(['show'], { task: 'task-1', json: true });
    expect(JSON.parse(out.join('\n'))[5]).toEqual({
      at: start + 100,
      what: 'lease.redeemed',
      seq: 3,
      actor: partner,
      lease: 'lease-1',
      facts: {},
    });
    expect(JSON.parse(out.join('\n'))[6]).toMatchObject({ seq: 4, trace, protocol: 'mcp' });
  });

  it('a task that was forgotten keeps its audit, and one that nobody knows is an error', async () => {
    await at(5, { kind: 'call.allowed', task: 'old', facts: {} });
    expect((await run(['show'], { task: 'old' })).out).toHaveLength(2);
    expect(await run(['show'], { task: 'ol\u001b[2J' })).toEqual({
      code: 1,
      out: [],
      err: ['isthmus: Nothing is known of a task "ol\\u001b[2J".'],
    });
    expect((await run(['show'], { lease: 'none' })).err).toEqual([
      'isthmus: Nothing is known of a lease "none".',
    ]);
  });

  it('no control character reaches the terminal, whoever named a thing with it', async () => {
    const bad = '\u001b]0;x\u0007\u202e\u009b\r\nx\u2028\u{e0041}';
    await at(1, {
      kind: 'call.refused',
      actor: bad,
      owner: bad,
      task: bad,
      lease: bad,
      peer: bad,
      tool: bad,
      trace: bad,
      facts: { [bad]: bad, list: [bad] },
    });
    for (const json of [false, true]) {
      const { out } = await run(['show'], { task: bad, json });
      expect(out.join('\n')).toContain('\\u001b]0;x');
      const lines = out.join('\n').replaceAll('\n', '');
      expect(lines).not.toMatch(/\p{Cc}|\p{Cf}|\p{Zl}/u);
    }
    expect((await run(['show'], { task: bad })).out).toHaveLength(2);
  });

  it('an entry that is not what was recorded is marked', async () => {
    await lentTask();
    database.db.exec(
      `DROP TRIGGER audit_no_update; UPDATE audit SET body = replace(body, 'D1', 'D2') WHERE seq = 4`,
    );
    const { code, out, err } = await run(['show'], { task: 'task-1' });
    expect(out.filter((line) => line.includes('(ALTERED)'))).toHaveLength(1);
    expect(err).toEqual([
      'isthmus: Not what was recorded: entry 4. "isthmus audit verify" says more.',
    ]);
    expect(code).toBe(1);
  });

  it('reads stories that are longer than a page', async () => {
    now = start;
    await Promise.all(
      Array.from({ length: 2500 }, () =>
        audit.append({ kind: 'call.allowed', task: 'long', lease: 'l', facts: {} }),
      ),
    );
    expect((await run(['show'], { task: 'long' })).out).toHaveLength(2501);
    expect((await run(['verify'])).out[0]).toContain('Entries: 2500.');
  });
});

describe('isthmus audit', () => {
  it.each<[string[], { task?: string; lease?: string }, string]>([
    [[], {}, 'audit needs to know what to do'],
    [['burn'], {}, 'audit cannot "burn"'],
    [['toString'], {}, 'audit cannot "toString"'],
    [['verify', 'now'], {}, 'audit verify takes no argument "now"'],
    [['verify'], { task: 't' }, 'audit verify is about the whole log, not one task or lease'],
    [['show'], {}, 'audit show needs --task ID or --lease ID'],
    [['show'], { task: 't', lease: 'l' }, 'audit show needs --task ID or --lease ID'],
    [['show', 't'], {}, 'audit show takes no argument "t"'],
  ])('refuses to be called with %j and %j', async (words, asked, reason) => {
    expect(await run(words, asked)).toEqual({
      code: 2,
      out: [],
      err: [
        `isthmus: ${reason}`,
        '\nUsage: isthmus audit verify | show --task ID | show --lease ID',
      ],
    });
  });
});
