/**
 * The checks of a call under a lease, in their order: the lease and all above it are open, the tool
 * is lent, the arguments fit, the rules of today still allow it, the budgets of the whole chain have
 * room, and whoever has to approve has. Token and proof were checked before.
 */
import { isDeepStrictEqual } from 'node:util';
import { GatewayError } from '../model/errors.ts';
import type { JsonObject } from '../model/json.ts';
import type { AuditEvent, AuditLog } from '../ports/audit.ts';
import { ownerKey, type Principal } from '../model/principal.ts';
import type { Charge, Lease, LeaseStore, LentTool } from '../ports/leases.ts';
import type { SchemaValidator } from '../translate/json-schema.ts';
import type { Approvals } from './approval.ts';
import { argumentsDigest, leaseOver, type LeaseBook, type LeaseChain } from './lease-book.ts';
import { leafOf } from './redemption.ts';
import { reasonOf, RefusedCallError } from './refused-call.ts';

/** What today's rules say of a tool that was lent. */
export type StillLent =
  | {
      readonly allowed: true;
      /** The lender with the scopes that it has today. */
      readonly lender: Principal;
      readonly arguments: readonly JsonObject[];
      readonly approval: boolean;
    }
  | { readonly allowed: false; readonly reason: string };

/** What checking needs. */
export interface CallChecksOptions {
  readonly book: LeaseBook;
  readonly store: Pick<LeaseStore, 'charge' | 'chargeWithin'>;
  readonly audit: AuditLog;
  readonly schemas: Pick<SchemaValidator, 'check'>;
  readonly approvals: Approvals;
  /** Asked at each call: the configuration may have changed since the tool was lent. */
  readonly stillLent: (chain: LeaseChain, tool: LentTool) => StillLent;
}

/** A call that came in. */
export interface LentCall {
  /** The lease that the caller's token was given out for. */
  readonly under: string;
  readonly name: string;
  readonly arguments: JsonObject;
  readonly caller: Principal;
  /** The callback's own task. */
  readonly task?: string;
  readonly trace?: string;
  /** An earlier process has charged it. */
  readonly isCharged?: boolean;
}

/** What happens on the way. */
export interface CheckHooks {
  /** The call depends on these leases from now on; the signal says that it must not go on. */
  running(chain: LeaseChain): AbortSignal;
  /** It has been charged, and somebody is asked about it. */
  charged(): void;
}

/** A call that may be made. */
export interface AllowedCall {
  readonly chain: LeaseChain;
  readonly tool: LentTool;
  readonly lender: Principal;
  /** What the audit log says of it. */
  readonly about: Omit<AuditEvent, 'kind' | 'facts'>;
}

/** See the file comment. */
export class CallChecks {
  readonly #options: CallChecksOptions;

  constructor(options: CallChecksOptions) {
    this.#options = options;
  }

  /** The chain of leases that a call is made under. Throws `forbidden` where it is over. */
  async chain(under: string | undefined): Promise<LeaseChain> {
    const chain = under === undefined ? undefined : await this.#options.book.open(under);
    if (chain === undefined) throw leaseOver(over);
    return chain;
  }

  /**
   * Allows a call, or throws: `forbidden` where the tool is not lent or the lease is over, a
   * `RefusedCallError` where the borrower can go on otherwise.
   */
  async allow(call: LentCall, hooks: CheckHooks): Promise<AllowedCall> {
    const { audit } = this.#options;
    let about: AllowedCall['about'] = { actor: ownerKey(call.caller), lease: call.under };
    try {
      const chain = await this.chain(call.under);
      about = aboutCall(call, chain);
      const tool = lentTool(chain, call.name);
      about = aboutCall(call, chain, tool);
      const today = this.#today(chain, tool);
      this.#checkArguments(tool, today.arguments, call.arguments);
      const facts = { arguments: argumentsDigest(call.arguments) };
      const event: AuditEvent = { ...about, kind: 'call.allowed', facts };
      const charges = call.isCharged === true ? [] : chargesFor(chain, tool);
      const asking = whoApproves(chain, tool, today);
      if (asking.length === 0) {
        hooks.running(chain).throwIfAborted();
        await this.#chargeWith(event, charges);
        return { chain, tool, lender: today.lender, about };
      }
      // Nobody is asked about a call that has no room.
      this.#checkRoom(await this.#options.store.charge(charges));
      hooks.charged();
      const signal = hooks.running(chain);
      await this.#approve({ asking, tool, chain }, call, signal);
      const { lender } = await this.#again(call);
      signal.throwIfAborted();
      await audit.append(event);
      return { chain, tool, lender, about };
    } catch (error) {
      if (error instanceof GatewayError) {
        await audit.append({ ...about, kind: 'call.refused', facts: { reason: reasonOf(error) } });
      }
      throw error;
    }
  }

