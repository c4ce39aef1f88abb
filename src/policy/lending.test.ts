import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../model/json.ts';
import type { LeaseRequest } from '../model/lease.ts';
import { anonymous, type Principal } from '../model/principal.ts';
import {
  asksFor,
  decideLend,
  narrow,
  nearMisses,
  type LendingRule,
  type LendingTerms,
  type LendQuestion,
} from './lending.ts';

const alice: Principal = {
  organization: 'example',
  issuer: 'https://login.example.org',
  subject: 'alice',
  client: 'desk',
  scopes: ['peer:*:call'],
};
const namesake: Principal = {
  ...alice,
  organization: 'partner',
  issuer: 'https://login.partner.example',
};

const rule = (over: Partial<LendingRule> = {}): LendingRule => ({
  to: 'travel',
  tools: ['files/read_file'],
  arguments: {},
  maxCalls: 20,
  maxCallsPerTool: {},
  ttl: 900_000,
  depth: 0,
  approval: 'never',
  offer: 'always',
  ...over,
});

const readFile = { kind: 'peer', peer: 'files', name: 'read_file' } as const;

const question = (rules: LendingRule[], over: Partial<LendQuestion> = {}): LendQuestion => ({
  rules,
  ownOrganization: 'example',
  lender: alice,
  to: 'travel',
  tool: readFile,
  asked: 'standing',
  ...over,
});

const allowed = (rules: LendingRule[], over: Partial<LendQuestion> = {}) =>
  decideLend(question(rules, over)).allowed;

const terms: LendingTerms = {
  arguments: [],
  maxCalls: 20,
  ttlMs: 900_000,
  depth: 0,
  approval: false,
  rule: 'lending[0]',
};

describe('lending', () => {
  it('is allowed by a rule, under its terms', () => {
    expect(decideLend(question([rule()]))).toEqual({ allowed: true, terms });
    const schema = { properties: { path: { pattern: '^/public/' } } };
    const full = rule({
      tools: ['files/*'],
      arguments: { 'files/read_*': schema, 'files/write': {} },
      maxCallsPerTool: { 'files/*': 9, 'files/read_file': 3, 'files/write': 1 },
      depth: 2,
      approval: 'always',
    });
    expect(decideLend(question([full]))).toEqual({
      allowed: true,
      terms: { ...terms, arguments: [schema], maxCallsPerTool: 3, depth: 2, approval: true },
    });
  });

  it('is decided by the first rule that fits', () => {
    const rules = [rule({ to: 'hr' }), rule({ maxCalls: 1 }), rule({ maxCalls: 99 })];
    expect(decideLend(question(rules))).toMatchObject({
      terms: { rule: 'lending[1]', maxCalls: 1 },
    });
  });

  it('needs the right to call the tool, except where it is own or offered', () => {
    const lender = { ...alice, scopes: ['peer:files:read'] };
    expect(decideLend(question([rule({ tools: ['*/*'] })], { lender }))).toEqual({
      allowed: false,
      reason:
        'The caller may not call files/read_file itself: it lacks the scope "peer:files:call".',
    });
    for (const kind of ['own', 'offered'] as const) {
      const tool = { kind, peer: 'files', name: 'read_file' };
      expect(allowed([rule({ tools: [`${kind}/*`] })], { lender, tool })).toBe(true);
      expect(allowed([rule({ tools: ['*/*', 'files/*'] })], { lender, tool })).toBe(false);
    }
  });

  it('is for our own callers where no others are named', () => {
    expect(allowed([rule()])).toBe(true);
    expect(allowed([rule()], { lender: namesake })).toBe(false);
    expect(allowed([rule()], { lender: anonymous })).toBe(true);
    expect(allowed([rule({ from: [{ subject: 'alice' }] })])).toBe(true);
    expect(allowed([rule({ from: [{ subject: 'alice' }] })], { lender: namesake })).toBe(false);
    expect(allowed([rule({ from: [{ client: 'desk' }] })], { lender: namesake })).toBe(false);
    expect(allowed([rule({ from: [{ organization: 'partner' }] })], { lender: namesake })).toBe(
      true,
    );
    expect(allowed([rule({ from: [{ organization: 'partner' }] })])).toBe(false);
  });

  it('takes a stranger who calls itself like the anonymous caller for a stranger', () => {
    const lender = { ...anonymous, issuer: 'https://login.partner.example', organization: 'local' };
    expect(allowed([rule()], { lender })).toBe(false);
  });

  it('wants all members of one entry of from', () => {
    const from = [
      { organization: 'partner', subject: 'bob' },
      { subject: 'alice', client: 'phone' },
    ];
    expect(allowed([rule({ from })])).toBe(false);
    expect(allowed([rule({ from })], { lender: namesake })).toBe(false);
    expect(allowed([rule({ from })], { lender: { ...alice, client: 'phone' } })).toBe(true);
    expect(allowed([rule({ from })], { lender: { ...namesake, subject: 'bob' } })).toBe(true);
  });

  it('waits to be asked where the rule says so', () => {
    const rules = [rule({ offer: 'request', maxCalls: 2 }), rule({ maxCalls: 5 })];
    expect(decideLend(question(rules))).toMatchObject({ terms: { rule: 'lending[1]' } });
    expect(decideLend(question(rules, { asked: 'request' }))).toMatchObject({
      terms: { rule: 'lending[0]' },
    });
  });

  it('says why it is refused, and which rules came near', () => {
    expect(decideLend(question([]))).toEqual({
      allowed: false,
      reason: 'There is no rule for lending, and without one nothing is lent.',
    });
    const rules = [
      rule({ to: 'hr' }),
      rule({ to: 'hr', tools: ['hr/*'] }),
      rule({ tools: ['files/write', 'own/*'] }),
      rule({ from: [{ organization: 'partner', subject: 'bob' }, { client: 'phone' }] }),
      rule({ offer: 'request' }),
    ];
    expect(decideLend(question(rules))).toEqual({
      allowed: false,
      reason: 'No rule lends files/read_file to travel for this caller.',
    });
    expect(nearMisses(question(rules))).toEqual([
      { rule: 'lending[0]', member: 'to', why: 'it lends to hr' },
      { rule: 'lending[2]', member: 'tools', why: 'it lends files/write, own/*' },
      {
        rule: 'lending[3]',
        member: 'from',
        why: 'it is for the subject bob among callers of partner, or the client phone among callers of our own organization',
      },
      { rule: 'lending[4]', member: 'offer', why: 'it lends only where the caller asks for it' },
    ]);
  });
});

