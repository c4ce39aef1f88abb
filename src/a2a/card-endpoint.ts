/**
 * Serves the cards of all peers: built once per change of the peer, revalidated by ETag. While a
 * peer is away its last known card is served.
 *
 * Spec: A2A 1.0 §8.2 (well-known URI), §8.6 (caching)
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AgentCard } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import { anonymous } from '../model/principal.ts';
import type { Principal } from '../model/principal.ts';
import type { AgentPeer, PeerContext, PeerRegistry, ToolPeer } from '../ports/peer.ts';
import { cardOfAgent, cardOfServer, hybridCard } from './agent-card.ts';
import type { Organization } from './agent-card.ts';
import { statusBody } from './errors.ts';
import type { A2aFaceLog } from './log.ts';
import { headerOf } from './version.ts';

/** What cards are made of. */
export interface CardOptions {
  peers: PeerRegistry;
  publicUrl: string;
  organization: Organization;
  log: Pick<A2aFaceLog, 'event'>;
}

/** A card as it is sent. */
interface Served {
  card: AgentCard;
  hybrid: { body: string; etag: string };
  current: { body: string; etag: string };
}

/** How long a card may take to fetch (ms). */
const fetchMs = 10_000;

/** How long readers may keep a card (s). */
const maxAge = 60;

/** The well-known paths below a peer's base. Spec: A2A 1.0 §8.2; `agent.json` is the older name */
export const cardPaths: ReadonlySet<string> = new Set([
  '/.well-known/agent-card.json',
  '/.well-known/agent.json',
]);

/** See the file comment. */
export class CardEndpoint {
  readonly #options: CardOptions;
  /** By the object that the connector caches, so that a card is built once per change. */
  readonly #built = new WeakMap<object, Served>();
  readonly #last = new Map<string, Served>();

  constructor(options: CardOptions) {
    this.#options = options;
  }

  /** The peer's card in 1.0 wire JSON. Throws GatewayError when it is unknown or away. */
  async card(peerId: string, principal: Principal = anonymous): Promise<AgentCard> {
    return (await this.#serve(peerId, principal)).card;
  }

  /** The bytes that a reader of any version gets at the well-known paths. Throws like `card`. */
  async document(peerId: string): Promise<string> {
    return (await this.#serve(peerId, anonymous)).hybrid.body;
  }

  /** Answers a GET or HEAD for the card. `hybrid` adds what readers of 0.3 look for. */
  async handle(
    exchange: { req: IncomingMessage; res: ServerResponse; hybrid: boolean },
    peerId: string,
    principal: Principal,
  ): Promise<void> {
    const { req, res } = exchange;
    let served: Served;
    try {
      served = await this.#serve(peerId, principal);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      res.writeHead(503, { 'content-type': 'application/json', 'retry-after': '5' });
      const text = `The card of "${peerId}" cannot be read now: ${error.message}`;
      res.end(JSON.stringify(statusBody(503, text)));
      return;
    }
    const { body, etag } = exchange.hybrid ? served.hybrid : served.current;
    const headers = {
      etag,
      'cache-control': `public, max-age=${maxAge}`,
      vary: 'A2A-Version',
    };
    if (matches(headerOf(req, 'if-none-match'), etag)) {
      res.writeHead(304, headers).end();
      return;
    }
    res.writeHead(200, {
      ...headers,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    });
    res.end(body);
  }

  async #serve(peerId: string, principal: Principal): Promise<Served> {
    const peer = this.#options.peers.get(peerId);
    if (peer === undefined) {
      this.#last.delete(peerId);
      throw new GatewayError('peer-unavailable', `"${peerId}" is not served here.`);
    }
    const signal = AbortSignal.timeout(fetchMs);
    try {
      const served =
        peer.protocol === 'a2a'
          ? await this.#ofAgent(peer, signal)
          : await this.#ofServer(peer, { principal, signal });
      this.#last.set(peerId, served);
      return served;
    } catch (error) {
      const last = this.#last.get(peerId);
      const servedEarlier = last !== undefined;
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.log.event('a2a.card_unavailable', { peer: peerId, servedEarlier, reason });
      if (last !== undefined) return last;
      if (error instanceof GatewayError) throw error;
      throw new GatewayError('peer-unavailable', 'the peer does not answer.', { cause: error });
    }
  }

  async #ofAgent(peer: AgentPeer, signal: AbortSignal): Promise<Served> {
    const own = await peer.card({ signal });
    return this.#build(own, () => cardOfAgent(own, this.#place(peer.id)));
  }

  async #ofServer(peer: ToolPeer, context: PeerContext): Promise<Served> {
    const catalogue = await peer.catalogue(context);
    return this.#build(catalogue, () => cardOfServer(catalogue, this.#place(peer.id)));
  }

  #build(source: object, make: () => AgentCard): Served {
    const known = this.#built.get(source);
    if (known !== undefined) return known;
    const card = make();
    const served = { card, current: tagged(card), hybrid: tagged(hybridCard(card)) };
    this.#built.set(source, served);
    return served;
  }

  #place(peerId: string): { peerId: string; publicUrl: string; organization: Organization } {
    const { publicUrl, organization } = this.#options;
    return { peerId, publicUrl, organization };
  }
}

function tagged(card: object): { body: string; etag: string } {
  const body = JSON.stringify(card);
  const digest = createHash('sha256').update(body).digest('base64url').slice(0, 27);
  return { body, etag: `"${digest}"` };
}

/** Spec: RFC 9110 §13.1.2 (weak comparison) */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  const tags = header.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes('*') || tags.includes(etag);
}
