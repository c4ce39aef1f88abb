/**
 * An open lease: an MCP client that is connected to the callback endpoint.
 */
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import type { LeaseOffer } from '../model/lease.ts';
import { BorrowError, borrowErrorIn } from './borrow-error.ts';
import { accessTo, type LeaseAccess } from './lease-access.ts';
import type { Fetch, OpenLeaseOptions } from './options.ts';

/** Lent tools, ready to be called. `await using` closes it. */
export interface Lease extends AsyncDisposable {
  /** Connected to the callback endpoint, in the revision of the protocol that it speaks best. */
  readonly client: Client;
  /** The names of the tools that were offered. */
  readonly tools: readonly string[];
  /** When it ends at the latest. */
  readonly expiresAt: Date;
  /** Aborted when the lease is over or closed, so that work can stop; the reason says which. */
  readonly ended: AbortSignal;
  /** For requests to the callback endpoint by another MCP client. */
  readonly fetch: Fetch;
  /** Ends the session and stops what is under way. It may be called any number of times. */
  close(): Promise<void>;
}

const goodbyeMs = 2000;

/**
 * Opens a lease: gets a token and connects. Rejects with a BorrowError, or with what the MCP client
 * rejects with where the callback endpoint is not what it should be.
 */
export async function openLease(offer: LeaseOffer, options: OpenLeaseOptions): Promise<Lease> {
  const access = accessTo(offer, options);
  const { clientInfo = { name: 'isthmus-borrower', version: '1' }, clientOptions } = options;
  const client = new Client(clientInfo, {
    versionNegotiation: { mode: 'auto' },
    ...clientOptions,
  });
  const transport = new StreamableHTTPClientTransport(access.resource, { fetch: access.fetch });
  try {
    // What the issuer refuses is told as it is, without the client's negotiation around it.
    await access.tokens.current(access.end.closed);
    await client.connect(transport, { signal: access.end.closed });
  } catch (error) {
    const reason = failure(error, access);
    access.end.close();
    await client.close().catch(() => undefined);
    throw reason;
  }
  return leaseOf({ client, transport, access });
}

function leaseOf({
  client,
  transport,
  access,
}: {
  client: Client;
  transport: StreamableHTTPClientTransport;
  access: LeaseAccess;
}): Lease {
  const { offer, end } = access;
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= closeAll());
  const closeAll = async (): Promise<void> => {
    // A lease that is over has no session left to end.
    if (!end.ended.aborted) {
      await within(goodbyeMs, transport.terminateSession()).catch(() => undefined);
    }
    end.close();
    await client.close();
  };
  end.closed.addEventListener('abort', () => void close(), { once: true });
  return {
    client,
    tools: offer.tools,
    expiresAt: new Date(offer.exp * 1000),
    ended: end.ended,
    fetch: access.fetch,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The first cause that is ours: the MCP client wraps what its `fetch` throws. */
function failure(error: unknown, { end }: LeaseAccess): unknown {
  if (end.ended.aborted && end.ended.reason instanceof BorrowError) return end.ended.reason;
  return borrowErrorIn(error) ?? error;
}

async function within(ms: number, waited: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([waited, late]).finally(() => clearTimeout(timer));
}
