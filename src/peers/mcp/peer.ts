/**
 * The connector to one MCP server over Streamable HTTP, in both eras. It speaks raw JSON-RPC, so
 * that results travel as the server sent them.
 */
import { GatewayError } from '../../model/errors.ts';
import type { Clock, MintId } from '../../model/ids.ts';
import type { JsonObject } from '../../model/json.ts';
import type {
  Catalogue,
  PeerChange,
  PeerContext,
  PeerEvent,
  PeerFollowUp,
  PeerTurn,
  ToolPeer,
} from '../../ports/peer.ts';
import { SchemaValidator } from '../../translate/json-schema.ts';
import { asking, collectAnswers } from './answers.ts';
import { Catalogues } from './catalogue.ts';
import { changesOf, type ChangeFilter } from './changes.ts';
import { askAgain, chosenWork, decidedWork, type ChoiceParts } from './choice.ts';
import { askServer, type Dialect } from './conversation.ts';
import { listen, questionsOf } from './converse.ts';
import { Dialects } from './dialects.ts';
import { outcomeUnknown, rpcFailed } from './faults.ts';
import { HeldCalls, type HeldCall } from './held-calls.ts';
import { pursue, settle, type RoundsParts } from './rounds.ts';
import { TaskFollowing } from './task-following.ts';
import { place, positionOf, type Position, type Work } from './work.ts';

/** What a connector is made of. */
export interface McpPeerOptions {
  readonly id: string;
  readonly url: string;
  readonly egress: { readonly fetch: typeof fetch };
  /** Headers that authenticate us at the server; asked for with each request. */
  readonly credentials?: () => Promise<Record<string, string>>;
  readonly timeouts: {
    /** The longest silence of the server in a short request. */
    readonly requestMs: number;
    /** The same while we find out what it speaks. */
    readonly connectMs: number;
    /** The same in a tool call. */
    readonly idleMs: number;
  };
  /** Tools that may be called again when it is not known whether a call has run. */
  readonly idempotentTools: readonly string[];
  readonly clock: Clock;
  readonly mintId: MintId;
  readonly clientInfo?: { name: string; version: string };
  /** The largest reply or event in bytes; 16 MiB when absent. */
  readonly maxBytes?: number;
  /** A legacy session that nobody uses is left after this time; five minutes when absent. */
  readonly sessionUnusedMs?: number;
  readonly validator?: SchemaValidator;
  readonly log?: (event: string, facts: JsonObject) => void;
}

/** A connector, and the way to close it. */
export type McpPeer = ToolPeer & { close(): Promise<void> };

/** Makes the connector to one MCP server. Nothing is sent before it is used. */
export function createMcpPeer(options: McpPeerOptions): McpPeer {
  return new Connector(options);
}

class Connector implements ToolPeer {
  readonly id: string;
  readonly protocol = 'mcp';
  readonly dedupes = false;
  readonly #options: McpPeerOptions;
  readonly #dialects: Dialects;
  readonly #catalogues: Catalogues;
  readonly #held = new HeldCalls();
  readonly #choice: ChoiceParts;
  readonly #rounds: RoundsParts;

