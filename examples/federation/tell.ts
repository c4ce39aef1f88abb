/** Says what has just happened, as one line that the demo reads. */
export function tell(fact: Readonly<Record<string, unknown>> & { readonly event: string }): void {
  // On standard error: what a stdio MCP server writes to standard output is its protocol.
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), ...fact })}\n`);
}
