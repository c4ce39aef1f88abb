/**
 * Serves the cards of all peers and of the gateway itself: built and signed once per change of what
 * they show, revalidated by ETag. While a peer is away its last known card is served; while its next
 * one is being made, those that did not begin that get the last one.
 *
 * Spec: A2A 1.0 §8.2 (well-known URI), §8.4 (signing), §8.6 (caching)
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  corsHeaders,
  answeredByMethod,
  sendDocument,
  tagged,
  type TaggedBody,
} from '../discovery/http-document.ts';
import type { AgentCard, CardSecurity } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import { anonymous, ownerKey } from '../model/principal.ts';
import type { Principal } from '../model/principal.ts';
import type { AgentPeer, CardText, PeerContext, PeerRegistry, ToolPeer } from '../ports/peer.ts';
import { cardOfAgent, cardOfServer, hybridCard } from './agent-card.ts';
import type { CardPlace, Organization } from './agent-card.ts';
import { statusBody } from './errors.ts';
import type { A2aFaceLog } from './log.ts';

/** Signs cards with the key that is active now. */
export interface CardSigner {
  /** Names the key: another key means that cards are signed again. */
  readonly kid: string;
  /** The card with our signatures: the same bytes for the same card and key. */
  sign(card: object): Promise<object>;
}

/** What becomes of a card that its agent has signed: ours in its place, the card itself, or none. */
export type SignedCardMode = 'resign' | 'verbatim' | 'reject';

/** What cards are made of. */
export interface CardOptions {
  peers: PeerRegistry;
  publicUrl: string;
  organization: Organization;
  /** Cards are served unsigned without it. */
  signer?: () => CardSigner;
  /** What becomes of a signed card of a peer; `resign` when absent. */
  signedCardMode?: (peerId: string) => SignedCardMode;
  /** Whether anybody may read the card of a peer; anybody may when absent. */
  isPublic?: (peerId: string) => boolean;
  /** For whom peers are asked where anybody may read; the caller of `open` mode when absent. */
  asks?: Principal;
  /** How callers of a peer prove who they are; `mark` changes with it. */
  security?: { mark(): string; of(peerId: string): CardSecurity };
  /** The `Link` to the site's catalogue. */
  link?: string;
  log: Pick<A2aFaceLog, 'event'>;
}

/** A card as it is sent. */
interface Served {
  card: AgentCard;
  hybrid: TaggedBody;
  current: TaggedBody;
}

/** How long a card may take to fetch (ms). */
const fetchMs = 10_000;

/** The well-known paths below a peer's base. Spec: A2A 1.0 §8.2; `agent.json` is the older name */
export const cardPaths: ReadonlySet<string> = new Set([
  '/.well-known/agent-card.json',
  '/.well-known/agent.json',
]);

/** See the file comment. */
export class CardEndpoint {
  readonly #options: CardOptions;
  /** By the object that the connector caches, so that a card is built once per change. */
  readonly #built = new WeakMap<object, { kid: string; served: Served }>();
  readonly #last = new Map<string, Served>();
  /** Cards that are being made: by peer what anybody gets, by source what is somebody's own. */
  readonly #making = new Map<string | object, Promise<Served>>();
  /** By the same object: whether its text is signed, and the text as it is sent. */
  readonly #signed = new WeakMap<object, boolean>();
  readonly #verbatims = new WeakMap<object, TaggedBody>();
  /** Why a card of ours stands in the place of a peer's own. */
  readonly #replaced = new Map<string, string>();

  constructor(options: CardOptions) {
    this.#options = options;
  }

