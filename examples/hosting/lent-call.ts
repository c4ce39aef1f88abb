/** Calls of lent tools for an MCP server that is called itself. */
import type { CallToolResult, Client } from '@modelcontextprotocol/client';

/** The part of an MCP SDK's handler context that the examples use; an offer is found beside it. */
export interface CallContext {
  mcpReq: { signal: AbortSignal };
}

/** A call of a lent tool whose failure is an error with the tool's own words. */
export async function callLent(
  client: Pick<Client, 'callTool'>,
  call: { name: string; arguments: Record<string, unknown> },
  signal: AbortSignal,
): Promise<CallToolResult> {
  const answer = await client.callTool(call, { signal });
  if (answer.isError === true) throw new Error(textOf(answer) || `${call.name} failed.`);
  return answer;
}

/** The text that a result has for models. */
export function textOf({ content }: Pick<CallToolResult, 'content'>): string {
  return content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('\n');
}
