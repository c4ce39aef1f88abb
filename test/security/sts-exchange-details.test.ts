/** SECURITY, negative tests "Client authentication, STS": widened `authorization_details`. */
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { testKey } from '../support/issuer.ts';
import {
  callTool,
  detailsType as type,
  exchange,
  resultOf,
  tokenFor,
  type FormAnswer,
} from './lending-requests.ts';
import { startLending, type LendingWorld, type Lent } from './lending-world.ts';

const texts = { properties: { text: { maxLength: 5 } } };

let world: LendingWorld;
let lent: Lent;
beforeAll(async () => {
  world = await startLending({
    lending: [
      {
        to: 'agent',
        tools: ['files/echo', 'files/add'],
        arguments: { 'files/echo': texts },
        maxCalls: 5,
        maxCallsPerTool: { 'files/add': 2 },
      },
    ],
  });
});
afterAll(() => world.close());
beforeEach(async () => {
  lent = await world.lend();
});

const ask = (details: unknown): Promise<FormAnswer> => {
  const text = typeof details === 'string' ? details : JSON.stringify(details);
  return exchange(lent.offer, world.agent, { form: { authorization_details: text } });
};
const refused = [400, 'invalid_authorization_details'];
const outcome = ({ status, json }: FormAnswer): [number, unknown] => [status, json['error']];

const add = { name: 'files__add', max_calls: 2 };
const echo = { name: 'files__echo', max_calls: 5, arguments: texts };

it('what the token grants may be asked for again, as it is', async () => {
  const { json } = await exchange(lent.offer, world.agent);
  const granted = json['authorization_details'];
  expect(granted).toEqual([
    {
      type,
      max_calls: 5,
      tools: expect.arrayContaining([
        { name: 'files__echo', arguments: texts, max_calls: 5 },
        { name: 'files__add', max_calls: 2 },
      ]),
    },
  ]);
  expect(decodeJwt(String(json['access_token']))['authorization_details']).toEqual(granted);
  const again = await world.lend();
  const form = { authorization_details: JSON.stringify(granted) };
  expect((await exchange(again.offer, world.agent, { form })).status).toBe(200);
});

describe('more than the lease has is refused:', () => {
  const cases: [string, unknown][] = [
    ['a widened tool', [{ type, tools: [{ name: 'files__record' }], max_calls: 1 }]],
    [
      'a widened tool beside one that is lent',
      [{ type, tools: [add, { name: 'files__record' }], max_calls: 1 }],
    ],
    [
      'a tool as the peer names it',
      [{ type, tools: [{ name: 'echo', arguments: texts }], max_calls: 1 }],
    ],
    ['a tool with its peer', [{ type, tools: [{ ...add, name: 'files/add' }], max_calls: 1 }]],
    ['a pattern', [{ type, tools: [{ name: 'files__*', max_calls: 1 }], max_calls: 1 }]],
    ['a tool twice', [{ type, tools: [add, add], max_calls: 1 }]],
    [
      'a widened argument',
      [
        {
          type,
          tools: [{ ...echo, arguments: { properties: { text: { maxLength: 50 } } } }],
          max_calls: 1,
        },
      ],
    ],
    ['an argument that allows all', [{ type, tools: [{ ...echo, arguments: {} }], max_calls: 1 }]],
    [
      'an argument or another',
      [{ type, tools: [{ ...echo, arguments: { anyOf: [texts, {}] } }], max_calls: 1 }],
    ],
    ['an empty allOf', [{ type, tools: [{ ...echo, arguments: { allOf: [] } }], max_calls: 1 }]],
    [
      'an allOf without the constraint',
      [{ type, tools: [{ ...echo, arguments: { allOf: [{}] } }], max_calls: 1 }],
    ],
    [
      'an allOf with a member that undoes it',
      [
        {
          type,
          tools: [
            { ...echo, arguments: { allOf: [texts], $schema: 'https://json-schema.org/none' } },
          ],
          max_calls: 1,
        },
      ],
    ],
    [
      'a dropped constraint of arguments',
      [{ type, tools: [{ name: 'files__echo', max_calls: 5 }], max_calls: 5 }],
    ],
    ['a widened count', [{ type, tools: [add], max_calls: 6 }]],
    ['a widened count of a tool', [{ type, tools: [{ ...add, max_calls: 3 }], max_calls: 5 }]],
    ['a dropped count', [{ type, tools: [add] }]],
    ['a dropped count of a tool', [{ type, tools: [{ name: 'files__add' }], max_calls: 5 }]],
    ['an unknown member', [{ type, tools: [add], max_calls: 1, depth: 5 }]],
    [
      'an unknown member of a tool',
      [{ type, tools: [{ ...add, approval: 'never' }], max_calls: 1 }],
    ],
    ['an unknown type', [{ type: 'urn:isthmus:ext:tool-lease:v2', tools: [add], max_calls: 1 }]],
    ['no type', [{ tools: [add], max_calls: 1 }]],
    [
      'two objects',
      [
        { type, tools: [add], max_calls: 1 },
        { type, tools: [echo], max_calls: 1 },
      ],
    ],
    ['no object', []],
    ['an object without a list', { type, tools: [add], max_calls: 1 }],
    ['no tools', [{ type, tools: [], max_calls: 1 }]],
    ['a count below one', [{ type, tools: [add], max_calls: 0 }]],
    ['a negative count', [{ type, tools: [add], max_calls: -1 }]],
    ['half a call', [{ type, tools: [add], max_calls: 0.5 }]],
    ['a count that is a text', [{ type, tools: [add], max_calls: '1' }]],
    [
      'a count of a thousand digits',
      `[{"type":"${type}","tools":[{"name":"files__add","max_calls":1}],"max_calls":1${'0'.repeat(1000)}}]`,
    ],
    ['a tool by its prototype', [{ type, tools: [{ name: '__proto__' }], max_calls: 1 }]],
    [
      'a prototype',
      `[{"type":"${type}","tools":[{"name":"files__add","max_calls":1}],"max_calls":1,"__proto__":{"x":1}}]`,
    ],
    ['null', 'null'],
    ['garbage', '{"type":'],
    ['a number', '7'],
    ['nesting without end', '['.repeat(20_000)],
    ['a thousand tools', [{ type, tools: Array.from({ length: 1000 }, () => add), max_calls: 1 }]],
  ];
  it.each(cases)('%s', async (_title, details) => {
    expect(outcome(await ask(details))).toEqual(refused);
    // A refusal is no first exchange: another key may still redeem.
    expect((await exchange(lent.offer, world.agent)).status).toBe(200);
  });

  it('a body of more than 64 KiB', async () => {
    const answer = await ask([{ type, tools: [{ ...add, arguments: { x: 'x'.repeat(70_000) } }] }]);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
  });
});

