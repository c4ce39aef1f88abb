import { describe, expect, it } from 'vitest';
import { parseConfig } from './config/load.ts';
import { formatMistakes } from './config/mistake.ts';
import { policyCommand, type PolicyFlags } from './policy-command.ts';

const peers = `
peers:
  - { id: travel, a2a: { card: "https://travel.partner.example/card.json" } }
  - { id: files, mcp: { url: "https://files.example.org/mcp" } }
`;
const rules = `
lending:
  - { to: hr*, tools: ["files/*"] }
  - to: travel
    tools: [files/read_file, calendar/*, own/*]
    arguments: { files/read_file: { properties: { path: { pattern: "^/public/" } } } }
    maxCallsPerTool: { "files/*": 3 }
    depth: 1
    approval: always
  - { to: travel, tools: [files/write_file], offer: request, ttl: 90s, maxCalls: 1 }
  - { to: travel, tools: [files/list], from: [{ organization: partner, subject: bob }] }
`;
const oauth = `
gateway: { publicUrl: "https://gw.example.org", organization: { id: example } }
auth:
  mode: oauth
  issuers:
    - { issuer: "https://login.example.org", organization: example }
    - { issuer: "https://login.partner.example", organization: partner }
organizations:
  - { id: partner, scopes: ["peer:files:call"] }
`;

function run(text: string, flags: Partial<PolicyFlags>, words = ['explain']) {
  const out: string[] = [];
  const err: string[] = [];
  const code = policyCommand(
    words,
    {
      from: 'anonymous',
      to: 'travel',
      tool: 'files/read_file',
      request: false,
      json: false,
      ...flags,
    },
    {
      config: () => {
        const result = parseConfig(text, { env: {}, readFile: () => '' });
        if (result.ok) return result.config;
        err.push(formatMistakes(result.mistakes));
        return undefined;
      },
      out: (line) => out.push(line),
      err: (line) => err.push(line),
    },
  );
  return { code, out, err };
}

