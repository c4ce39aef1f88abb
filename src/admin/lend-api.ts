/** `POST /admin/leases`: an administrator lends in a caller's name, as the same rules allow. */
import { z } from 'zod';
import { GatewayError, isPeerFault } from '../model/errors.ts';
import { isObject, type JsonObject } from '../model/json.ts';
import type { LeaseOffer } from '../model/lease.ts';
import { anonymous, type Principal } from '../model/principal.ts';
import { scopePattern } from '../policy/permissions.ts';
import type { Peer } from '../ports/peer.ts';
import type { LeaseBook } from '../switchboard/lease-book.ts';
import type { LeaseOffers } from '../switchboard/offers.ts';
import { Problem } from './problem.ts';

/** What lending needs. */
export interface LendApiOptions {
  readonly book: Pick<LeaseBook, 'leaseAt'>;
  readonly offers: Pick<LeaseOffers, 'forAdministrator'>;
  readonly peerAt: (id: string) => Peer | undefined;
  /** Who a caller is today; undefined where nobody vouches for it. */
  readonly today: (lender: Principal) => Principal | undefined;
}

/** So long peers may take to say what they offer and whether they take tools (ms). */
const patienceMs = 30_000;

const text = z.string().min(1).max(1024);

const person = z.strictObject({
  organization: text,
  issuer: text,
  subject: text,
  client: text,
  scopes: z
    .array(z.string().regex(scopePattern, { error: 'expected a scope such as peer:travel:call' }))
    .max(256),
});

const nobody = z.literal('anonymous', {
  error:
    'expected an object of organization, issuer, subject, client and scopes, or "anonymous" in open mode',
});

/** What a caller may send as well; its values are read by who reads callers'. */
const lend = z
  .strictObject({
    tools: z.unknown(),
    arguments: z.unknown(),
    max_calls: z.unknown(),
    max_calls_per_tool: z.unknown(),
    expires_in: z.unknown(),
    depth: z.unknown(),
    approval: z.unknown(),
    parent: z.never({ error: 'not here: what was lent is lent on by whoever holds it' }),
  })
  .partial();

/**
 * Makes an offer. The answer is the only place where its reference is ever shown. Throws a problem
 * where the body is wrong, or the lender may not lend this.
 */
export async function lendFor(
  body: JsonObject,
  by: string,
  options: LendApiOptions,
): Promise<{ id: string; offer: LeaseOffer }> {
  const { lender: named, to } = parsed(body);
  const peer = options.peerAt(to);
  if (peer === undefined) throw refused('to', `there is no peer "${to}"`);
  const lender = options.today(named === 'anonymous' ? anonymous : named);
  if (lender === undefined) {
    throw refused(
      'lender',
      'nobody vouches for this caller here: name an issuer of auth.issuers with its organization, a client of this gateway with its issuer, or "anonymous" where auth.mode is open',
    );
  }
  const signal = AbortSignal.timeout(patienceMs);
  const asked = { lender, lend: body['lend'] as JsonObject, by, signal };
  const offer = await options.offers.forAdministrator(peer, asked).catch((error: unknown) => {
    throw problemOf(error, signal);
  });
  return { id: options.book.leaseAt(offer.resource) ?? '', offer };
}

function parsed(body: JsonObject): { lender: 'anonymous' | z.infer<typeof person>; to: string } {
  // One of the two is meant: what is wrong with the other would only mislead.
  const result = isObject(body['lender'])
    ? z.strictObject({ lender: person, to: text, lend }).safeParse(body)
    : z.strictObject({ lender: nobody, to: text, lend }).safeParse(body);
  if (result.success) return result.data;
  throw invalid(result.error.issues.map(({ path, message }) => ({ path: pathOf(path), message })));
}

/** `lender.scopes[0]` */
function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    return text === '' ? String(key) : `${text}.${String(key)}`;
  }, '');
}

function refused(path: string, message: string): Problem {
  return invalid([{ path, message }]);
}

function invalid(mistakes: readonly { path: string; message: string }[]): Problem {
  const said = mistakes.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`));
  return new Problem(422, `Nothing was lent: ${said.join('; ')}`, { mistakes });
}

/** What the sender can do about a failure; what nobody foresaw stays what it is. */
function problemOf(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return new Problem(502, 'Peers did not say in time what they offer.');
  if (isPeerFault(error)) return new Problem(502, error.message);
  if (!(error instanceof GatewayError)) return error;
  const { field } = error.facts;
  if (typeof field !== 'string') return new Problem(422, error.message);
  return refused(field, error.message.replace(`${field}: `, ''));
}
