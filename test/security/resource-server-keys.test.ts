/** SECURITY "Resource server": the keys of issuers, under floods, rotation and outages. */
import { expect, it } from 'vitest';
import { createEgress } from '../../src/peers/guarded-fetch.ts';
import { testKey } from '../support/issuer.ts';
import { issuerFor, resourceServer, travel, trust } from './resource-server-world.ts';

/** A clock that the test moves. */
function clockFrom(start: number): { now: () => number; pass: (ms: number) => void } {
  let at = start;
  return { now: () => at, pass: (ms) => (at += ms) };
}

const hour = 3600;

async function worldWith(options: Parameters<typeof issuerFor>[0] = {}) {
  const idp = await issuerFor(options);
  const clock = clockFrom(Date.now());
  const world = await resourceServer({ issuers: [trust(idp)], clock: clock.now });
  /** Tokens that the moved clock does not outlive. */
  const token = (shape = {}) => {
    const iat = Math.floor(clock.now() / 1000);
    return idp.token({ aud: travel, iat, exp: iat + 10 * hour }, shape);
  };
  return { idp, clock, world, token };
}

it('many callers at the start share one fetch', async () => {
  const { idp, world, token } = await worldWith({ delayMs: 30 });
  const tokens = await Promise.all(Array.from({ length: 20 }, () => token()));
  const answers = await Promise.all(tokens.map((one) => world.bearer(one)));
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
  expect(idp.jwksFetches).toBe(1);
  expect(idp.metadataFetches).toBe(1);
});

it('a flood of unknown keys costs one fetch per half a minute', async () => {
  const { idp, clock, world, token } = await worldWith();
  await world.bearer(await token());
  expect(idp.jwksFetches).toBe(1);
  const stranger = await testKey();
  const flood = async () => {
    const made = Array.from({ length: 60 }, (_, at) =>
      token({ key: stranger.privateKey, kid: `unknown-${at}` }),
    );
    return Promise.all((await Promise.all(made)).map((one) => world.bearer(one)));
  };
  for (const answer of await flood()) {
    expect(answer.status).toBe(401);
    expect(answer.body.error).toBe('invalid_token');
  }
  expect(idp.jwksFetches).toBe(1);
  clock.pass(31_000);
  await flood();
  await flood();
  expect(idp.jwksFetches).toBe(2);
});

it('a flood from issuers that nobody trusts costs none', async () => {
  const { idp, world, token } = await worldWith();
  const other = await issuerFor();
  const tokens = await Promise.all(Array.from({ length: 30 }, () => other.token({ aud: travel })));
  await Promise.all(tokens.map((one) => world.bearer(one)));
  expect(other.jwksFetches + other.metadataFetches).toBe(0);
  expect(idp.jwksFetches).toBe(0);
  expect((await world.bearer(await token())).status).toBe(200);
});

it('a key that the issuer rotates to counts from its first token on, the old one beside it', async () => {
  const { idp, clock, world, token } = await worldWith();
  const before = await token();
  await world.bearer(before);
  clock.pass(31_000);
  await idp.rotate();
  expect((await world.bearer(await token())).status).toBe(200);
  clock.pass(61_000);
  expect((await world.bearer(before)).status).toBe(200);
  expect(idp.jwksFetches).toBe(2);
});

it('a key that the issuer withdrew counts ten minutes more at the longest', async () => {
  const { idp, clock, world, token } = await worldWith();
  const before = await token();
  await world.bearer(before);
  await idp.rotate({ withdraw: true });
  clock.pass(10 * 60_000);
  expect((await world.bearer(before)).status).toBe(401);
});

it('an issuer that is away: 503 with Retry-After, and one attempt in five seconds', async () => {
  const { idp, clock, world, token } = await worldWith();
  idp.failWith(500);
  const first = await world.bearer(await token());
  expect(first.status).toBe(503);
  expect(first.headers['retry-after']).toBe('5');
  expect(first.body.error).toBe('temporarily_unavailable');
  expect(first.challenge).toBe('');
  const attempts = idp.metadataFetches;
  for (let round = 0; round < 10; round += 1) {
    expect((await world.bearer(await token())).status).toBe(503);
  }
  expect(idp.metadataFetches).toBe(attempts);
  idp.failWith(undefined);
  clock.pass(5_001);
  expect((await world.bearer(await token())).status).toBe(200);
  expect(world.faults[0]).toMatchObject({ kind: 'issuer-unavailable', issuer: idp.issuer });
});

