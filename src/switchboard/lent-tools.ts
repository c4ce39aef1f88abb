/**
 * What is lent by one lease, as an MCP server for its grantee: the peer behind a callback endpoint.
 * It does no work itself. Each call passes the checks, and goes to the lender's peer as the lender.
 */
import { GatewayError } from '../model/errors.ts';
import type { MintId } from '../model/ids.ts';
import { isObject, type JsonObject } from '../model/json.ts';
import { ownerKey, type Principal } from '../model/principal.ts';
import type { AuditLog } from '../ports/audit.ts';
import type { Lease, LentTool } from '../ports/leases.ts';
import type {
  Catalogue,
  Peer,
  PeerChange,
  PeerContext,
  PeerEvent,
  PeerFollowUp,
  PeerQuestion,
  PeerTurn,
  Sending,
  ToolPeer,
} from '../ports/peer.ts';
import { callbackPeerId, leaseOfCaller } from './callback-caller.ts';
import { aboutCall, type AllowedCall, type CallChecks, type CheckHooks } from './call-checks.ts';
import { traceIdOf, type LeaseBook, type LeaseChain } from './lease-book.ts';
import { RoutedCall } from './lent-call.ts';
import { toolText } from './lendable.ts';
import { catalogueOf, type MadeCatalogue } from './lent-catalogue.ts';
import type { QuestionDesk } from './question-desk.ts';
import { leafOf } from './redemption.ts';
import { RefusedCallError } from './refused-call.ts';

/** What lent tools need; the same for all leases. */
export interface LentToolsOptions {
  readonly book: LeaseBook;
  readonly checks: CallChecks;
  readonly desk: QuestionDesk;
  readonly audit: AuditLog;
  /** The peer that has a lent tool. */
  readonly peerAt: (peerId: string, lender: Principal) => Peer | undefined;
  readonly mintId: MintId;
  /** Whether this process stops, which ends no call for good. */
  readonly isStopping: () => boolean;
  /** Hears what nobody waits for. */
  readonly report: (error: unknown) => void;
}

type Events = AsyncGenerator<PeerEvent, void, undefined>;

/** See the file comment. */
export class LentTools implements ToolPeer {
  readonly id: string;
  readonly protocol = 'mcp';
  readonly dedupes = false;
  readonly taskTools = false;
  readonly #options: LentToolsOptions;
  #made: MadeCatalogue | undefined;

  constructor(lease: string, options: LentToolsOptions) {
    this.id = callbackPeerId(lease);
    this.#options = options;
  }

  async catalogue({ principal, signal }: PeerContext): Promise<Catalogue> {
    const chain = await this.#options.checks.chain(leaseOfCaller(principal));
    const { lender } = chain[0];
    const peerAt = (id: string): Peer | undefined => this.#options.peerAt(id, lender);
    const within = { principal: lender, signal };
    // Two tokens may allow different parts of the lease at the same time: each gets its own.
    const made = await catalogueOf(this.#made, leafOf(chain), peerAt, within);
    this.#made = made;
    return made.catalogue;
  }

  /** Spec: RFC 6750 §3.1 (403: the token is good, and not for this) */
  withheld(name: string, principal: Principal): string {
    const lease = leaseOfCaller(principal);
    const { audit, report } = this.#options;
    audit
      .append({
        kind: 'call.refused',
        actor: ownerKey(principal),
        ...(lease !== undefined && { lease }),
        facts: { reason: 'The tool is not lent.' },
      })
      .catch(report);
    throw new GatewayError('forbidden', `The tool "${name}" is not lent. List the tools again.`);
  }

  async *start({ call }: PeerTurn, context: PeerContext): Events {
    if (call === undefined) throw new GatewayError('unsupported', 'Only tools are lent here.');
    yield* this.#make({ ...call, isCharged: false }, context);
  }

  async *#make(asked: AskedCall, context: PeerContext): Events {
    const call = { ...asked };
    let running: Running | undefined;
    try {
      const checking = this.#allow(call, context, {
        running: (chain) => (running = this.#running(chain, context)).until,
        charged: () => {
          call.isCharged = true;
        },
      });
      // Somebody may have to approve it, which takes as long as people do.
      if (!(await settlesSoon(checking))) {
        yield { kind: 'position', position: { checking: { ...call } } };
        yield { kind: 'status', state: 'TASK_STATE_WORKING' };
      }
      const allowed = await checking;
      const [{ task, grantee }] = allowed.chain;
      this.#options.desk.note(task, `"${grantee.peer}" calls ${toolText(allowed.tool)}.`);
      yield placed(allowed.tool, call.arguments);
      yield* this.#relayed(allowed, 'start', call, { context, running });
    } catch (error) {
      if (!(error instanceof RefusedCallError)) throw error;
      yield refusal(error.message, this.#options.mintId());
    } finally {
      running?.done();
    }
  }

