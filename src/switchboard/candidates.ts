/**
 * The tools that could be lent: those that rules name, of the peers that there are, of the lender's
 * own reverse channels, and of what its message offers from elsewhere.
 */
import { GatewayError } from '../model/errors.ts';
import type { JsonObject } from '../model/json.ts';
import type { LeaseOffer } from '../model/lease.ts';
import type { Principal } from '../model/principal.ts';
import { qualifiedNames } from '../model/qualified-names.ts';
import type { LendingRule } from '../policy/lending.ts';
import { matchesWord, type LendableTool } from '../policy/tool-pattern.ts';
import type { LentTool } from '../ports/leases.ts';
import type { Peer } from '../ports/peer.ts';
import { patternParts } from '../translate/tool-pattern-shape.ts';
import { toolsOf } from './lent-catalogue.ts';

/** What a lender serves itself over the reverse channel. */
export interface OwnPeer {
  readonly id: string;
  /** What the lender calls it. */
  readonly name: string;
}

/** What another organization lends, accepted to be lent on. */
export interface BorrowedPeer {
  /** The id of the peer that stands for it. */
  readonly id: string;
  readonly tools: readonly string[];
  readonly depth: number;
  readonly via: readonly string[];
  /** In milliseconds. */
  readonly expiresAt: number;
}

/** What finding needs. */
export interface CandidatesOptions {
  /** The peers that anybody may be told of. */
  readonly peers: () => readonly Peer[];
  readonly peerAt: (peerId: string, lender: Principal) => Peer | undefined;
  readonly ownPeers: (lender: Principal) => readonly OwnPeer[];
  /** Takes an offer in; undefined where it is not for us, or not from who may offer. */
  readonly borrow: (
    offer: LeaseOffer,
    to: { lender: Principal; task: string; signal: AbortSignal },
  ) => Promise<BorrowedPeer | undefined>;
  readonly isOwn: (peerId: string) => boolean;
  readonly borrowed: (peerId: string) => BorrowedPeer | undefined;
}

/** A tool, and the name that it would be lent by. */
export interface Candidate {
  readonly tool: LendableTool;
  readonly name: string;
}

/** So many tools are lent at once at the most. */
const mostTools = 256;

/** See the file comment. */
export class Candidates {
  readonly #options: CandidatesOptions;

  constructor(options: CandidatesOptions) {
    this.#options = options;
  }

  /** What the rules could mean for this lender. */
  async of(
    rules: readonly LendingRule[],
    from: { lender: Principal; signal: AbortSignal; offered?: LeaseOffer; task?: string },
  ): Promise<Candidate[]> {
    const words = rules.flatMap(({ tools }) => tools.flatMap((text) => patternParts(text) ?? []));
    const named = (peer: string): string[] =>
      words.filter((one) => one.peer === peer).map(({ name }) => name);
    const peers = this.#options.peers().filter(({ id }) => words.some((one) => isPeer(one, id)));
    const found = [
      ...(await Promise.all(
        peers.map((peer) => this.#ofPeer(peer, namesFor(words, peer.id), from)),
      )),
      ...(named('own').length > 0 ? await this.#own(from) : []),
      ...(named('offered').length > 0 ? await this.#offered(from) : []),
    ];
    return unique(found.flat()).slice(0, mostTools);
  }

  /** A tool that was lent, as rules see it. */
  lendable({ peer, own }: Pick<LentTool, 'peer' | 'own'>): LendableTool {
    const { isOwn, borrowed } = this.#options;
    const kind = isOwn(peer) ? 'own' : borrowed(peer) !== undefined ? 'offered' : 'peer';
    return { kind, peer, name: own };
  }

  /** What bounds a lease of borrowed tools; nothing where there are none. */
  borrowedBy(
    tools: readonly LendableTool[],
  ): Pick<BorrowedPeer, 'depth' | 'via' | 'expiresAt'> | undefined {
    const found = tools.flatMap(({ peer }) => this.#options.borrowed(peer) ?? []);
    const [first] = found;
    if (first === undefined) return undefined;
    return {
      depth: Math.min(...found.map(({ depth }) => depth - 1)),
      via: first.via,
      expiresAt: Math.min(...found.map(({ expiresAt }) => expiresAt)),
    };
  }

  async #ofPeer(
    peer: Peer,
    names: readonly string[],
    { lender: principal, signal }: { lender: Principal; signal: AbortSignal },
    shownAs = peer.id,
    kind: LendableTool['kind'] = 'peer',
  ): Promise<Candidate[]> {
    const tools = await toolsOf(peer, { principal, signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      // One that is away now may be back when it is called: what is named in full is lent.
      if (error instanceof GatewayError) return names.filter(isWhole).map((name) => ({ name }));
      throw error;
    });
    const own = tools.flatMap(({ name }: JsonObject) => (typeof name === 'string' ? [name] : []));
    return qualifiedNames(shownAs, own).map(({ name, own: tool }) => ({
      name,
      tool: { kind, peer: peer.id, name: tool },
    }));
  }

  async #own(from: { lender: Principal; signal: AbortSignal }): Promise<Candidate[][]> {
    const { ownPeers, peerAt } = this.#options;
    return Promise.all(
      ownPeers(from.lender).map(async ({ id, name }) => {
        const peer = peerAt(id, from.lender);
        return peer === undefined ? [] : this.#ofPeer(peer, [], from, name, 'own');
      }),
    );
  }

  async #offered(from: {
    lender: Principal;
    signal: AbortSignal;
    offered?: LeaseOffer;
    task?: string;
  }): Promise<Candidate[][]> {
    const { lender, signal, offered, task } = from;
    if (offered === undefined || task === undefined) return [];
    const peer = await this.#options.borrow(offered, { lender, task, signal });
    if (peer === undefined) return [];
    // Names are kept: who wrote the agent and who lends the tools may have agreed on them.
    return [
      peer.tools.map((name) => ({ name, tool: { kind: 'offered', peer: peer.id, name } as const })),
    ];
  }
}

/** Names are unique within a lease: of two with one name the second is told apart by its peer. */
function unique(candidates: readonly Candidate[]): Candidate[] {
  const taken = new Set<string>();
  return candidates.flatMap(({ tool, name }) => {
    const [{ name: whole } = { name }] = qualifiedNames(tool.peer, [tool.name]);
    const free = [name, whole].find((one) => !taken.has(one));
    if (free === undefined) return [];
    taken.add(free);
    return [{ tool, name: free }];
  });
}

function isPeer({ peer }: { peer: string }, id: string): boolean {
  return peer !== 'own' && peer !== 'offered' && matchesWord(peer, id);
}

function namesFor(words: readonly { peer: string; name: string }[], id: string): string[] {
  return words.filter((one) => isPeer(one, id)).map(({ name }) => name);
}

function isWhole(pattern: string): boolean {
  return !pattern.endsWith('*');
}