const anyRule = fc.record({
  to: fc.constantFrom('travel', 'hr', 'tr*', '*'),
  tools: fc.array(
    fc.constantFrom('files/read_file', 'files/*', '*/*', 'own/*', 'offered/*', 'hr/*'),
    {
      minLength: 1,
      maxLength: 3,
    },
  ),
  arguments: fc.constantFrom<Record<string, JsonObject>>({}, { 'files/*': { type: 'object' } }),
  maxCalls: fc.integer({ min: 1, max: 50 }),
  maxCallsPerTool: fc.constantFrom<Record<string, number>>({}, { 'files/*': 3 }),
  ttl: fc.integer({ min: 1000, max: 86_400_000 }),
  depth: fc.integer({ min: 0, max: 5 }),
  approval: fc.constantFrom('never' as const, 'always' as const),
  offer: fc.constantFrom('always' as const, 'request' as const),
});
const anyQuestion = fc.record({
  ownOrganization: fc.constant('example'),
  lender: fc.constantFrom(alice, namesake, anonymous, { ...alice, scopes: [] }),
  to: fc.constantFrom('travel', 'hr', 'files'),
  tool: fc.record({
    kind: fc.constantFrom('peer' as const, 'own' as const, 'offered' as const),
    peer: fc.constantFrom('files', 'hr'),
    name: fc.constantFrom('read_file', 'other'),
  }),
  asked: fc.constantFrom('standing' as const, 'request' as const),
});

describe('the rules', () => {
  it('allow nothing where there are none, whoever asks for what', () => {
    fc.assert(
      fc.property(anyQuestion, (asked) => {
        expect(decideLend({ ...asked, rules: [] }).allowed).toBe(false);
      }),
    );
  });

  it('decide the same with one more that does not fit, but for its number', () => {
    fc.assert(
      fc.property(anyQuestion, fc.array(anyRule), anyRule, fc.nat(5), (asked, rules, more, at) => {
        fc.pre(!decideLend({ ...asked, rules: [more] }).allowed);
        const before = decideLend({ ...asked, rules });
        const after = decideLend({ ...asked, rules: rules.toSpliced(at, 0, more) });
        expect(after.allowed).toBe(before.allowed);
        if (!before.allowed || !after.allowed) return;
        expect({ ...after.terms, rule: '' }).toEqual({ ...before.terms, rule: '' });
      }),
    );
  });

  it('lend to strangers and lend foreign tools only where they are named', () => {
    fc.assert(
      fc.property(anyQuestion, fc.array(anyRule), (asked, rules) => {
        const decision = decideLend({ ...asked, rules });
        if (!decision.allowed) return;
        expect(asked.lender).not.toBe(namesake);
        const named = rules.flatMap(({ tools }) => tools);
        expect(asked.tool.kind === 'peer' || named.includes(`${asked.tool.kind}/*`)).toBe(true);
      }),
    );
  });
});

