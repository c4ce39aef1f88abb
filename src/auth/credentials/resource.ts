/**
 * What tokens for an agent are for, where the operator does not say: the base URL of its card. A2A
 * has no rule for it; for an agent behind a gateway like this one it is the agent's own URL.
 *
 * Spec: RFC 8707 §2
 */
export function agentResource(card: string): string {
  const url = new URL(card);
  const base = url.pathname.replace(/\/\.well-known\/[^/]*$/, '').replace(/\/+$/, '');
  return `${url.origin}${base}`;
}

/** What tokens for an MCP server are for: its endpoint. Spec: MCP 2026-07-28 basic/authorization */
export function serverResource(endpoint: string): string {
  const [resource = endpoint] = endpoint.split('#');
  return resource;
}
