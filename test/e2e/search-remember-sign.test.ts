/**
 * "Search, remember, sign": a person of organization A asks an agent of organization B, which calls
 * back into three servers of A. One of them signs, with a key that nobody is ever shown.
 */
import { createPrivateKey, createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CallToolResult } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectModernClient } from '../support/mcp-clients.ts';
import { filesIn, startOrganizations, type Organizations } from './search-remember-sign-world.ts';

interface Report {
  finding: string;
  remembered: boolean;
  undone: string[];
  signature: { signature: string; algorithm: string; keyId: string };
}

describe.each([
  { how: 'by itself', far: false },
  { how: 'behind the gateway of its organization', far: true },
])('an agent of another organization, $how', ({ far }) => {
  let world: Organizations;
  let result: CallToolResult;
  let report: Report;
  let publicKey: { pem: string; keyId: string };
  let recalled: CallToolResult;

  beforeAll(async () => {
    world = await startOrganizations({ far });
    const token = await world.logIn('alice');
    const headers = { authorization: `Bearer ${token}` };
    const client = await connectModernClient(`${world.gateway.url}/mcp`, { headers });
    const message = 'How was the Tacoma Narrows Bridge destroyed?';
    result = await client.callTool({ name: 'ask_research', arguments: { message } });
    report = (result.structuredContent as { data: Report[] }).data[0] as Report;
    const shown = await client.callTool({ name: 'vault__public_key', arguments: {} });
    publicKey = shown.structuredContent as typeof publicKey;
    const query = { name: 'memory__recall', arguments: { query: 'Tacoma' } };
    recalled = await client.callTool(query);
    await client.close();
  }, 60_000);
  afterAll(() => world.close());

  it('finds an answer, has it remembered, and has it signed by a key of the lender', () => {
    expect(report.undone).toEqual([]);
    expect(report.finding).toContain('aeroelastic flutter');
    expect(recalled.structuredContent).toMatchObject({ entries: [{ text: report.finding }] });
    const { signature, algorithm, keyId } = report.signature;
    expect([algorithm, keyId]).toEqual(['Ed25519', publicKey.keyId]);
    const isSigned = (text: string): boolean =>
      verify(null, Buffer.from(text), publicKey.pem, Buffer.from(signature, 'base64url'));
    expect(isSigned(report.finding)).toBe(true);
    expect(isSigned(`${report.finding} `)).toBe(false);
    const own = createPrivateKey(readFileSync(world.keyFileOf('vault')));
    const { x } = createPublicKey(publicKey.pem).export({ format: 'jwk' });
    expect(own.export({ format: 'jwk' }).x).toBe(x);
  });

  it('leaves each secret where it has to be: on no other wire, in no log, store or result', () => {
    const places = {
      ...world.places(),
      'the results': JSON.stringify([result, recalled, publicKey]),
    };
    const found = Object.entries(secretsOf(world, places)).map(([name, secret]) => {
      const { values, places: expected } = secret;
      const where = Object.entries(places).flatMap(([place, text]) =>
        values.some((value) => text.includes(value)) ? [place] : [],
      );
      const isKnown = values.length > 0 && !values.includes('');
      return { name, isKnown, where: where.sort(), expected: [...expected].sort() };
    });
    expect(found.filter(({ isKnown }) => !isKnown)).toEqual([]);
    expect(found.map(({ name, where }) => ({ name, where }))).toEqual(
      found.map(({ name, expected }) => ({ name, where: expected })),
    );
  });

  it('was heard in bytes that were not packed, at every place', () => {
    const places = world.places();
    expect(Object.values(places).filter((text) => /content-encoding: \S/i.test(text))).toEqual([]);
    const silent = Object.entries(places).flatMap(([name, text]) => (text === '' ? [name] : []));
    expect(silent).toEqual([]);
  });

  it('is offered tools once, outside of anything that a model reads', () => {
    const sent = world.places()['sent to research'] ?? '';
    expect(matches(sent, leaseRef)).toHaveLength(1);
    const shown = matches(sent, /"parts":(\[.*?\])/g);
    expect(shown.length).toBeGreaterThan(0);
    expect(shown.filter((parts) => parts.includes('lease'))).toEqual([]);
  });
});

