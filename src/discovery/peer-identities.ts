/**
 * Who the MCP endpoint of a peer is, for those who connect to it: what its documents say, so that
 * nobody reads one thing and meets another. Made once per change, because every answer names it.
 *
 * Spec: MCP Server Cards, discovery, "Consistency with Runtime Behavior"
 */
import type { AgentCard } from '../model/a2a.ts';
import type { Catalogue } from '../ports/peer.ts';
import type { LiveDirectory } from './directory.ts';
import { identityOfPeer } from './identity.ts';
import type { Place, ServerIdentity } from './identity.ts';
import { PerListing } from './per-listing.ts';

/** What a peer has just said of itself. */
export type Said = { readonly card: AgentCard } | { readonly catalogue: Catalogue };

/** See the file comment. */
export class PeerIdentities {
  readonly #directory: Pick<LiveDirectory, 'get' | 'look'>;
  readonly #place: Place;
  readonly #listed: PerListing<ServerIdentity>;
  /** By the object that the connector caches. */
  readonly #said = new WeakMap<AgentCard | Catalogue, ServerIdentity>();

  constructor(directory: Pick<LiveDirectory, 'get' | 'look'>, place: Place) {
    this.#directory = directory;
    this.#place = place;
    this.#listed = new PerListing((listing) => identityOfPeer(listing, place));
  }

  /** As documents show it; undefined while the directory has not read the peer. */
  listed(peerId: string): ServerIdentity | undefined {
    const listing = this.#directory.get(peerId);
    if (listing?.card === undefined && listing?.catalogue === undefined) return undefined;
    return this.#listed.of(listing);
  }

  /**
   * The same, or else what documents will show. Where the peer says something new, the directory
   * looks at it now.
   */
  of(peerId: string, said: Said): ServerIdentity {
    const known = this.listed(peerId);
    const source = 'card' in said ? said.card : said.catalogue;
    let own = this.#said.get(source);
    if (own === undefined) {
      own = identityOfPeer({ id: peerId, ...said }, this.#place);
      this.#said.set(source, own);
    }
    if (known !== undefined && known.version !== own.version) this.#directory.look(peerId);
    return known ?? own;
  }
}