it.each([
  ['a pattern that takes for ever', { properties: { text: { pattern: '^(a+)+$' } } }],
  ['a reference to elsewhere', { $ref: 'https://elsewhere.example/schema' }],
  ['a dialect of its own', { $schema: 'https://elsewhere.example/dialect' }],
])('a constraint that cannot be enforced lets nothing pass: %s', async (_title, schema) => {
  const key = await testKey();
  const details = { type, tools: [{ ...add, arguments: schema }], max_calls: 1 };
  const form = { authorization_details: JSON.stringify([details]) };
  const { json } = await exchange(lent.offer, world.agent, { proofKey: key, form });
  const token = String(json['access_token']);
  const answer = await callTool(lent.offer.resource, { token, key }, 'files__add', { a: 1, b: 2 });
  expect(resultOf(answer)).toMatchObject({ isError: true });
  expect(world.files.ledger.of('received', 'add')).toEqual([]);
});

it('less of a lease is kept to: tools, arguments and counts, and counts for the whole', async () => {
  const key = await testKey();
  const call = (token: string, name: string, args: Record<string, unknown>) =>
    callTool(lent.offer.resource, { token, key }, name, args).then(resultOf);
  const some = {
    type,
    tools: [
      { ...echo, arguments: { allOf: [texts, { properties: { text: { pattern: '^a' } } }] } },
    ],
    max_calls: 1,
  };
  const less = await tokenFor(lent.offer, world.agent, { key, details: some });
  expect((await call(less, 'files__add', { a: 1, b: 2 })).status).toBe(403);
  expect((await call(less, 'files__echo', { text: 'bbb' })).isError).toBe(true);
  expect((await call(less, 'files__echo', { text: 'aaaaaaaaa' })).isError).toBe(true);
  expect(await call(less, 'files__echo', { text: 'aaa' })).toMatchObject({ text: 'aaa' });
  expect((await call(less, 'files__echo', { text: 'aaa' })).isError).toBe(true);
  // Asking for a part again and again makes no more of the whole.
  let answered = 1;
  for (let round = 0; round < 8; round += 1) {
    const part = { type, tools: [{ name: 'files__add', max_calls: 1 }, echo], max_calls: 1 };
    const token = await tokenFor(lent.offer, world.agent, { key, details: part });
    const { isError } = await call(token, 'files__echo', { text: 'a' });
    if (isError !== true) answered += 1;
  }
  expect(answered).toBeLessThanOrEqual(5);
});

