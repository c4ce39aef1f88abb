/**
 * The leases that there are: made, redeemed, looked at before each call, and ended with everything
 * that hangs on them.
 */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { GatewayError } from '../model/errors.ts';
import type { Clock, MintId, RandomBytes } from '../model/ids.ts';
import type { JsonObject } from '../model/json.ts';
import type { LeaseOffer } from '../model/lease.ts';
import { ownerKey, type Principal } from '../model/principal.ts';
import type { AuditLog } from '../ports/audit.ts';
import type { Lease, LeaseEnd, LeaseStore } from '../ports/leases.ts';
import { offeredCalls, type LeasePart } from './lease-details.ts';

/** What a lease is made of; the rest is given to it here. */
export type LeaseDraft = Omit<Lease, 'id' | 'ref' | 'createdAt' | 'jkt' | 'ended'>;

/** What the book needs. */
export interface LeaseBookOptions {
  readonly store: LeaseStore;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly mintId: MintId;
  readonly random: RandomBytes;
  /** The gateway's origin: its issuer and callback URLs begin with it. */
  readonly publicUrl: string;
}

/** A lease and those above it, the first lender's first, this one last. All of them are open. */
export type LeaseChain = readonly [Lease, ...Lease[]];

/** So much of a lease is remembered after its end (ms): what became of it may be asked. */
const keptMs = 7 * 86_400_000;

/** So many parts of one lease may be open: each is a row, and looked at when the lease ends. */
const mostParts = 32;

/** So many open leases are read at once when the gateway starts. */
const page = 500;

/** See the file comment. */
export class LeaseBook {
  readonly #options: LeaseBookOptions;
  /** Open leases by task, so that the end of a task without any costs nothing. */
  readonly #ofTask = new Map<string, Set<string>>();
  /** Calls that run under a lease, its ancestors' included. */
  readonly #running = new Map<string, Set<AbortController>>();

  constructor(options: LeaseBookOptions) {
    this.#options = options;
  }

  /** The issuer of callback tokens. */
  get issuer(): string {
    return `${this.#options.publicUrl}/sts`;
  }

  /** The callback URL of a lease. */
  resourceOf(id: string): string {
    return `${this.#options.publicUrl}/callback/${id}/mcp`;
  }

  /** The lease of a callback URL. */
  leaseAt(resource: string): string | undefined {
    const before = `${this.#options.publicUrl}/callback/`;
    if (!resource.startsWith(before) || !resource.endsWith('/mcp')) return undefined;
    return resource.slice(before.length, -'/mcp'.length);
  }

