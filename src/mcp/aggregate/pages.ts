/**
 * Pages at the endpoint of all peers. A cursor is sealed: it means nothing to anybody else, nor
 * for another list, nor once the list has changed.
 *
 * Spec: MCP 2026-07-28 server/utilities/pagination (opaque cursors; -32602 for an invalid one)
 */
import { GatewayError } from '../../model/errors.ts';
import { isObject } from '../../model/json.ts';
import type { Json, JsonObject } from '../../model/json.ts';
import { ownerKey } from '../../model/principal.ts';
import type { Peer } from '../../ports/peer.ts';
import type { CallContext, FaceServices } from '../call-context.ts';
import type { AllPeers } from '../endpoint.ts';
import { optionalString } from '../params.ts';

/** How much of a list is on one page. */
const pageSize = 200;

/** A page that goes through the peers is answered once it has so many entries. */
const enough = 50;

/** Which list a page is of, and for whom. */
export interface Paging {
  params: JsonObject;
  call: CallContext<AllPeers>;
  /** The member of the result, and the list's name: `tools`, `prompts` … */
  member: string;
  seal: FaceServices['seal'];
}

/** A page of a list that is in memory; `mark` changes with the list. */
export function pageOf(items: readonly JsonObject[], mark: string, paging: Paging): JsonObject {
  const start = startOf(mark, paging);
  const end = start + pageSize;
  const page: JsonObject = { [paging.member]: items.slice(start, end) };
  if (end < items.length) page['nextCursor'] = sealed({ mark, at: end }, paging);
  return page;
}

function startOf(mark: string, paging: Paging): number {
  const cursor = optionalString(paging.params, 'cursor');
  if (cursor === undefined) return 0;
  const opened = placeIn(cursor, paging);
  const at = opened?.['at'];
  if (opened?.['mark'] === mark && typeof at === 'number') return at;
  throw stale();
}

/**
 * A page that is read from one peer after the other, in the order of their ids. `read` is given
 * the peer's own cursor.
 */
export async function pageAcross<P extends Peer>(
  peers: readonly P[],
  paging: Paging,
  read: (peer: P, cursor: string | undefined) => Promise<JsonObject>,
): Promise<JsonObject> {
  const { member } = paging;
  const items: Json[] = [];
  let from = placeOf(paging);
  for (const peer of peers.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
    if (peer.id < from.peer) continue;
    if (items.length >= enough) {
      return { [member]: items, nextCursor: sealed({ peer: peer.id, cursor: null }, paging) };
    }
    const page = await read(peer, peer.id === from.peer ? from.cursor : undefined);
    const own = page[member];
    if (Array.isArray(own)) items.push(...own);
    const { nextCursor } = page;
    if (typeof nextCursor === 'string') {
      const place = { peer: peer.id, cursor: nextCursor };
      return { [member]: items, nextCursor: sealed(place, paging) };
    }
    from = { peer: '', cursor: undefined };
  }
  return { [member]: items };
}

function placeOf(paging: Paging): { peer: string; cursor: string | undefined } {
  const text = optionalString(paging.params, 'cursor');
  if (text === undefined) return { peer: '', cursor: undefined };
  const { peer, cursor } = placeIn(text, paging) ?? {};
  if (typeof peer !== 'string') throw stale();
  return { peer, cursor: typeof cursor === 'string' ? cursor : undefined };
}

function sealed(place: JsonObject, paging: Paging): string {
  return paging.seal.seal({ place }, use(paging));
}

function placeIn(cursor: string, paging: Paging): JsonObject | undefined {
  const place = paging.seal.open(cursor, use(paging))?.['place'];
  return isObject(place) ? place : undefined;
}

function use({ call, member }: Paging): string {
  return JSON.stringify(['aggregate-cursor', ownerKey(call.principal), member]);
}

function stale(): GatewayError {
  return new GatewayError(
    'invalid-params',
    'The cursor is not one of this list, or the list has changed since. List again without a cursor.',
    { facts: { field: 'cursor' } },
  );
}