it('parts of a lease do not fill the store: so many at a time, or one each', async () => {
  const key = await testKey();
  const details = { type, tools: [add], max_calls: 1 };
  const before = await leasesIn(world);
  for (let round = 0; round < 50; round += 1) {
    const form = { authorization_details: JSON.stringify([details]) };
    await exchange(lent.offer, world.agent, { proofKey: key, form });
  }
  expect((await leasesIn(world)) - before).toBeLessThan(20);
});

it('more than 32 different parts of a lease are refused; those that there are stay good', async () => {
  const key = await testKey();
  const part = (round: number) => ({
    type,
    tools: [{ ...add, arguments: { properties: { a: { maximum: round } } } }],
    max_calls: 1,
  });
  const before = await leasesIn(world);
  const ask = (round: number) =>
    exchange(lent.offer, world.agent, {
      proofKey: key,
      form: { authorization_details: JSON.stringify([part(round)]) },
    });
  expect((await ask(1)).status).toBe(200);
  const answers = await Promise.all(Array.from({ length: 39 }, (_, index) => ask(index + 2)));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(31);
  expect(answers.filter(({ status }) => status !== 200).map(outcome)).toEqual(
    Array.from({ length: 8 }, () => refused),
  );
  expect((await leasesIn(world)) - before).toBe(32);
  expect((await ask(1)).status).toBe(200);
  expect((await exchange(lent.offer, world.agent, { proofKey: key })).status).toBe(200);
});

it('a lease that is offered anew ends with all its parts, however many there are', async () => {
  const key = await testKey();
  const token = await tokenFor(lent.offer, world.agent, { key });
  const part = await tokenFor(lent.offer, world.agent, {
    key,
    details: { type, tools: [add], max_calls: 1 },
  });
  // More than are read at once: as a store has them that is older than the bound.
  await addParts(world, lent, 600);
  const message = {
    messageId: 'more',
    role: 'ROLE_USER',
    taskId: lent.taskId,
    parts: [{ text: 'and more' }],
    metadata: { [type]: { lend: { tools: ['files/add'] } } },
  };
  const params = { message, configuration: { returnImmediately: true } };
  const { headers } = lent.lender;
  lent.held.ask('What else?');
  await lent.lender.raw.until(lent.taskId, ({ status }) => status.state.endsWith('INPUT_REQUIRED'));
  const { body } = await lent.lender.raw.rpc('SendMessage', params, { headers });
  expect(body.error).toBeUndefined();
  await expect.poll(() => world.agent.tasks.at(-1)?.offer?.tools).toEqual(['files__add']);
  const whole = { token, key };
  const echoed = () => callTool(lent.offer.resource, whole, 'files__echo', { text: 'a' });
  await expect.poll(async () => (await echoed()).status).toBe(401);
  const args = { a: 1, b: 2 };
  const added = await callTool(lent.offer.resource, { token: part, key }, 'files__add', args);
  expect(added.status).toBe(401);
  const ended = (await world.audit()).filter(({ kind }) => kind === 'lease.ended');
  expect(JSON.stringify(ended)).toMatch(/replaced/);
  expect(JSON.stringify(ended)).not.toMatch(/\\"how\\":\\"task/);
});

/** Puts copies of the part that there is into the store. */
async function addParts({ gateway }: LendingWorld, { taskId }: Lent, count: number): Promise<void> {
  const { DatabaseSync } = await import('node:sqlite');
  const db = new DatabaseSync(`${gateway.dir}/isthmus.db`);
  const copy = db.prepare(
    `INSERT INTO lease (id, ref, parent, owner, task, body, created_at, expires_at)
     SELECT ?, ?, parent, owner, task, body, created_at + 1, expires_at FROM lease
     WHERE task = ? AND parent IS NOT NULL LIMIT 1`,
  );
  for (let index = 0; index < count; index += 1) copy.run(`copy-${index}`, `ref-${index}`, taskId);
  db.close();
}

async function leasesIn({ gateway }: LendingWorld): Promise<number> {
  const { DatabaseSync } = await import('node:sqlite');
  const db = new DatabaseSync(`${gateway.dir}/isthmus.db`, { readOnly: true });
  const row = db.prepare('SELECT count(*) AS count FROM lease').get();
  db.close();
  return Number(row?.['count']);
}
