/** What a request of the face came to: one peer, or all of them as one server. */
import type { JsonObject } from '../model/json.ts';
import type { Peer } from '../ports/peer.ts';

/** The endpoint `/mcp`: all peers as one MCP server, which is the gateway itself. */
export interface AllPeers {
  readonly id: '';
  readonly protocol: 'all';
  /** How the gateway introduces itself. */
  readonly serverInfo: JsonObject;
  readonly instructions: string;
}

/** An endpoint of the face. */
export type Endpoint = Peer | AllPeers;