  /** Looks once more: while a person made up their mind, the operator may have too. */
  async #again({ under, name, arguments: args }: LentCall): Promise<Allowed> {
    const chain = await this.chain(under);
    const tool = lentTool(chain, name);
    const today = this.#today(chain, tool);
    this.#checkArguments(tool, today.arguments, args);
    return today;
  }

  #today(chain: LeaseChain, tool: LentTool): Allowed {
    // Work that goes round would never end.
    if (chain.some(({ grantee }) => grantee.peer === tool.peer)) {
      throw new RefusedCallError(
        'forbidden',
        'This call would lead back to an agent that it comes from, and is not made.',
      );
    }
    const today = this.#options.stillLent(chain, tool);
    if (today.allowed) return today;
    throw new RefusedCallError('forbidden', `This tool is not lent any more. ${today.reason}`);
  }

  #checkArguments(tool: LentTool, today: readonly JsonObject[], args: JsonObject): void {
    for (const schema of [...tool.arguments, ...today]) {
      const verdict = this.#options.schemas.check(schema, args);
      // A bound that cannot be enforced is no bound: nothing passes it.
      const problems = verdict.ok
        ? verdict.unchecked === undefined
          ? []
          : [{ field: '', message: `cannot be checked. ${verdict.unchecked}` }]
        : verdict.problems;
      if (problems.length === 0) continue;
      const lines = problems.map(({ field, message }) => `- ${field}: ${message}`);
      throw new RefusedCallError(
        'invalid-params',
        `The tool is lent for other arguments than these:\n${lines.join('\n')}`,
        // Names in them are the caller's, and what they are compared with is the operator's.
        { reason: 'The tool is lent for other arguments.' },
      );
    }
  }

  /** Counts a call and records that it is allowed: one commit, and none without the other. */
  async #chargeWith(allowed: AuditEvent, charges: readonly Charge[]): Promise<void> {
    const { store, audit } = this.#options;
    let refused: Charge | 'ended' | undefined;
    await audit.append(allowed, () => {
      refused = store.chargeWithin(charges);
      return refused === undefined;
    });
    this.#checkRoom(refused);
  }

  #checkRoom(exhausted: Charge | 'ended' | undefined): void {
    if (exhausted === undefined) return;
    // It was open when the call came in.
    if (exhausted === 'ended') throw leaseOver(over);
    const what = exhausted.key.startsWith('tool ') ? 'this tool' : 'these tools';
    throw new RefusedCallError(
      'too-many',
      `All ${exhausted.most ?? 0} calls of ${what} that were lent are used. Go on without it.`,
    );
  }

  /** Whoever lent it is asked, the first lender first. */
  async #approve(
    { asking, tool, chain }: { asking: readonly Lease[]; tool: LentTool; chain: LeaseChain },
    { arguments: args, trace }: LentCall,
    signal: AbortSignal,
  ): Promise<void> {
    for (const lease of asking) {
      await this.#options.approvals.approve(lease, tool, {
        arguments: args,
        signal,
        below: granteesBelow(lease, chain),
        ...(trace !== undefined && { trace }),
      });
    }
  }
}

const over = 'They were taken back, or their time is over.';

type Allowed = Extract<StillLent, { allowed: true }>;

function lentTool(chain: LeaseChain, name: string): LentTool {
  const tool = leafOf(chain).tools.find((one) => one.name === name);
  if (tool !== undefined) return tool;
  throw new GatewayError('forbidden', `The tool "${name}" is not lent. List the tools again.`);
}

function toolIn({ tools }: Lease, { peer, own }: LentTool): LentTool | undefined {
  return tools.find((tool) => tool.peer === peer && tool.own === own);
}

/** The leases whose lenders are asked before each call. */
function whoApproves(chain: LeaseChain, tool: LentTool, today: { approval: boolean }): Lease[] {
  return chain.filter((lease, index) => {
    const own = toolIn(lease, tool);
    if (own === undefined || !(own.approval || (index === 0 && today.approval))) return false;
    // A part of a lease is its grantee's own doing: nobody is asked a second time for it.
    return lease.task === undefined || lease.task !== chain[index - 1]?.task;
  });
}

/** Who holds the leases below one, from above; a part of a lease has the grantee of the whole. */
function granteesBelow(lease: Lease, chain: LeaseChain): Lease['grantee'][] {
  return chain.slice(chain.indexOf(lease) + 1).flatMap(({ grantee, parent }) => {
    const above = chain.find(({ id }) => id === parent)?.grantee;
    return isDeepStrictEqual(grantee, above) ? [] : [grantee];
  });
}

/** Every lease of the chain counts the call, under its own bounds. */
function chargesFor(chain: LeaseChain, tool: LentTool): Charge[] {
  return chain.flatMap((lease) => {
    const { id, maxCalls } = lease;
    const all = { lease: id, key: '', ...(maxCalls !== undefined && { most: maxCalls }) };
    const budgets = new Map<string, number>();
    for (const { key, most } of toolIn(lease, tool)?.budgets ?? []) {
      budgets.set(key, Math.min(most, budgets.get(key) ?? Infinity));
    }
    return [all, ...[...budgets].map(([key, most]) => ({ lease: id, key, most }))];
  });
}

/** What the audit log says of a call: its task is the one that the first lender's caller sees. */
export function aboutCall(
  { under, caller, trace }: Pick<LentCall, 'under' | 'caller' | 'trace'>,
  chain: LeaseChain,
  tool?: LentTool,
): AllowedCall['about'] {
  const [{ lender, task }] = chain;
  return {
    actor: ownerKey(caller),
    lease: under,
    owner: ownerKey(lender),
    ...(tool !== undefined && { peer: tool.peer, tool: tool.own }),
    ...(task !== undefined && { task }),
    ...(trace !== undefined && { trace }),
  };
}
