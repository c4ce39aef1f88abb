/**
 * What goes to a peer with a call: the tools that its caller may call itself, as far as the rules
 * lend them to this peer, and the caller's request wants them.
 */
import { GatewayError } from '../model/errors.ts';
import type { JsonObject } from '../model/json.ts';
import type { LeaseOffer, LeaseRequest } from '../model/lease.ts';
import { ownerKey, type Principal } from '../model/principal.ts';
import { asksFor, decideLend, narrow, type LendingRule } from '../policy/lending.ts';
import { matchesWord, toolText, type LendableTool } from '../policy/tool-pattern.ts';
import type { AuditLog } from '../ports/audit.ts';
import type { Grantee } from '../ports/leases.ts';
import type { Peer, PeerContext } from '../ports/peer.ts';
import { leaseOfferFrom, leaseRequestFrom } from '../translate/lease-shapes.ts';
import type { SchemaValidator } from '../translate/json-schema.ts';
import type { Candidates } from './candidates.ts';
import { traceIdOf, type LeaseBook } from './lease-book.ts';
import { checkSchemas, lentTool, nothingLent, type Chosen } from './lendable.ts';
import { lendOn } from './lending-on.ts';
import type { Offers } from './lending-peer.ts';
import { reasonOf } from './refused-call.ts';

/** What offers are made with. */
export interface OffersOptions {
  readonly book: LeaseBook;
  readonly candidates: Candidates;
  readonly audit: AuditLog;
  readonly schemas: Pick<SchemaValidator, 'flawOf'>;
  /** The rules in force, and whose gateway this is. */
  readonly rules: () => {
    readonly rules: readonly LendingRule[];
    readonly ownOrganization: string;
  };
  /** As which client a peer redeems leases; undefined where it takes none. */
  readonly granteeOf: (peer: Peer, context: PeerContext) => Promise<Grantee | undefined>;
  /** As which client a peer says that it redeems leases, whether that is believed or not. */
  readonly clientOf: (peerId: string, context: PeerContext) => Promise<string | undefined>;
  readonly clock: () => number;
}

/** What an administrator lends in a caller's name. */
export interface AdministratorsLending {
  readonly lender: Principal;
  /** The member `lend`, as a caller would send it. */
  readonly lend: JsonObject;
  /** Who administers. */
  readonly by: string;
  readonly signal: AbortSignal;
}

/** So many names of a request that is refused are kept: its sender may have made them up. */
const recordedTools = 16;

/** Who wants to lend to a peer, and what. */
interface Asked {
  readonly peer: Peer;
  readonly context: Pick<PeerContext, 'principal' | 'task' | 'trace'>;
  readonly request: LeaseRequest | undefined;
}

/** See the file comment. */
export class LeaseOffers implements Offers {
  readonly #options: OffersOptions;

  constructor(options: OffersOptions) {
    this.#options = options;
  }

  hasLease(task: string): boolean {
    return this.#options.book.hasLease(task);
  }