/** Where each secret may be; it has to be in all of these, and must be nowhere else. */
interface Secret {
  readonly values: readonly string[];
  readonly places: readonly string[];
}

const leaseRef = /"lease_ref":"([^"]+)"/g;
const bearer = /authorization: (?:Bearer|DPoP) (\S+)/gi;
const assertion = /client_assertion=([\w.-]+)/g;
const privateJwk = /"d":\s*"([\w-]{20,})"/g;

function secretsOf(world: Organizations, places: Record<string, string>): Record<string, Secret> {
  const fromBorrower = 'sent to the gateway by the borrower';
  const fromClient = 'sent to the gateway by the client';
  const at = (place: string): string => places[place] ?? '';
  const idpTokens = world.idp.tokenRequests.flatMap(({ reply = {} }) =>
    [reply['access_token'], reply['id_token'], reply['refresh_token']].flatMap((value) =>
      typeof value === 'string' ? [value] : [],
    ),
  );
  const keys = filesIn(join(world.gateway.dir, 'keys'));
  return {
    "the vault's key": { values: formsOf(world.keyFileOf('vault')), places: [] },
    "the agent's key": { values: formsOf(world.keyFileOf('research')), places: [] },
    "the gateway's keys": { values: matches(keys, privateJwk), places: [] },
    'the admin token': { values: [world.gateway.adminToken], places: [] },
    "the gateway's credential at the vault": {
      values: [world.vaultToken],
      places: ['sent to vault'],
    },
    "the person's access token": {
      values: matches(at(fromClient), bearer),
      places: [fromClient, 'answered to the client'],
    },
    // The gateway asks it who the person is.
    "the provider's tokens": { values: idpTokens, places: ['sent to the identity provider'] },
    "the borrower's tokens": {
      values: matches(at(fromBorrower), bearer),
      places: [fromBorrower, 'answered to the borrower'],
    },
    "the borrower's client assertions": {
      values: matches(at(fromBorrower), assertion),
      places: [fromBorrower],
    },
    ...(world.far === undefined
      ? {
          'the lease_ref': {
            values: matches(at('sent to research'), leaseRef),
            places: ['sent to research', fromBorrower],
          },
        }
      : secretsOfFar(world.far.dir, at)),
  };
}

/** With the gateway of B: the lease of A ends there, and the agent has one of B. */
function secretsOfFar(dir: string, at: (place: string) => string): Record<string, Secret> {
  const toFar = 'sent to the gateway of B';
  return {
    "the far gateway's keys": {
      values: matches(filesIn(join(dir, 'keys')), privateJwk),
      places: [],
    },
    'the tokens at the far gateway': {
      values: matches(at(toFar), bearer),
      places: [toFar, 'answered by the gateway of B'],
    },
    'the client assertions at the far gateway': {
      values: matches(at(toFar), assertion),
      places: [toFar],
    },
    "the far gateway's lease_ref": {
      values: matches(at(toFar), leaseRef),
      places: [toFar, 'sent to the gateway by the borrower'],
    },
    "the agent's lease_ref": {
      values: matches(at('sent to research'), leaseRef),
      places: ['sent to research', toFar],
    },
  };
}

/** A private key in the forms that it could be written in. */
function formsOf(file: string): string[] {
  const pem = readFileSync(file, 'latin1');
  const d = createPrivateKey(pem).export({ format: 'jwk' }).d ?? '';
  const bytes = Buffer.from(d, 'base64url');
  const lines = pem.split('\n').filter((line) => line !== '' && !line.startsWith('-----'));
  return [d, bytes.toString('base64'), bytes.toString('hex'), bytes.toString('latin1'), ...lines];
}

function matches(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, value = '']) => value))];
}
