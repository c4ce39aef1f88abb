/**
 * The connector to one MCP server, in both eras: over Streamable HTTP, or over a channel that the
 * server has opened. It speaks raw JSON-RPC, so that results travel as the server sent them.
 */
import type { Clock, MintId } from '../../model/ids.ts';
import type { JsonObject } from '../../model/json.ts';
import { product } from '../../model/product.ts';
import { channelClose, type ChannelPeer } from '../../ports/channel.ts';
import type { OnBehalf } from '../../ports/credentials.ts';
import type {
  Catalogue,
  ChangeFilter,
  PeerChange,
  PeerContext,
  PeerEvent,
  PeerFollowUp,
  PeerTurn,
  Sending,
  ToolPeer,
} from '../../ports/peer.ts';
import { SchemaValidator } from '../../translate/json-schema.ts';
import { Catalogues } from './catalogue.ts';
import { changesOf } from './changes.ts';
import { ConnectionWire } from './connection-wire.ts';
import { askServer, type Dialect } from './conversation.ts';
import { Dialects } from './dialects.ts';
import { lenderAway, outcomeUnknown, rpcFailed } from './faults.ts';
import { followUp } from './follow-ups.ts';
import { HeldCalls } from './held-calls.ts';
import type { McpEgress } from './http.ts';
import { httpWire } from './http-wire.ts';
import { reopened } from './open-calls.ts';
import { resume, resumeStart } from './resumption.ts';
import type { RoundsParts } from './rounds.ts';
import { TaskFollowing } from './task-following.ts';
import { act, workOf, type TurnParts } from './turns.ts';
import type { Wire } from './wire.ts';
import { positionOf, type Position, type Work } from './work.ts';

/** What every connector is made of. */
interface ConnectorOptions {
  readonly id: string;
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
  /** A legacy session that nobody uses is left after this time; five minutes when absent. */
  readonly sessionUnusedMs?: number;
  readonly validator?: SchemaValidator;
  /** What of its catalogue the server may be asked for by a message; everything when absent. */
  readonly offered?: (catalogue: Catalogue, context: PeerContext) => Catalogue;
  /** Whether the server knows the callers, and may describe itself to each in another way. */
  readonly perCaller?: boolean;
  readonly log?: (event: string, facts: JsonObject) => void;
}

/** What a connector over Streamable HTTP is made of. */
export interface McpPeerOptions extends ConnectorOptions {
  readonly url: string;
  readonly egress: McpEgress;
  /** Headers that authenticate us at the server; asked for with each request. */
  readonly credentials?: (behalf: OnBehalf) => Promise<Readonly<Record<string, string>>>;
  /** The largest reply or event in bytes; 16 MiB when absent. */
  readonly maxBytes?: number;
}

/** What a connector over channels is made of. */
export type ChannelPeerOptions = Omit<
  ConnectorOptions,
  'sessionUnusedMs' | 'perCaller' | 'idempotentTools'
>;

/** A connector, and the way to close it. */
export type McpPeer = ToolPeer & { close(): Promise<void> };

/** Makes the connector to one MCP server. Nothing is sent before it is used. */
export function createMcpPeer(options: McpPeerOptions): McpPeer {
  const { id: peerId, url, egress, credentials, maxBytes = 16 * 1024 * 1024 } = options;
  const place = { peerId, url, egress, maxBytes, ...(credentials && { credentials }) };
  const connector = new Connector(options);
  connector.speakOver(httpWire(place));
  return connector;
}

/** Makes the connector to a server that opens channels to us. There is none before the first. */
export function createChannelPeer(options: ChannelPeerOptions): ChannelPeer & { peer: McpPeer } {
  const connector = new Connector({ ...options, idempotentTools: [] });
  let current: ConnectionWire | undefined;
  return {
    peer: connector,
    attach(channel) {
      current?.close(channelClose.replaced, 'Another channel has taken its place');
      const wire = new ConnectionWire(options.id, channel, () => connector.forsake(wire));
      current = wire;
      connector.speakOver(wire);
    },
    async close() {
      current?.close(channelClose.away, 'The gateway has closed the channel');
      await connector.close();
    },
  };
}

class Connector implements ToolPeer {
  readonly id: string;
  readonly protocol = 'mcp';
  readonly dedupes = false;
  readonly #options: ConnectorOptions;
  /** By the way to the server that is in use; absent where there is none now. */
  #line: { readonly wire: Wire; readonly dialects: Dialects } | undefined;
  readonly #catalogues: Catalogues;
  readonly #held = new HeldCalls();
  readonly #turns: TurnParts;
  readonly #requestId: MintId;