  async *resume(position: JsonObject | undefined, context: PeerContext, sending?: Sending): Events {
    const place = placeOf(position);
    if (place === undefined) {
      // It was still being decided on: nothing has reached the peer.
      const call = askedIn(position) ?? (sending?.kind === 'start' ? sending.turn.call : undefined);
      if (call === undefined) throw outcomeUnknown();
      yield* this.#make({ isCharged: false, ...call }, context);
      return;
    }
    const { principal: caller, trace } = context;
    const under = leaseOfCaller(caller) ?? '';
    const chain = await this.#options.checks.chain(under);
    const tool = leafOf(chain).tools.find(({ name }) => name === place.tool);
    if (tool === undefined) throw outcomeUnknown();
    const running = this.#running(chain, context);
    try {
      const about = aboutCall({ under, caller, ...traceIdOf(trace) }, chain, tool);
      const call = { chain, tool, lender: chain[0].lender, about };
      yield* this.#relayed(call, 'resume', place, { context, running });
    } finally {
      running.done();
    }
  }

  // Questions of a lent tool go to the lender's caller: its borrower never has any to answer.
  // eslint-disable-next-line require-yield -- a follow-up is refused before it begins
  async *followUp(_position: JsonObject, _turn: PeerFollowUp, _context: PeerContext): Events {
    throw new GatewayError('unsupported', 'A lent tool asks its borrower nothing.');
  }

  async cancel(position: JsonObject, context: PeerContext): Promise<void> {
    const place = placeOf(position);
    if (place?.at === undefined) return;
    // Also where the lease is over: what runs is stopped all the same.
    const lender = await this.#options.book.lenderOf(leaseOfCaller(context.principal) ?? '');
    if (lender === undefined) return;
    const target = this.#options.peerAt(place.peer, lender);
    await target?.cancel(place.at, { ...context, principal: lender, isCallback: true });
  }

  async request(method: string): Promise<JsonObject> {
    throw new GatewayError('method-not-found', `No ${method} here: only tools are lent.`);
  }

  // eslint-disable-next-line require-yield -- what is lent does not change
  async *changes(_filter: unknown, { signal }: PeerContext): AsyncGenerator<PeerChange> {
    if (signal.aborted) return;
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  }

  #allow(call: AskedCall, context: PeerContext, hooks: CheckHooks): Promise<AllowedCall> {
    return this.#options.checks.allow(
      {
        under: leaseOfCaller(context.principal) ?? '',
        name: call.name,
        arguments: call.arguments,
        isCharged: call.isCharged,
        caller: context.principal,
        ...(context.task !== undefined && { task: context.task }),
        ...traceIdOf(context.trace),
      },
      hooks,
    );
  }

  #running(chain: LeaseChain, context: PeerContext): Running {
    const running = this.#options.book.running(chain);
    return { ...running, until: AbortSignal.any([context.signal, running.signal]) };
  }

  /** The call to the lender's peer: as the lender, until the caller or the lease is gone. */
  #routed(
    { chain, tool, lender }: Pick<AllowedCall, 'chain' | 'tool' | 'lender'>,
    args: JsonObject,
    { context, until }: { context: PeerContext; until: AbortSignal | undefined },
    position?: JsonObject,
  ): RoutedCall {
    const { peerAt, mintId } = this.#options;
    const target = peerAt(tool.peer, lender);
    if (target === undefined) {
      throw new RefusedCallError(
        'peer-unavailable',
        'The tool is away at the moment. Try again later, or go on without it.',
      );
    }
    const [root] = chain;
    const { task, trace } = context;
    const atPeer: PeerContext = {
      principal: lender,
      signal: until ?? context.signal,
      isCallback: true,
      ...(task !== undefined && { task }),
      ...(trace !== undefined && { trace }),
      ...(root.features !== undefined && { features: root.features }),
    };
    const ask = (question: PeerQuestion, until: AbortSignal) =>
      this.#ask(root, tool, { question, signal: until, ...traceIdOf(trace) });
    const parts = { target, tool, ask, mintId, arguments: args, context: atPeer };
    return new RoutedCall(parts, position);
  }

  /** Asks the lender's caller what a lent tool wants to know. */
  async #ask(
    { id: lease, task, lender }: Lease,
    { peer, own }: LentTool,
    { question, signal, trace }: { question: PeerQuestion; signal: AbortSignal; trace?: string },
  ): Promise<JsonObject> {
    const { desk, audit } = this.#options;
    const about = {
      lease,
      owner: ownerKey(lender),
      peer,
      tool: own,
      ...(task !== undefined && { task }),
      ...(trace !== undefined && { trace }),
    };
    await audit.append({ ...about, kind: 'question.asked', facts: {} });
    const answer = await desk.ask(task, question, signal);
    const { action } = answer;
    const facts: JsonObject = typeof action === 'string' ? { action } : {};
    await audit.append({ ...about, kind: 'question.answered', facts });
    return answer;
  }

  /**
   * What a call says, with positions that lead back to it. When the lease ends in the middle, the
   * peer is told to stop, and the borrower why. The audit log has what became of it.
   */
  async *#relayed(
    { about, ...call }: AllowedCall,
    how: 'start' | 'resume',
    { arguments: args, at }: { arguments: JsonObject; at?: JsonObject },
    { context, running }: { context: PeerContext; running: Running | undefined },
  ): Events {
    const { audit, isStopping } = this.#options;
    let routed: RoutedCall | undefined;
    let outcome: string | undefined;
    try {
      routed = this.#routed(call, args, { context, until: running?.until }, at);
      for await (const event of routed[how]()) {
        if (event.kind === 'status') outcome = outcomeOf(event) ?? outcome;
        if (event.kind !== 'position') yield event;
        else yield placed(call.tool, args, event.position);
      }
      running?.signal.throwIfAborted();
    } catch (error) {
      if (running?.signal.aborted !== true || context.signal.aborted) {
        if (error instanceof GatewayError && !context.signal.aborted) outcome ??= error.code;
        throw error;
      }
      void routed?.cancel().catch(() => {});
      throw running.signal.reason;
    } finally {
      if (running?.signal.aborted === true) outcome ??= 'taken back';
      // One that the peer goes on with is picked up by the next start, and ends once more then.
      if (context.signal.aborted) outcome ??= isStopping() ? 'interrupted' : 'canceled';
      audit.note({ ...about, kind: 'call.ended', facts: { outcome: outcome ?? 'failed' } });
    }
  }
}