  /** The peer's card in 1.0 wire JSON. Throws GatewayError when it is unknown or away. */
  async card(peerId: string, principal: Principal = anonymous): Promise<AgentCard> {
    return (await this.#serve(peerId, principal)).card;
  }

  /** The bytes that a reader of any version gets at the well-known paths. Throws like `card`. */
  async document(peerId: string): Promise<Uint8Array> {
    return (await this.#serve(peerId, anonymous)).hybrid.body;
  }

  /** Answers a request for the card. `hybrid` adds what readers of 0.3 look for. */
  async handle(
    exchange: { req: IncomingMessage; res: ServerResponse; hybrid: boolean },
    peerId: string,
    principal: Principal,
  ): Promise<void> {
    const { req, res } = exchange;
    if (answeredByMethod(req, res)) return;
    let served: Served;
    try {
      served = await this.#serve(peerId, principal);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      refuse(res, peerId, error);
      return;
    }
    const { link } = this.#options;
    sendDocument(req, res, {
      ...(exchange.hybrid ? served.hybrid : served.current),
      contentType: wantsCardType(req) ? cardType : 'application/json',
      vary: 'Accept, A2A-Version',
      isPrivate: this.#options.isPublic?.(peerId) === false,
      ...(link !== undefined && { link }),
    });
  }

  async #serve(peerId: string, principal: Principal): Promise<Served> {
    const peer = this.#options.peers.get(peerId);
    if (peer === undefined) {
      this.#last.delete(peerId);
      this.#replaced.delete(peerId);
      throw new GatewayError('peer-unavailable', `"${peerId}" is not served here.`);
    }
    const signal = AbortSignal.timeout(fetchMs);
    try {
      const served =
        peer.protocol === 'a2a'
          ? await this.#ofAgent(peer, signal)
          : await this.#ofServer(peer, { principal, signal });
      if (isAnybody(peer, principal)) this.#last.set(peerId, served);
      return served;
    } catch (error) {
      if (error instanceof GatewayError && error.code === 'unsupported') throw error;
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
    const mode = this.#options.signedCardMode?.(peer.id) ?? 'resign';
    const text = mode === 'resign' ? undefined : await peer.cardText?.({ signal });
    const isSigned = text !== undefined && this.#isSigned(text);
    if (mode === 'reject' && isSigned) {
      throw new GatewayError(
        'unsupported',
        'its agent has signed it, and it is not shown in another form here. Read it at the agent.',
        { facts: { peer: peer.id } },
      );
    }
    if (isSigned && text.unfit === undefined) {
      this.#replaced.delete(peer.id);
      return this.#verbatim(text);
    }
    if (mode === 'verbatim') this.#tellReplaced(peer.id, text?.unfit ?? 'The card is not signed.');
    const own = await peer.card({ signal });
    return this.#build(own, peer.id, () => cardOfAgent(own, this.#place(peer.id)));
  }

  #isSigned({ card, raw }: CardText): boolean {
    let isSigned = this.#signed.get(card);
    if (isSigned === undefined) this.#signed.set(card, (isSigned = hasSignatures(raw)));
    return isSigned;
  }

  #verbatim({ card, raw }: CardText): Served {
    let body = this.#verbatims.get(card);
    if (body === undefined) this.#verbatims.set(card, (body = tagged(raw)));
    return { card, current: body, hybrid: body };
  }

  /** Once per reason: a card is asked for often. */
  #tellReplaced(peer: string, reason: string): void {
    if (this.#replaced.get(peer) === reason) return;
    this.#replaced.set(peer, reason);
    this.#options.log.event('a2a.card_not_verbatim', { peer, reason });
  }

  async #ofServer(peer: ToolPeer, context: PeerContext): Promise<Served> {
    const isOpen = isAnybody(peer, context.principal);
    const { asks = anonymous } = this.#options;
    const catalogue = await peer.catalogue(isOpen ? { ...context, principal: asks } : context);
    const key = isOpen ? peer.id : catalogue;
    return this.#build(catalogue, key, () => cardOfServer(catalogue, this.#place(peer.id)));
  }

  async #build(source: object, key: string | object, make: () => AgentCard): Promise<Served> {
    const signer = this.#options.signer?.();
    const kid = `${signer?.kid ?? ''} ${this.#options.security?.mark() ?? ''}`;
    const known = this.#built.get(source);
    if (known?.kid === kid) return known.served;
    const making = this.#making.get(key);
    if (making !== undefined) {
      return (typeof key === 'string' ? this.#last.get(key) : undefined) ?? making;
    }
    const work = servedAs(make(), signer);
    this.#making.set(key, work);
    try {
      const served = await work;
      this.#built.set(source, { kid, served });
      return served;
    } finally {
      this.#making.delete(key);
    }
  }

  #place(peerId: string): CardPlace {
    const { publicUrl, organization, security } = this.#options;
    return { peerId, publicUrl, organization, ...(security && { security: security.of(peerId) }) };
  }
}

async function servedAs(card: AgentCard, signer: CardSigner | undefined): Promise<Served> {
  const inForm = async (form: object): Promise<TaggedBody> =>
    tagged(JSON.stringify(signer === undefined ? form : await signer.sign(form)));
  return { card, current: await inForm(card), hybrid: await inForm(hybridCard(card)) };
}

/** Whether what the peer shows the caller is what it shows anybody: agents' cards are everybody's. */
function isAnybody({ protocol }: AgentPeer | ToolPeer, principal: Principal): boolean {
  return protocol === 'a2a' || ownerKey(principal) === ownerKey(anonymous);
}

function refuse(res: ServerResponse, peerId: string, error: GatewayError): void {
  const gone = error.code === 'unsupported';
  const status = gone ? 404 : 503;
  const why = gone ? 'is not served' : 'cannot be read now';
  const text = `The card of "${peerId}" ${why}: ${error.message}`;
  res.writeHead(status, {
    ...corsHeaders,
    'cache-control': 'no-store',
    'content-type': 'application/json',
    'x-content-type-options': 'nosniff',
    ...(!gone && { 'retry-after': '5' }),
  });
  res.end(JSON.stringify(statusBody(status, text)));
}

/** Spec: AI Catalog 1.0: an entry's document answers with the type that the entry names */
const cardType = 'application/a2a-agent-card+json';

function wantsCardType(req: IncomingMessage): boolean {
  return req.headers.accept?.toLowerCase().includes(cardType) === true;
}

/** Whether a card, as its agent serves it, carries signatures. */
function hasSignatures(text: string): boolean {
  const { signatures } = JSON.parse(text) as { signatures?: unknown };
  return Array.isArray(signatures) && signatures.length > 0;
}