describe('a request to lend', () => {
  const request = (over: Partial<LeaseRequest> = {}): LeaseRequest => ({ tools: ['*/*'], ...over });

  it('takes the smaller bounds and the schemas of both', () => {
    const wide = { ...terms, arguments: [{ type: 'object' }], maxCallsPerTool: 4, depth: 2 };
    const asked = request({
      arguments: { 'files/*': { required: ['path'] }, 'hr/*': {} },
      max_calls: 5,
      max_calls_per_tool: { 'files/*': 2, 'hr/*': 1 },
      expires_in: 60,
      depth: 1,
      approval: 'always',
    });
    expect(narrow(wide, asked, readFile)).toEqual({
      arguments: [{ type: 'object' }, { required: ['path'] }],
      maxCalls: 5,
      maxCallsPerTool: 2,
      ttlMs: 60_000,
      depth: 1,
      approval: true,
      rule: 'lending[0]',
    });
  });

  it('changes nothing where it says nothing, or asks for more', () => {
    expect(narrow(terms, request(), readFile)).toEqual(terms);
    const greedy = request({ max_calls: 999, expires_in: 86_400, depth: 5, approval: 'never' });
    const strict = { ...terms, approval: true };
    expect(narrow(strict, greedy, readFile)).toEqual(strict);
  });

  it('names what it asks for; at a parent lease by the names there', () => {
    expect(asksFor(request({ tools: ['files/read_*'] }), readFile)).toBe(true);
    expect(asksFor(request({ tools: ['files/write'] }), readFile)).toBe(false);
    const offered = { kind: 'offered', peer: 'lease', name: 'files__read_file' } as const;
    const parent = 'https://gw.example.org/callback/x/mcp';
    expect(asksFor(request({ tools: ['files__*'], parent }), offered)).toBe(true);
    const counted = request({ max_calls_per_tool: { files__read_file: 2 }, parent });
    expect(narrow(terms, counted, offered)).toMatchObject({ maxCallsPerTool: 2 });
  });

  it('only ever narrows', () => {
    const count = fc.integer({ min: 1, max: 100 });
    const schema = fc.constantFrom<JsonObject>({ type: 'object' }, { required: ['path'] }, {});
    const anyTerms = fc.record(
      {
        arguments: fc.array(schema),
        maxCalls: count,
        maxCallsPerTool: count,
        ttlMs: fc.integer({ min: 1000, max: 86_400_000 }),
        depth: fc.integer({ min: 0, max: 5 }),
        approval: fc.boolean(),
        rule: fc.constant('lending[0]'),
      },
      { requiredKeys: ['arguments', 'maxCalls', 'ttlMs', 'depth', 'approval', 'rule'] },
    );
    const key = fc.constantFrom('files/read_file', 'files/*', 'hr/*', '*/*', 'own/*', 'no pattern');
    const anyRequest = fc.record(
      {
        tools: fc.constant(['*/*']),
        arguments: fc.dictionary(key, schema),
        max_calls: count,
        max_calls_per_tool: fc.dictionary(key, count),
        expires_in: fc.integer({ min: 1, max: 1_000_000 }),
        depth: fc.integer({ min: 0, max: 5 }),
        approval: fc.constantFrom('never' as const, 'always' as const),
      },
      { requiredKeys: ['tools'] },
    );
    fc.assert(
      fc.property(anyTerms, anyRequest, (before, asked) => {
        const after = narrow(before, asked, readFile);
        expect(after.arguments.slice(0, before.arguments.length)).toEqual(before.arguments);
        expect(after.maxCalls).toBeLessThanOrEqual(before.maxCalls);
        expect(after.maxCallsPerTool ?? Infinity).toBeLessThanOrEqual(
          before.maxCallsPerTool ?? Infinity,
        );
        expect(after.ttlMs).toBeLessThanOrEqual(before.ttlMs);
        expect(after.depth).toBeLessThanOrEqual(before.depth);
        expect(after.approval || !before.approval).toBe(true);
        expect(narrow(after, { tools: ['*/*'] }, readFile)).toEqual(after);
      }),
    );
  });
});