/** A call that is being decided on. */
interface AskedCall {
  readonly name: string;
  readonly arguments: JsonObject;
  readonly isCharged: boolean;
}

/** A call that runs. */
interface Running extends ReturnType<LeaseBook['running']> {
  /** Aborts when the lease is over or the caller is gone. */
  readonly until: AbortSignal;
}

/** Calls that are slower than this are shown as working (ms). */
const announceAfterMs = 300;

async function settlesSoon(work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), announceAfterMs);
  });
  const settled = work.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([settled, late]);
  } finally {
    clearTimeout(timer);
  }
}

interface Place {
  readonly tool: string;
  readonly peer: string;
  readonly arguments: JsonObject;
  /** Where the peer has it, once it has said so. */
  readonly at?: JsonObject;
}

function placed(tool: LentTool, args: JsonObject, at?: JsonObject): PeerEvent {
  const { taskId } = at ?? {};
  return {
    kind: 'position',
    position: {
      tool: tool.name,
      peer: tool.peer,
      arguments: args,
      ...(at !== undefined && { at }),
      ...(taskId !== undefined && { taskId }),
    },
  };
}

function placeOf(json: JsonObject | undefined): Place | undefined {
  const { tool, peer, arguments: args, at } = json ?? {};
  if (typeof tool !== 'string' || typeof peer !== 'string') return undefined;
  return {
    tool,
    peer,
    arguments: isObject(args) ? args : {},
    ...(isObject(at) && { at: at }),
  };
}

function askedIn(json: JsonObject | undefined): AskedCall | undefined {
  const checking = json?.['checking'];
  if (!isObject(checking)) return undefined;
  const { name, arguments: args, isCharged } = checking;
  if (typeof name !== 'string' || !isObject(args)) return undefined;
  return { name, arguments: args, isCharged: isCharged === true };
}

function outcomeOf({ state }: PeerEvent & { kind: 'status' }): string | undefined {
  switch (state) {
    case 'TASK_STATE_COMPLETED':
      return 'completed';
    case 'TASK_STATE_FAILED':
    case 'TASK_STATE_REJECTED':
      return 'failed';
    case 'TASK_STATE_CANCELED':
      return 'canceled';
    default:
      return undefined;
  }
}

function refusal(text: string, messageId: string): PeerEvent {
  return {
    kind: 'status',
    state: 'TASK_STATE_REJECTED',
    message: { messageId, role: 'ROLE_AGENT', parts: [{ text }] },
    outcome: { result: { content: [{ type: 'text', text }], isError: true } },
  };
}

function outcomeUnknown(): GatewayError {
  return new GatewayError(
    'outcome-unknown',
    'The gateway stopped while the call was on its way. Whether it was made is not known, so it was not made again.',
  );
}