  constructor(options: McpPeerOptions) {
    const { id, clock, mintId, timeouts } = options;
    this.id = id;
    this.#options = options;
    const wire = {
      peerId: id,
      url: options.url,
      fetch: options.egress.fetch,
      maxBytes: options.maxBytes ?? 16 * 1024 * 1024,
      ...(options.credentials !== undefined && { credentials: options.credentials }),
    };
    const clientInfo = options.clientInfo ?? { name: 'isthmus', version: '0.1.0' };
    this.#dialects = new Dialects(
      { wire, clientInfo, mintId },
      { connectMs: timeouts.connectMs, unusedMs: options.sessionUnusedMs ?? 5 * 60_000 },
      clock,
    );
    const dialect = (context: PeerContext): Promise<Dialect> => this.#dialects.of(context);
    const { requestMs, idleMs } = timeouts;
    this.#catalogues = new Catalogues({
      peerId: id,
      clock,
      requestMs,
      dialect,
      onDropped: (tool, reason) => options.log?.('tool-dropped', { peer: id, tool, reason }),
    });
    this.#choice = {
      mintId,
      validator: options.validator ?? new SchemaValidator(),
      idempotentTools: new Set(options.idempotentTools),
    };
    const held = this.#held;
    this.#rounds = {
      peerId: id,
      mintId,
      clock,
      held,
      idleMs,
      dialect,
      paramHeaders: (work, context, fresh) => this.#paramHeaders(work, context, fresh),
      tasks: new TaskFollowing({ peerId: id, mintId, clock, held, requestMs, idleMs, dialect }),
      onEraError: () => this.#dialects.invalidate(),
    };
  }

  async *start(turn: PeerTurn, context: PeerContext): AsyncGenerator<PeerEvent> {
    context.signal.throwIfAborted();
    if (turn.call === undefined) {
      yield* this.#choose(turn.message, context, undefined);
      return;
    }
    const { catalogue } = await this.#catalogues.known(context);
    const work = decidedWork(this.#choice, turn.call, catalogue, context);
    yield* this.#guarded(pursue(this.#rounds, work, context));
  }

  async *followUp(
    json: JsonObject,
    turn: PeerFollowUp,
    context: PeerContext,
  ): AsyncGenerator<PeerEvent> {
    const position = this.#position(json);
    switch (position.stage) {
      case 'choosing':
        yield* this.#choose(turn.message, context, position.tool);
        return;
      case 'open':
        yield* this.#answerOpen(position, turn, context);
        return;
      case 'mrtr':
        yield* this.#answerRound(position, turn, context);
        return;
      case 'task':
        yield* this.#answerTask(position, turn, context);
        return;
      default:
        position satisfies never;
    }
  }

  async *resume(json: JsonObject, context: PeerContext): AsyncGenerator<PeerEvent> {
    const position = this.#position(json);
    switch (position.stage) {
      case 'choosing': {
        const { catalogue } = await this.#catalogues.fresh(context);
        yield* askAgain(this.#choice, position, catalogue);
        return;
      }
      case 'open': {
        const call = this.#heldCall(position.callId);
        if (call !== undefined && call.asked.size > 0) {
          yield asking(questionsOf(call), this.#options.mintId);
          return;
        }
        if (!position.work.idempotent) throw outcomeUnknown(this.id);
        yield* this.#guarded(pursue(this.#rounds, position.work, context));
        return;
      }
      case 'mrtr':
        yield* this.#resumeRound(position, context);
        return;
      case 'task':
        yield* this.#guarded(this.#rounds.tasks.follow(position, context));
        return;
      default:
        position satisfies never;
    }
  }

  async cancel(json: JsonObject, context: PeerContext): Promise<void> {
    const position = positionOf(json);
    if (position?.stage === 'task') await this.#rounds.tasks.cancel(position, context);
    if (position?.stage !== 'open' && position?.stage !== 'task') return;
    const call = this.#held.get(position.callId);
    if (call === undefined) return;
    call.canceled = true;
    await call.conversation.cancel();
    if (call.asked.size > 0 && position.callId !== undefined) this.#held.remove(position.callId);
  }

  async catalogue(context: PeerContext): Promise<Catalogue> {
    return (await this.#catalogues.fresh(context)).catalogue;
  }

  async request(
    method: string,
    params: JsonObject,
    context: PeerContext,
    onNotification?: (method: string, params: JsonObject) => void,
  ): Promise<JsonObject> {
    const dialect = await this.#dialects.of(context);
    const outcome = await askServer(dialect, { method, params }, context, {
      stage: 'request',
      silenceMs: this.#options.timeouts.requestMs,
      onNotification,
      ...(onNotification !== undefined && { progressToken: this.#options.mintId() }),
    });
    if ('result' in outcome) return outcome.result;
    throw rpcFailed(this.id, outcome.error);
  }

  changes(filter: ChangeFilter, context: PeerContext): AsyncIterable<PeerChange> {
    const parts = {
      requestMs: this.#options.timeouts.requestMs,
      dialect: (asker: PeerContext) => this.#dialects.of(asker),
      onListChange: () => this.#catalogues.invalidate(),
    };
    return changesOf(parts, filter, context);
  }

  async close(): Promise<void> {
    this.#held.close();
    await this.#dialects.close();
  }

  async *#choose(
    message: PeerTurn['message'],
    context: PeerContext,
    tool: string | undefined,
  ): AsyncGenerator<PeerEvent> {
    const { catalogue } = await this.#catalogues.fresh(context);
    const choice = chosenWork(this.#choice, message, catalogue, { context, tool });
    if (choice.kind === 'ask') yield* choice.events;
    else yield* this.#guarded(pursue(this.#rounds, choice.work, context));
  }

  /** An answer on a call that is held open; when that was lost, the call itself again if it may. */
  async *#answerOpen(
    position: Extract<Position, { stage: 'open' }>,
    turn: PeerFollowUp,
    context: PeerContext,
  ): AsyncGenerator<PeerEvent> {
    const call = this.#heldCall(position.callId);
    if (call === undefined) {
      if (!position.work.idempotent) throw outcomeUnknown(this.id);
      yield* this.#guarded(pursue(this.#rounds, position.work, context));
      return;
    }
    if (!(yield* this.#replied(position, call, turn))) return;
    const parts = { held: this.#held, mintId: this.#options.mintId };
    const ending = yield* listen(parts, position.callId, call, context);
    const next = yield* settle(this.#rounds, position.work, ending, context);
    if (next !== undefined) yield* this.#guarded(pursue(this.#rounds, next, context));
  }

  async *#answerTask(
    position: Extract<Position, { stage: 'task' }>,
    turn: PeerFollowUp,
    context: PeerContext,
  ): AsyncGenerator<PeerEvent> {
    const { tasks } = this.#rounds;
    if (position.era === 'legacy') {
      const call = this.#heldCall(position.callId);
      // The question went with the request that carried it; the server asks it again.
      if (call === undefined) yield* tasks.follow(position, context);
      else if (yield* this.#replied(position, call, turn)) {
        yield* tasks.listenOn(position, call, context);
      }
      return;
    }
    const requests = position.inputRequests ?? {};
    const { validator } = this.#choice;
    const collected = collectAnswers(requests, position.answers ?? {}, turn, validator);
    if (collected.problem !== undefined) {
      yield place({ ...position, answers: collected.answers });
      yield asking(collected.remaining, this.#options.mintId, collected.problem);
      return;
    }
    yield* this.#guarded(tasks.answer(position, collected.answers, context));
  }

  /** Answers every question of a held call, or asks for what is missing. */
  async *#replied(
    position: Extract<Position, { stage: 'open' | 'task' }>,
    call: HeldCall,
    turn: PeerFollowUp,
  ): AsyncGenerator<PeerEvent, boolean> {
    const { validator } = this.#choice;
    const known = position.answers ?? {};
    const collected = collectAnswers(questionsOf(call), known, turn, validator);
    if (collected.problem !== undefined) {
      yield place({ ...position, answers: collected.answers });
      yield asking(collected.remaining, this.#options.mintId, collected.problem);
      return false;
    }
    const { answers: _answered, ...open } = position;
    yield place(open);
    for (const [key, { id }] of call.asked) {
      await call.conversation.reply(id, { result: collected.answers[key] as JsonObject });
      call.asked.delete(key);
    }
    call.conversation.held = false;
    return true;
  }

  async *#answerRound(
    position: Extract<Position, { stage: 'mrtr' }>,
    turn: PeerFollowUp,
    context: PeerContext,
  ): AsyncGenerator<PeerEvent> {
    const { inputRequests, work, links } = position;
    const collected = collectAnswers(inputRequests, position.answers, turn, this.#choice.validator);
    if (collected.problem !== undefined) {
      yield place({ ...position, answers: collected.answers });
      yield asking(collected.remaining, this.#options.mintId, collected.problem);
      return;
    }
    const accepted = Object.entries(inputRequests)
      .filter(([key]) => (collected.answers[key] as JsonObject)['action'] === 'accept')
      .map(([, { params }]) => params?.['url'])
      .filter((url) => typeof url === 'string');
    const next: Work = { ...work, ...(accepted.length > 0 && { accepted }) };
    if (links !== true) {
      yield* this.#guarded(
        pursue(this.#rounds, { ...next, inputResponses: collected.answers }, context),
      );
      return;
    }
    if (accepted.length === Object.keys(inputRequests).length) {
      yield* this.#guarded(pursue(this.#rounds, next, context));
      return;
    }
    const text = 'A link that the tool needs was declined, so the call was not made.';
    const parts = [{ text }];
    yield {
      kind: 'status',
      state: 'TASK_STATE_FAILED',
      message: { messageId: this.#options.mintId(), role: 'ROLE_AGENT', parts },
      outcome: { result: { content: [{ type: 'text', text }], isError: true } },
    };
  }

  async *#resumeRound(
    position: Extract<Position, { stage: 'mrtr' }>,
    context: PeerContext,
  ): AsyncGenerator<PeerEvent> {
    const open = Object.entries(position.inputRequests).filter(
      ([key]) => !Object.hasOwn(position.answers, key),
    );
    if (open.length > 0) {
      yield asking(Object.fromEntries(open), this.#options.mintId);
      return;
    }
    // Nothing was on its way: the server only wanted to be asked again later.
    const responses = position.links === true ? {} : position.answers;
    const work: Work = {
      ...position.work,
      ...(Object.keys(responses).length > 0 && { inputResponses: responses }),
    };
    yield* this.#guarded(pursue(this.#rounds, work, context));
  }

  /** A fault may mean that the server has been replaced by one of the other era. */
  async *#guarded(events: AsyncGenerator<PeerEvent>): AsyncGenerator<PeerEvent> {
    try {
      yield* events;
    } catch (error) {
      if (error instanceof GatewayError && error.code === 'peer-protocol') {
        this.#dialects.invalidate();
        this.#dialects.recheck();
      }
      throw error;
    }
  }

  async #paramHeaders(
    work: Work,
    context: PeerContext,
    fresh: boolean,
  ): ReturnType<RoundsParts['paramHeaders']> {
    const { name } = work.params;
    if (work.method !== 'tools/call' || typeof name !== 'string') return [];
    const known = await (fresh ? this.#catalogues.reload(context) : this.#catalogues.known(context));
    return known.headers.get(name) ?? [];
  }

  #heldCall(callId: string | undefined): HeldCall | undefined {
    const call = this.#held.get(callId);
    return call?.left === true ? undefined : call;
  }

  #position(json: JsonObject): Position {
    const position = positionOf(json);
    if (position === undefined) throw outcomeUnknown(this.id);
    return position;
  }
}
