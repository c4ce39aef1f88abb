/**
 * The offer, as it comes from outside: found, and checked before anything is done with it.
 *
 * Spec: docs/callbacks.md, "The offer"
 */
import { z } from 'zod';
import { isObject } from '../model/json.ts';
import { leaseExtension, leaseMeta, type LeaseOffer } from '../model/lease.ts';
import { allowedUrl, type UrlRule } from './allowed-url.ts';
import { BorrowError } from './borrow-error.ts';

/** The last second that a date of four digits has. */
const maxTime = 253_402_300_799;
const maxTools = 10_000;

const schema = z.object({
  iss: z.string().min(1),
  resource: z.string().min(1),
  // It becomes a form parameter: one printable word.
  lease_ref: z.string().regex(/^[\x21-\x7e]{16,1024}$/),
  exp: z.int().positive().max(maxTime),
  tools: z.array(z.string().min(1).max(1024)).min(1).max(maxTools),
  max_calls: z.int().nonnegative().optional(),
  depth: z.int().nonnegative().optional(),
  via: z.array(z.string()).max(100).optional(),
});

/** Plain http is for loopback alone; a caller that wants none of it says so when it opens. */
const urls: UrlRule = { allowLoopbackHttp: true };

/** An offer with nothing but its own members. Throws `invalid-offer`, which names the flaw. */
export function parseOffer(value: unknown): LeaseOffer {
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(
      issue === undefined || issue.path.length === 0 ? undefined : issue.path.join('.'),
    );
  }
  const { max_calls, depth, via, ...offer } = parsed.data;
  const issuer = allowedUrl(offer.iss, urls);
  // Spec: RFC 8414 §2: an issuer has no query and no fragment.
  if (issuer === undefined || offer.iss.includes('?')) throw invalid('iss');
  if (allowedUrl(offer.resource, urls) === undefined) throw invalid('resource');
  return {
    ...offer,
    ...(max_calls !== undefined && { max_calls }),
    ...(depth !== undefined && { depth }),
    ...(via !== undefined && { via }),
  };
}

function invalid(member: string | undefined): BorrowError {
  const where = member === undefined ? '' : ` ("${member}")`;
  return new BorrowError(
    'invalid-offer',
    `The offer of tools is not in the form of ${leaseExtension}${where}. Go on without the tools; whoever sent it has to look into this.`,
  );
}

/**
 * The offer in what an agent or server was sent: an A2A message (or the SDK's request context around
 * it), MCP request params or their `_meta`, or the context that an MCP SDK gives to a handler.
 * Undefined when there is none. Throws `invalid-offer` when it is malformed.
 */
export function offerIn(source: unknown): LeaseOffer | undefined {
  for (const value of valuesIn(source)) {
    // The same member carries a request to lend, which is for gateways.
    const isRequest =
      isObject(value) && Object.hasOwn(value, 'lend') && !Object.hasOwn(value, 'iss');
    if (!isRequest) return parseOffer(value);
  }
  return undefined;
}

/** What is around the metadata, in either protocol and its SDKs. */
const wrappers = ['params', 'mcpReq', 'message', 'userMessage', 'request'];
const maxDepth = 2;

/** What stands where an offer does, the outermost first. */
function valuesIn(source: unknown, depth = 0): unknown[] {
  if (!isObject(source)) return [];
  const { metadata, _meta: meta } = source;
  const inner = depth < maxDepth ? wrappers : [];
  return [
    // A protocol's own member is not looked for in the other's metadata.
    ...memberOf(metadata, leaseExtension),
    ...memberOf(meta, leaseMeta),
    ...(depth === 0 ? [...memberOf(source, leaseExtension), ...memberOf(source, leaseMeta)] : []),
    ...inner.flatMap((name) => valuesIn(source[name], depth + 1)),
  ];
}

function memberOf(value: unknown, name: string): unknown[] {
  return isObject(value) && Object.hasOwn(value, name) ? [value[name]] : [];
}