  constructor(options: ConnectorOptions) {
    const { id, clock, mintId, timeouts } = options;
    const callId = serialIds(mintId);
    this.id = id;
    this.#options = options;
    this.#requestId = serialIds(mintId);
    const dialect = (context: PeerContext): Promise<Dialect> => this.#dialect(context);
    const { requestMs, idleMs } = timeouts;
    this.#catalogues = new Catalogues({
      peerId: id,
      clock,
      requestMs,
      dialect,
      onDropped: (tool, reason) => options.log?.('tool-dropped', { peer: id, tool, reason }),
    });
    const held = this.#held;
    const rounds: RoundsParts = {
      peerId: id,
      mintId,
      callId,
      clock,
      held,
      idleMs,
      dialect,
      paramHeaders: (work, context, fresh) => this.#paramHeaders(work, context, fresh),
      tasks: new TaskFollowing({
        peerId: id,
        mintId,
        callId,
        clock,
        held,
        requestMs,
        idleMs,
        dialect,
      }),
      onEraError: () => this.#line?.dialects.invalidate(),
    };
    this.#turns = {
      id,
      rounds,
      choice: {
        mintId,
        validator: options.validator ?? new SchemaValidator(),
        idempotentTools: new Set(options.idempotentTools),
      },
      catalogues: this.#catalogues,
      held,
      offered: options.offered ?? ((catalogue) => catalogue),
      onProtocolFault: (context) => {
        this.#line?.dialects.invalidate();
        this.#line?.dialects.recheck(context);
      },
    };
  }

  /** Speaks to the server this way from now on. What is known of another one is forgotten. */
  speakOver(wire: Wire): void {
    const { clock, timeouts, clientInfo = product, perCaller = false } = this.#options;
    const dialects = new Dialects(
      {
        wire,
        clientInfo,
        requestId: this.#requestId,
        onListChanged: () => this.#catalogues.invalidate(),
      },
      { connectMs: timeouts.connectMs, unusedMs: this.#options.sessionUnusedMs ?? 5 * 60_000 },
      { clock, perCaller },
    );
    this.#catalogues.invalidate();
    this.#line = { wire, dialects };
  }

  /** The way to the server is gone. */
  forsake(wire: Wire): void {
    if (this.#line?.wire !== wire) return;
    void this.#line.dialects.close();
    this.#line = undefined;
    this.#catalogues.invalidate();
  }

  async *start(turn: PeerTurn, context: PeerContext): AsyncGenerator<PeerEvent> {
    yield* act(this.#turns, await workOf(this.#turns, turn, context), context);
  }

  async *followUp(
    json: JsonObject,
    turn: PeerFollowUp,
    context: PeerContext,
  ): AsyncGenerator<PeerEvent> {
    yield* followUp(this.#turns, this.#position(json), turn, context);
  }

  async *resume(
    json: JsonObject | undefined,
    context: PeerContext,
    sending?: Sending,
  ): AsyncGenerator<PeerEvent> {
    if (json === undefined) yield* resumeStart(this.#turns, sending, context);
    else yield* resume(this.#turns, this.#position(json), context, sending);
  }

  async cancel(json: JsonObject, context: PeerContext): Promise<void> {
    const position = positionOf(json);
    if (position?.stage === 'task') await this.#turns.rounds.tasks.cancel(position, context);
    if (position?.stage !== 'open' && position?.stage !== 'task') return;
    const call =
      this.#held.get(position.callId) ??
      (position.stage === 'open' ? await reopened(this.#turns, position, context) : undefined);
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
    const dialect = await this.#dialect(context);
    const outcome = await askServer(dialect, { method, params }, context, {
      stage: 'request',
      silenceMs: this.#options.timeouts.requestMs,
      onNotification,
      ...(onNotification !== undefined && { progressToken: this.#options.mintId() }),
    });
    if ('result' in outcome) return outcome.result;
    if (outcome.error.code === -32022) this.#line?.dialects.invalidate();
    throw rpcFailed(this.id, outcome.error);
  }

  changes(filter: ChangeFilter, context: PeerContext): AsyncIterable<PeerChange> {
    const parts = {
      requestMs: this.#options.timeouts.requestMs,
      dialect: (asker: PeerContext) => this.#dialect(asker),
      onListChange: () => this.#catalogues.invalidate(),
      isMissed: this.#line?.wire.isShared !== false,
    };
    return changesOf(parts, filter, context);
  }

  async close(): Promise<void> {
    this.#held.close();
    await this.#line?.dialects.close();
  }

  async #dialect(context: PeerContext): Promise<Dialect> {
    if (this.#line === undefined) throw lenderAway(this.id, 'connect');
    return this.#line.dialects.of(context);
  }

  async #paramHeaders(
    work: Work,
    context: PeerContext,
    fresh: boolean,
  ): ReturnType<RoundsParts['paramHeaders']> {
    const { name } = work.params;
    if (work.method !== 'tools/call' || typeof name !== 'string') return [];
    const known = await (fresh
      ? this.#catalogues.reload(context)
      : this.#catalogues.known(context));
    return known.headers.get(name) ?? [];
  }

  #position(json: JsonObject): Position {
    const position = positionOf(json);
    if (position === undefined) throw outcomeUnknown(this.id);
    return position;
  }
}

/** Ids that are never used twice, also not by a later process: one random part and a number. */
function serialIds(mintId: MintId): MintId {
  const prefix = mintId();
  let count = 0;
  return () => `${prefix}.${(count += 1)}`;
}