it('an issuer that goes away leaves its keys behind for an hour', async () => {
  const { idp, clock, world, token } = await worldWith();
  await world.bearer(await token());
  idp.failWith(503);
  clock.pass(50 * 60_000);
  expect((await world.bearer(await token())).status).toBe(200);
  const stranger = await testKey();
  const unknown = await token({ key: stranger.privateKey, kid: 'new' });
  expect((await world.bearer(unknown)).status).toBe(503);
  clock.pass(11 * 60_000);
  expect((await world.bearer(await token())).status).toBe(503);
});

it.each([
  ['of another issuer', { issuer: 'https://other.example' }],
  ['without a name', { issuer: undefined }],
  ['without keys', { jwks_uri: undefined }],
  ['with keys in a file', { jwks_uri: 'file:///etc/passwd' }],
  ['with keys in a script', { jwks_uri: 'javascript:0' }],
])('metadata %s is not used', async (_title, members) => {
  const { idp, world, token } = await worldWith();
  idp.describe(members);
  expect((await world.bearer(await token())).status).toBe(503);
  expect(idp.jwksFetches).toBe(0);
});

it('metadata of an issuer with a slash more is not used', async () => {
  const { idp, world, token } = await worldWith();
  idp.describe({ issuer: `${idp.issuer}/` });
  expect((await world.bearer(await token())).status).toBe(503);
  expect(idp.jwksFetches).toBe(0);
});

it.each([
  ['oauth', '/tenant', 1],
  ['oidc', '/tenant', 3],
  ['oidc', '', 2],
] as const)('metadata is found where %s at "%s" has it', async (metadata, path, looks) => {
  const { idp, world, token } = await worldWith({ metadata, path });
  expect((await world.bearer(await token())).status).toBe(200);
  expect(idp.metadataFetches).toBe(looks);
});

it('an address of keys in the configuration needs no metadata', async () => {
  const idp = await issuerFor({ metadata: 'none' });
  const issuers = [trust(idp, { jwksUri: idp.jwksUri })];
  const world = await resourceServer({ issuers });
  expect((await world.bearer(await idp.token({ aud: travel }))).status).toBe(200);
  expect(idp.metadataFetches).toBe(0);
});

it.each([
  ['no JSON', '<html>'],
  ['no key set', { keys: 'x' }],
  ['a member twice', '{"keys":[],"keys":[]}'],
  ['a thousand keys', { keys: Array.from({ length: 1000 }, () => ({ kty: 'EC' })) }],
])('keys that are %s are none', async (_title, jwks) => {
  const { idp, world, token } = await worldWith();
  idp.publish(jwks);
  expect((await world.bearer(await token())).status).toBe(503);
});

it('a private key among the published ones does not count: everybody has it', async () => {
  const { idp, world, token } = await worldWith();
  idp.publish({ keys: [{ ...idp.key.privateJwk, kid: idp.key.kid }] });
  expect((await world.bearer(await token())).status).toBe(401);
});

it('a token that names no key needs an issuer that has one', async () => {
  const { idp, clock, world, token } = await worldWith();
  expect((await world.bearer(await token({ kid: null }))).status).toBe(200);
  await idp.rotate();
  clock.pass(10 * 60_000);
  expect((await world.bearer(await token({ kid: null }))).status).toBe(401);
});

it('keys come through the guarded client, which refuses to be sent elsewhere', async () => {
  const idp = await issuerFor();
  const egress = createEgress({ allow: [], allowLoopback: true });
  const strict = createEgress({ allow: [], allowLoopback: false });
  try {
    const open = await resourceServer({ issuers: [trust(idp)], fetch: egress.fetch });
    expect((await open.bearer(await idp.token({ aud: travel }))).status).toBe(200);
    const shut = await resourceServer({ issuers: [trust(idp)], fetch: strict.fetch });
    expect((await shut.bearer(await idp.token({ aud: travel }))).status).toBe(503);
    expect(idp.jwksFetches).toBe(1);
  } finally {
    await Promise.all([egress.close(), strict.close()]);
  }
});