  /** Makes a lease. The offer holds the only copy of the reference. */
  async lend(
    draft: LeaseDraft,
    { trace, by }: { trace?: string; by?: string } = {},
  ): Promise<{ lease: Lease; offer: LeaseOffer }> {
    const { store, audit, clock, mintId, random } = this.#options;
    const reference = random(32).toString('base64url');
    const lease: Lease = {
      ...draft,
      id: mintId(),
      ref: digestOf(reference),
      createdAt: clock(),
    };
    await store.create(lease);
    await audit.append({
      ...this.#about(lease),
      kind: 'lease.offered',
      actor: by ?? ownerKey(lease.lender),
      ...(trace !== undefined && { trace }),
      facts: {
        to: lease.grantee.peer,
        client: lease.grantee.client,
        tools: lease.tools.map(({ peer, own }) => `${peer}/${own}`),
        expiresAt: lease.expiresAt,
        depth: lease.depth,
        ...(lease.parent !== undefined && { parent: lease.parent }),
        ...(lease.via.length > 0 && { via: [...lease.via] }),
      },
    });
    this.#follow(lease);
    return { lease, offer: this.#offer(lease, reference) };
  }

  /**
   * A part of a lease for its own grantee: a lease below it that nobody can redeem. Undefined where
   * as many as there may be are open.
   */
  async narrow(lease: Lease, part: LeasePart): Promise<Lease | undefined> {
    const { store, clock, mintId, random } = this.#options;
    if ((await store.countParts(lease.id, clock())) >= mostParts) return undefined;
    const { jkt: _pinned, ended: _ended, maxCalls: _all, ...rest } = lease;
    const narrowed: Lease = {
      ...rest,
      ...part,
      id: mintId(),
      ref: digestOf(random(32).toString('base64url')),
      parent: lease.id,
      ancestors: [...lease.ancestors, lease.id],
      depth: 0,
      createdAt: clock(),
    };
    await store.create(narrowed);
    return narrowed;
  }

  /** A lease with all above it; undefined when there is none, or one of them has ended. */
  async open(id: string): Promise<LeaseChain | undefined> {
    const { store, clock } = this.#options;
    const lease = await store.get(id);
    if (lease === undefined) return undefined;
    const above = await Promise.all(lease.ancestors.map((one) => store.get(one)));
    const chain = [...above, lease];
    const now = clock();
    const isOpen = chain.every(
      (one) => one !== undefined && one.ended === undefined && one.expiresAt > now,
    );
    return isOpen ? (chain as unknown as LeaseChain) : undefined;
  }

  /** A lease by the reference that its grantee was given. */
  async byReference(reference: string): Promise<LeaseChain | undefined> {
    const lease = await this.#options.store.byRef(digestOf(reference));
    return lease && this.open(lease.id);
  }

  /** Runs a call that ends with the lease: the signal aborts when any lease of the chain does. */
  running(chain: LeaseChain): { signal: AbortSignal; done: () => void } {
    const controller = new AbortController();
    for (const { id } of chain) {
      const calls = this.#running.get(id) ?? new Set();
      this.#running.set(id, calls.add(controller));
    }
    // Whoever waits for a person or a slow tool must not outlast the lease either.
    const { expiresAt } = chain[chain.length - 1] ?? chain[0];
    const timer = setTimeout(
      () => controller.abort(leaseOver('It has expired.')),
      Math.min(Math.max(expiresAt - this.#options.clock(), 0), 2 ** 31 - 1),
    ).unref();
    const done = (): void => {
      clearTimeout(timer);
      for (const { id } of chain) {
        const calls = this.#running.get(id);
        calls?.delete(controller);
        if (calls?.size === 0) this.#running.delete(id);
      }
    };
    return { signal: controller.signal, done };
  }

  /** Ends a lease and all below it, also calls that run; the ids of those that were open. */
  async end(id: string, how: LeaseEnd, by?: string): Promise<string[]> {
    const { store, audit, clock } = this.#options;
    const ended = await store.end(id, { at: clock(), how });
    for (const one of ended) {
      for (const call of this.#running.get(one) ?? []) call.abort(leaseOver(words[how]));
    }
    await Promise.all(
      ended.map(async (one) => {
        const lease = await store.get(one);
        if (lease === undefined) return;
        this.#forget(lease);
        await audit.append({
          ...this.#about(lease),
          kind: 'lease.ended',
          ...(by !== undefined && { actor: by }),
          facts: { how, ...(one !== id && { with: id }) },
        });
      }),
    );
    return ended;
  }

  /** Whether something is lent for a task. */
  hasLease(taskId: string): boolean {
    return this.#ofTask.has(taskId);
  }

  /** The open leases that were lent for a task. Parts of them end with them. */
  async ofTask(task: string): Promise<Lease[]> {
    const { store, clock } = this.#options;
    const leases = await Promise.all(
      [...(this.#ofTask.get(task) ?? [])].map((id) => store.get(id)),
    );
    const now = clock();
    return leases.flatMap((lease) =>
      lease === undefined || lease.ended !== undefined || lease.expiresAt <= now ? [] : [lease],
    );
  }

  /** Whether something was lent for a task, whose time is over. */
  async hasExpired(task: string): Promise<boolean> {
    const [last] = await this.#options.store.list({ task, limit: 1 });
    return last !== undefined && last.ended === undefined;
  }

  /** The first lender of a lease, also of one that has ended. */
  async lenderOf(id: string): Promise<Principal | undefined> {
    const lease = await this.#options.store.get(id);
    const [root] = lease?.ancestors ?? [];
    if (root === undefined) return lease?.lender;
    return (await this.#options.store.get(root))?.lender;
  }

  /** Ends what was lent for a task. */
  async taskEnded(taskId: string): Promise<void> {
    const leases = [...(this.#ofTask.get(taskId) ?? [])];
    this.#ofTask.delete(taskId);
    await Promise.all(leases.map((id) => this.end(id, 'task')));
  }

  /** Reads the open leases back; those of tasks that `isAlive` does not know are ended. */
  async recover(isAlive: (taskId: string) => Promise<boolean>): Promise<void> {
    const { store, clock } = this.#options;
    let after: { createdAt: number; id: string } | undefined;
    for (;;) {
      const leases = await store.list({ openAt: clock(), limit: page, ...(after && { after }) });
      for (const lease of leases) {
        if (lease.task === undefined || (await isAlive(lease.task))) this.#follow(lease);
        else await this.end(lease.id, 'task');
      }
      const last = leases.at(-1);
      if (last === undefined || leases.length < page) return;
      after = { createdAt: last.createdAt, id: last.id };
    }
  }

  /** Forgets some of what ended long ago; how many. */
  sweep(now: number): Promise<number> {
    return this.#options.store.sweep(now - keptMs);
  }

  #offer(lease: Lease, reference: string): LeaseOffer {
    const calls = offeredCalls(lease);
    return {
      iss: this.issuer,
      resource: this.resourceOf(lease.id),
      lease_ref: reference,
      exp: Math.floor(lease.expiresAt / 1000),
      tools: lease.tools.map(({ name }) => name),
      ...(calls !== undefined && { max_calls: calls }),
      depth: lease.depth,
      via: [...lease.via],
    };
  }

  #follow({ id, task }: Lease): void {
    if (task === undefined) return;
    this.#ofTask.set(task, (this.#ofTask.get(task) ?? new Set()).add(id));
  }

  #forget({ id, task }: Lease): void {
    if (task === undefined) return;
    const leases = this.#ofTask.get(task);
    leases?.delete(id);
    if (leases?.size === 0) this.#ofTask.delete(task);
  }

  #about(lease: Lease): { lease: string; owner: string; task?: string } {
    const { id, lender, task } = lease;
    return { lease: id, owner: ownerKey(lender), ...(task !== undefined && { task }) };
  }
}

/** What is kept of a reference. */
export function digestOf(reference: string): string {
  return createHash('sha256').update(reference).digest('base64url');
}

/** The failure of a call whose lease is over. */
export function leaseOver(why: string): GatewayError {
  return new GatewayError(
    'forbidden',
    `These tools are not lent any more. ${why} Go on without them.`,
  );
}

const words: Readonly<Record<LeaseEnd, string>> = {
  task: 'The task that they were lent for has ended.',
  revoked: 'They were taken back.',
  replaced: 'They were offered anew: use the newer offer.',
};

/** A trace id, as the audit log has it. */
export function traceIdOf(trace: { traceparent: string } | undefined): { trace?: string } {
  const id = trace?.traceparent.split('-')[1];
  return id === undefined ? {} : { trace: id };
}

/** The digest of arguments: what the audit log keeps of them. */
export function argumentsDigest(args: JsonObject): string {
  return digestOf(canonicalize(args) ?? '');
}