  concern(peer: Peer, { lending, task }: PeerContext): boolean {
    if (lending !== undefined || this.#rulesFor(peer).length > 0) return true;
    return task !== undefined && this.hasLease(task);
  }

  async forStart(peer: Peer, context: PeerContext): Promise<LeaseOffer | undefined> {
    if (context.isCallback === true || context.task === undefined) return undefined;
    const request = context.lending && leaseRequestFrom(context.lending);
    return this.#recorded({ peer, context, request }, () => this.#forStart(peer, context, request));
  }

  async #forStart(
    peer: Peer,
    context: PeerContext,
    request: LeaseRequest | undefined,
  ): Promise<LeaseOffer | undefined> {
    const { schemas, granteeOf } = this.#options;
    const said = context.lending;
    const offered = said && leaseOfferFrom(said);
    const rules = this.#rulesFor(peer);
    if (rules.length === 0) {
      if (request !== undefined) throw nothingLent(peer);
      return undefined;
    }
    const isStanding = rules.some(({ offer }) => offer === 'always');
    if (request === undefined && offered === undefined && !isStanding) return undefined;
    const grantee = await granteeOf(peer, context);
    if (grantee === undefined) {
      if (request !== undefined) throw takesNone(peer);
      return undefined;
    }
    // Only now: compiling the schemas of a request that leads to nothing would be work for nothing.
    if (said !== undefined) checkSchemas(said, schemas);
    if (request?.parent !== undefined)
      return lendOn({ peer, grantee, context, request }, this.#options);
    const chosen = await this.#choose(rules, {
      peer,
      grantee,
      context,
      request,
      ...(offered !== undefined && { offered }),
    });
    return this.#lend(chosen, { peer, grantee, context, request });
  }

  async forFollowUp(
    peer: Peer,
    context: PeerContext,
    known: LeaseOffer | undefined,
  ): Promise<LeaseOffer | undefined> {
    const { task, lending } = context;
    if (task === undefined) return undefined;
    const { book } = this.#options;
    const before = await book.ofTask(task);
    if (lending === undefined) {
      // What was lent still is: an agent has its offer, and a server gets it again.
      const stands = peer.protocol === 'a2a' || known !== undefined;
      if (before.length > 0 ? stands : !(await book.hasExpired(task))) return undefined;
    }
    const offer = await this.forStart(peer, context);
    if (offer === undefined) return undefined;
    await Promise.all(before.map(({ id }) => book.end(id, 'replaced')));
    return offer;
  }

  /**
   * An offer that an administrator makes in a caller's name, outside of any task: what that caller
   * would get who asks for it. Throws GatewayError.
   */
  async forAdministrator(
    peer: Peer,
    { lender, lend, by, signal }: AdministratorsLending,
  ): Promise<LeaseOffer> {
    const { schemas, granteeOf } = this.#options;
    const request = leaseRequestFrom({ lend });
    const context = { principal: lender, signal };
    return this.#recorded({ peer, context, request, by }, async () => {
      const rules = this.#rulesFor(peer);
      if (rules.length === 0) throw nothingLent(peer, request);
      const grantee = await granteeOf(peer, context);
      if (grantee === undefined) throw takesNone(peer);
      checkSchemas({ lend }, schemas);
      const chosen = await this.#choose(rules, { peer, grantee, context, request });
      const asking = chosen.find(({ terms }) => terms.approval);
      if (asking !== undefined) throw nobodyToAsk(asking.tool);
      const offer = await this.#lend(chosen, { peer, grantee, context, request, by });
      if (offer === undefined) throw nothingLent(peer, request);
      return offer;
    });
  }

  /** Takes an offer back that was never sent. */
  async takeBack({ resource }: LeaseOffer): Promise<void> {
    const { book } = this.#options;
    const lease = book.leaseAt(resource);
    if (lease !== undefined) await book.end(lease, 'task');
  }

  /** Makes what was asked for; where it is refused, the audit log says so. */
  async #recorded<T>(
    { peer, context, request, by }: Asked & { by?: string },
    make: () => Promise<T>,
  ): Promise<T> {
    try {
      return await make();
    } catch (error) {
      if (request !== undefined && error instanceof GatewayError) {
        const { principal, task, trace } = context;
        const asked = request.tools.slice(0, recordedTools);
        const more = request.tools.length - asked.length;
        await this.#options.audit.append({
          kind: 'lease.withheld',
          actor: by ?? ownerKey(principal),
          ...(task !== undefined && { task }),
          ...traceIdOf(trace),
          facts: { to: peer.id, asked, ...(more > 0 && { more }), reason: reasonOf(error) },
        });
      }
      throw error;
    }
  }

  #rulesFor({ id }: Peer): readonly LendingRule[] {
    return this.#options.rules().rules.filter(({ to }) => matchesWord(to, id));
  }

  async #choose(
    rules: readonly LendingRule[],
    around: {
      peer: Peer;
      grantee: Grantee;
      context: PeerContext;
      request: LeaseRequest | undefined;
      offered?: LeaseOffer;
    },
  ): Promise<Chosen[]> {
    const { peer, grantee, context, request, offered } = around;
    const { principal: lender, signal, task } = context;
    const tools = await this.#options.candidates.of(rules, {
      lender,
      signal,
      ...(offered !== undefined && task !== undefined && { offered, task }),
    });
    // An agent is not lent itself, under whatever id it is here.
    const itself = await this.#idsOf(grantee, tools, context);
    return tools
      .filter(({ tool }) => tool.peer !== peer.id && !itself.has(tool.peer))
      .flatMap((candidate) => this.#chosen(candidate, { peer, lender, request }));
  }

  /** The peers among these tools' that redeem leases as the grantee does. */
  async #idsOf(
    { client }: Grantee,
    tools: readonly { tool: LendableTool }[],
    context: PeerContext,
  ): Promise<ReadonlySet<string>> {
    const { clientOf } = this.#options;
    const ids = [...new Set(tools.map(({ tool }) => tool.peer))];
    const same = await Promise.all(
      ids.map(async (id) => ((await clientOf(id, context)) === client ? [id] : [])),
    );
    return new Set(same.flat());
  }

  #chosen(
    { tool, name }: { tool: LendableTool; name: string },
    { peer, lender, request }: { peer: Peer; lender: Principal; request: LeaseRequest | undefined },
  ): Chosen[] {
    if (request !== undefined && !asksFor(request, tool)) return [];
    const asked = request === undefined ? 'standing' : 'request';
    const decision = decideLend({ ...this.#options.rules(), lender, to: peer.id, tool, asked });
    if (!decision.allowed) return [];
    const { terms } = decision;
    return [{ tool, name, terms: request === undefined ? terms : narrow(terms, request, tool) }];
  }

  async #lend(
    chosen: readonly Chosen[],
    around: {
      peer: Peer;
      grantee: Grantee;
      context: PeerContext;
      request: LeaseRequest | undefined;
      by?: string;
    },
  ): Promise<LeaseOffer | undefined> {
    const { peer, grantee, context, request, by } = around;
    const { book, candidates, clock } = this.#options;
    const { principal, task, features, trace } = context;
    if (chosen.length === 0) {
      if (request === undefined) return undefined;
      throw nothingLent(peer, request);
    }
    // Whoever called may be gone by now, and its task with it.
    context.signal.throwIfAborted();
    const ttlMs = Math.min(...chosen.map(({ terms }) => terms.ttlMs));
    const borrowed = candidates.borrowedBy(chosen.map(({ tool }) => tool));
    const depth = Math.min(...chosen.map(({ terms }) => terms.depth));
    const { offer } = await book.lend(
      {
        ancestors: [],
        lender: principal,
        ...(features !== undefined && { features }),
        grantee,
        ...(task !== undefined && { task }),
        tools: chosen.map(lentTool),
        ...(request?.max_calls !== undefined && { maxCalls: request.max_calls }),
        depth: Math.min(depth, borrowed?.depth ?? depth),
        via: borrowed?.via ?? [],
        expiresAt: Math.min(clock() + ttlMs, borrowed?.expiresAt ?? Infinity),
      },
      { ...traceIdOf(trace), ...(by !== undefined && { by }) },
    );
    return offer;
  }
}

function takesNone(peer: Peer): GatewayError {
  return new GatewayError(
    'unsupported',
    `"${peer.id}" does not say that it takes tools: call it without lending any.`,
  );
}

function nobodyToAsk(tool: LendableTool): GatewayError {
  return new GatewayError(
    'unsupported',
    `A person has to approve each call of ${toolText(tool)}, and outside of a task nobody can be asked. Lend it with a call, or by a rule without approval.`,
  );
}