describe('isthmus policy explain', () => {
  it('says what is allowed, by which rule and under which terms', () => {
    expect(run(peers + rules, {})).toEqual({
      code: 0,
      err: [],
      out: [
        'Caller   anonymous of local, through the client anonymous',
        '         peer:*:call lend (those of the anonymous caller)',
        'Call     allowed: files/read_file, by the scope "peer:*:call"',
        'Lend     allowed: files/read_file to travel, by lending[1], the first rule that fits',
        '         at most 20 calls, 3 calls of this tool, for 15m at the longest',
        '         it may be lent on, 1 deep',
        '         a person approves each call',
        '         its arguments have to fit {"properties":{"path":{"pattern":"^/public/"}}}',
      ],
    });
  });

  it('says why not, with every rule that nearly fits', () => {
    expect(run(peers + rules, { tool: 'files/write_file' })).toEqual({
      code: 1,
      err: [],
      out: [
        'Caller   anonymous of local, through the client anonymous',
        '         peer:*:call lend (those of the anonymous caller)',
        'Call     allowed: files/write_file, by the scope "peer:*:call"',
        'Lend     refused: No rule lends files/write_file to travel for this caller.',
        '         lending[0] nearly fits, but it lends to hr*',
        '         lending[1] nearly fits, but it lends files/read_file, calendar/*, own/*',
        '         lending[2] nearly fits, but it lends only where the caller asks for it',
        '         --request shows what a caller gets who asks',
      ],
    });
    const asked = run(peers + rules, { tool: 'files/write_file', request: true });
    expect(asked.code).toBe(0);
    expect(asked.out.slice(3)).toEqual([
      'Lend     allowed: files/write_file to travel, by lending[2], the first rule that fits',
      '         at most 1 call, for 90s at the longest',
      '         it may not be lent on',
      '         nobody is asked about a call',
    ]);
  });

  it('lends nothing by default', () => {
    const { code, out } = run(peers, {});
    expect(code).toBe(1);
    expect(out.at(-1)).toBe(
      'Lend     refused: There is no rule for lending, and without one nothing is lent.',
    );
  });

  it('assumes the most that a token of a caller could say, and says so', () => {
    const list = { tool: 'files/list' };
    const ours = run(oauth + peers + rules, { from: 'example/alice@desk' });
    expect(ours.code).toBe(0);
    expect(ours.out.slice(0, 2)).toEqual([
      'Caller   alice of example, through the client desk',
      '         peer:*:call (assumed: a token of our own organization with all)',
    ]);
    const bob = run(oauth + peers + rules, { from: 'partner/bob', ...list });
    expect(bob.code).toBe(0);
    expect(bob.out.slice(0, 4)).toEqual([
      'Caller   bob of partner, through a client that is not named',
      '         peer:files:call (assumed: all that organizations[].scopes of partner allows)',
      'Call     allowed: files/list, by the scope "peer:files:call"',
      'Lend     allowed: files/list to travel, by lending[3], the first rule that fits',
    ]);
    const carol = run(oauth + peers + rules, { from: 'partner/carol', ...list });
    expect(carol.code).toBe(1);
    expect(carol.out.at(-1)).toBe(
      '         lending[3] nearly fits, but it is for the subject bob among callers of partner',
    );
    expect(run(oauth + peers + rules, { from: 'stranger/bob', ...list }).out.slice(1, 4)).toEqual([
      '         no scopes (assumed: all that organizations[].scopes of stranger allows)',
      'Call     refused: The caller may not call files/list: it lacks the scope "peer:files:call".',
      'Lend     refused: The caller may not call files/list itself: it lacks the scope "peer:files:call".',
    ]);
  });

  it('takes the scopes that are given, within the bounds of the organization', () => {
    const scopes = 'peer:*:read peer:travel:call';
    const ours = run(oauth + peers + rules, { from: 'example/alice', scopes });
    expect(ours.code).toBe(1);
    expect(ours.out.slice(1)).toEqual([
      '         peer:*:read peer:travel:call (as given)',
      'Call     refused: The caller may not call files/read_file: it lacks the scope "peer:files:call".',
      'Lend     refused: The caller may not call files/read_file itself: it lacks the scope "peer:files:call".',
      '         lending[1] would lend it otherwise',
      '         lending[0] nearly fits, but it lends to hr*',
    ]);
    const json = run(oauth + peers + rules, { from: 'partner/bob', scopes, json: true });
    expect(JSON.parse(json.out.join('\n'))).toMatchObject({
      caller: {
        scopes: ['peer:files:read'],
        scopesFrom: 'as given, within organizations[].scopes of partner',
      },
    });
  });

  it('knows what the caller serves itself, and reads a subject that holds an @', () => {
    const own = {
      from: 'example/alice@example.org@',
      scopes: 'admin',
      tool: 'own/read',
      json: true,
    };
    const { code, out } = run(oauth + peers + rules, own);
    expect(code).toBe(0);
    expect(JSON.parse(out.join('\n'))).toEqual({
      caller: {
        organization: 'example',
        subject: 'alice@example.org',
        client: '',
        scopes: ['admin'],
        scopesFrom: 'as given',
      },
      to: 'travel',
      tool: 'own/read',
      asked: 'standing',
      call: { allowed: true, because: 'the caller serves it itself; that needs no scope' },
      lend: {
        allowed: true,
        arguments: [],
        maxCalls: 20,
        ttlMs: 900_000,
        depth: 1,
        approval: true,
        rule: 'lending[1]',
      },
      unknownPeers: [],
    });
  });

  it('says which peers it does not know', () => {
    expect(run(peers + rules, { to: 'trvel', tool: 'fils/a' }).out.slice(2, 4)).toEqual([
      '         "trvel" is no peer of this configuration',
      '         "fils" is no peer of this configuration',
    ]);
  });

  it.each<[string, Partial<PolicyFlags>, string[]?]>([
    ['policy needs to know what to do', {}, []],
    ['policy cannot "exlain"', {}, ['exlain']],
    ['policy explain takes no argument "x"', {}, ['explain', 'x']],
    ['--from needs organization/subject or anonymous', { from: undefined }],
    [
      '--from needs organization/subject, organization/subject@client or anonymous',
      { from: 'alice' },
    ],
    [
      '--from needs organization/subject, organization/subject@client or anonymous',
      { from: 'a/@b' },
    ],
    ['--to needs the id of a peer', { to: 'tra*' }],
    ['--to needs the id of a peer', { to: 'own' }],
    ['--tool needs one tool, such as files/read_file, own/read_file', { tool: 'files/*' }],
    ['--tool needs one tool, such as files/read_file, own/read_file', { tool: 'read_file' }],
    ['--scopes needs scopes such as peer:files:call, with spaces between', { scopes: 'peer:all' }],
  ])('refuses a wrong call: %s', (message, flags, words) => {
    const { code, out, err } = run(peers, flags, words);
    expect(code).toBe(2);
    expect(out).toEqual([]);
    expect(err.join('\n').split('\n')[0]).toBe(`isthmus: ${message}`);
  });

  it('decides nothing without a configuration, and for nobody in particular', () => {
    expect(run('lending: nothing', {})).toMatchObject({ code: 2, out: [] });
    expect(run(oauth + peers, {})).toMatchObject({ code: 2, out: [] });
  });
});
