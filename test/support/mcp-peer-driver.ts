/** Drives a connector the way the engine does, and keeps what it says. */
import { createMintId } from '../../src/model/ids.ts';
import type { Part } from '../../src/model/a2a.ts';
import type { JsonObject } from '../../src/model/json.ts';
import type { ClientFeatures } from '../../src/model/mcp.ts';
import { anonymous, type Principal } from '../../src/model/principal.ts';
import { createEgress } from '../../src/peers/guarded-fetch.ts';
import { createMcpPeer, type McpPeer, type McpPeerOptions } from '../../src/peers/mcp/peer.ts';
import type { OpenQuestion, PeerContext, PeerEvent } from '../../src/ports/peer.ts';

/** The guarded client, which may go to loopback. */
const egress = createEgress({ allow: [], allowLoopback: true });
const mintId = createMintId();

/** A connector with short timeouts over the guarded client. */
export function mcpPeer(url: string, options: Partial<McpPeerOptions> = {}): McpPeer {
  return createMcpPeer({
    id: 'tools',
    url,
    egress,
    timeouts: { requestMs: 2000, connectMs: 2000, idleMs: 5000 },
    idempotentTools: [],
    clock: Date.now,
    mintId,
    ...options,
  });
}

/** The context of a call. */
export function contextOf(
  options: { signal?: AbortSignal; features?: ClientFeatures; principal?: Principal } = {},
): PeerContext {
  return {
    principal: options.principal ?? anonymous,
    signal: options.signal ?? AbortSignal.timeout(20_000),
    ...(options.features !== undefined && { features: options.features }),
  };
}

/** An MCP caller that can do everything. */
export const ableClient: ClientFeatures = {
  elicitForm: true,
  elicitUrl: true,
  sampling: true,
  roots: true,
  tasks: true,
  raw: { sampling: {}, roots: {}, elicitation: { form: {}, url: {} } },
};

/** What a turn of a conversation with a peer brought. */
export class Turn {
  readonly events: PeerEvent[] = [];
  position: JsonObject = {};

  /** Reads events to the end of the turn. */
  async read(events: AsyncIterable<PeerEvent>): Promise<this> {
    for await (const event of events) {
      this.events.push(event);
      if (event.kind === 'position') this.position = event.position;
    }
    return this;
  }

  /** The states in order, without repetitions. */
  get states(): string[] {
    const states = this.events.flatMap((event) => (event.kind === 'status' ? [event.state] : []));
    return states.filter((state, index) => state !== states[index - 1]);
  }

  get last(): Extract<PeerEvent, { kind: 'status' }> {
    const statuses = this.events.filter((event) => event.kind === 'status');
    const last = statuses.at(-1);
    if (last === undefined) throw new Error('the turn has no status');
    return last;
  }

  /** The text of the last status. */
  get text(): string {
    return (this.last.message?.parts ?? []).map((part) => part.text ?? '').join('');
  }

  /** The text of all artifacts. */
  get output(): string {
    return this.events
      .flatMap((event) => (event.kind === 'artifact' ? event.artifact.parts : []))
      .map((part) => part.text ?? '')
      .join('');
  }

  /** The open questions, under keys as the engine gives them. */
  get open(): OpenQuestion[] {
    return (this.last.questions ?? []).map((question, index) => ({
      ...question,
      key: `gateway-${index + 1}`,
    }));
  }
}

/** Calls a tool as the MCP face does. */
export function call(
  peer: McpPeer,
  name: string,
  args: JsonObject = {},
  context: PeerContext = contextOf(),
): Promise<Turn> {
  const message = { messageId: mintId(), role: 'ROLE_USER' as const, parts: [] };
  return new Turn().read(peer.start({ message, call: { name, arguments: args } }, context));
}

/** Sends a message as the A2A face does. */
export function say(
  peer: McpPeer,
  parts: Part[],
  context: PeerContext = contextOf(),
): Promise<Turn> {
  return new Turn().read(peer.start({ message: userMessage(parts) }, context));
}

/** Answers the questions of a turn, by the peer's keys. */
export function answer(
  peer: McpPeer,
  turn: Turn,
  responses: Record<string, JsonObject>,
  context: PeerContext = contextOf(),
): Promise<Turn> {
  const parts = turn.open.flatMap(({ key, peerKey }): Part[] => {
    const response = responses[peerKey ?? ''] ?? responses['*'];
    return response === undefined ? [] : [{ data: { key, response } }];
  });
  return follow(peer, turn, parts, context);
}

/** Sends a follow-up message. */
export function follow(
  peer: McpPeer,
  turn: Turn,
  parts: Part[],
  context: PeerContext = contextOf(),
): Promise<Turn> {
  const next = new Turn();
  next.position = turn.position;
  return next.read(
    peer.followUp(turn.position, { message: userMessage(parts), open: turn.open }, context),
  );
}

function userMessage(parts: Part[]) {
  return { messageId: mintId(), role: 'ROLE_USER' as const, parts };
}
