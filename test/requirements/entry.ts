/**
 * One obligation of a spec whose violation a client or a peer could see.
 *
 * `spec` names the place, `url` leads there, `text` says the observable behaviour in our own words.
 * `role` is the part that the gateway plays: `server` to those who call it, `client` to its peers.
 */
export interface Requirement {
  readonly id:
    | `A2A-${string}`
    | `MCP-${string}`
    | `TASKS-${string}`
    | `CARD-${string}`
    | `CATALOG-${string}`
    | `REGISTRY-${string}`;
  readonly spec: string;
  readonly url: `https://${string}`;
  readonly text: string;
  readonly role: 'server' | 'client' | 'both';
}
