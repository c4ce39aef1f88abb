/** Results of MCP tools, in the two forms that the examples give. */
import type { CallToolResult } from '@modelcontextprotocol/server';
import { BorrowError } from '../../src/borrower/borrower.ts';

/** A value, for models as text and for programs as it is. */
export function result(value: Record<string, unknown>): CallToolResult {
  return { content: [{ type: 'text', text: JSON.stringify(value) }], structuredContent: value };
}

/** What went wrong, and what to do next. */
export function failure(text: string): CallToolResult {
  return { content: [{ type: 'text', text }], isError: true };
}

/** What went wrong with a lease. Other errors may quote what a server said, and are not shown. */
export function reasonOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof BorrowError) return at.message;
  }
  return 'The lent tools did not answer as they should.';
}
