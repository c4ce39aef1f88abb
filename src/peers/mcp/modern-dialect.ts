/**
 * A server of 2026-07-28: every request carries its own envelope, nothing is remembered between
 * two of them, and closing the stream of a request cancels it.
 *
 * Spec: MCP 2026-07-28 basic, basic/transports/streamable-http
 */
import type { JsonObject } from '../../model/json.ts';
import { modernRevision } from '../../model/mcp.ts';
import type { MintId } from '../../model/ids.ts';
import type { PeerContext } from '../../ports/peer.ts';
import { clientCapabilities } from './capabilities.ts';
import {
  metaMembers,
  traceMembers,
  type Conversation,
  type ConversationOptions,
  type Dialect,
  type Listening,
  type ServerDescription,
} from './conversation.ts';
import { paramHeaderValues, routingHeaders } from './param-headers.ts';
import { checkResultType } from './result-type.ts';
import type { Incoming, Wire } from './wire.ts';

/** Who we say we are. */
export interface ClientInfo {
  name: string;
  version: string;
}

/** What a dialect needs from its peer. */
export interface DialectParts {
  readonly wire: Wire;
  readonly clientInfo: ClientInfo;
  /** Makes the ids of JSON-RPC requests. */
  readonly requestId: MintId;
  /** Hears that a list of the server has changed. */
  readonly onListChanged: () => void;
}

/** A modern server. `description` comes from the probe and is renewed by the peer. */
export class ModernDialect implements Dialect {
  readonly era = 'modern';
  readonly #parts: DialectParts;
  readonly #describe: (context: PeerContext) => Promise<ServerDescription>;

  constructor(parts: DialectParts, describe: (context: PeerContext) => Promise<ServerDescription>) {
    this.#parts = parts;
    this.#describe = describe;
  }

  describe(context: PeerContext): Promise<ServerDescription> {
    return this.#describe(context);
  }

  open(
    method: string,
    params: JsonObject,
    context: PeerContext,
    options: ConversationOptions,
  ): Conversation {
    const { wire, requestId, clientInfo } = this.#parts;
    const stop = new AbortController();
    const request = modernRequest(requestId(), method, params, context, {
      clientInfo,
      progressToken: options.progressToken,
    });
    const incoming = wire.exchange(request, {
      headers: {
        ...modernHeaders(method, params, context),
        ...paramHeaderValues(options.paramHeaders ?? [], (params['arguments'] ?? {}) as JsonObject),
      },
      principal: context.principal,
      signal: stop.signal,
      stage: options.stage,
      silenceMs: options.silenceMs,
      endsWithReader: true,
    });
    return new ModernConversation(incoming, stop, (result) =>
      checkResultType(wire.peerId, options.stage, method, result),
    );
  }

  async listen(): Promise<Listening> {
    // Modern servers say nothing outside of the streams that were asked for.
    return { lost: () => true, stop: () => undefined };
  }

  async close(): Promise<void> {
    // There is nothing that a modern server would remember of us.
  }
}

class ModernConversation implements Conversation {
  held = false;
  readonly #incoming: AsyncGenerator<Incoming, void, undefined>;
  readonly #stop: AbortController;
  readonly #check: (result: JsonObject) => void;
  #done = false;

  constructor(
    incoming: AsyncGenerator<Incoming, void, undefined>,
    stop: AbortController,
    check: (result: JsonObject) => void,
  ) {
    this.#incoming = incoming;
    this.#stop = stop;
    this.#check = check;
  }

  async next(): Promise<Incoming | undefined> {
    try {
      const { value } = await this.#incoming.next();
      this.#done = value === undefined || value.kind === 'outcome';
      if (value?.kind === 'outcome' && 'result' in value.outcome) this.#check(value.outcome.result);
      return value ?? undefined;
    } catch (error) {
      if (this.#stop.signal.aborted) return undefined;
      throw error;
    }
  }

  async reply(): Promise<void> {
    // Spec: MCP 2026-07-28 basic/transports/streamable-http: clients never send responses.
  }

  async cancel(): Promise<void> {
    this.#stop.abort();
  }

  release(): void {
    if (!this.#done) this.#stop.abort();
    void this.#incoming.return().catch(() => undefined);
  }
}

/** A request with its envelope. Spec: MCP 2026-07-28 basic "_meta" */
export function modernRequest(
  id: string,
  method: string,
  params: JsonObject,
  context: PeerContext,
  own: { clientInfo: ClientInfo; progressToken?: string | undefined },
): { id: string; method: string; params: JsonObject } {
  const meta = metaMembers(params, context, own.progressToken);
  meta['io.modelcontextprotocol/protocolVersion'] = modernRevision;
  meta['io.modelcontextprotocol/clientInfo'] = { ...own.clientInfo };
  meta['io.modelcontextprotocol/clientCapabilities'] = clientCapabilities(
    context.features,
    'modern',
  );
  return { id, method, params: { ...params, _meta: meta } };
}

/** The headers that mirror a request. Spec: ibid. "Request Metadata" */
export function modernHeaders(
  method: string,
  params: JsonObject,
  context: PeerContext,
): Record<string, string> {
  return {
    ...traceMembers(context),
    'mcp-protocol-version': modernRevision,
    ...routingHeaders(method, params),
  };
}
