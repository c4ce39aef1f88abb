/**
 * The command that `@modelcontextprotocol/conformance client` runs as the client under test. It only
 * passes on what it was started with to the test that waits for it, and ends as that one says.
 *
 * `node conformance-client.ts <endpoint of the test> <URL of the server>`
 */
const [endpoint = '', server = ''] = process.argv.slice(2);
const { MCP_CONFORMANCE_SCENARIO: scenario, MCP_CONFORMANCE_CONTEXT: context } = process.env;

const response = await fetch(endpoint, {
  method: 'POST',
  body: JSON.stringify({ scenario, server, context: JSON.parse(context ?? '{}') as unknown }),
});
process.stdout.write(await response.text());
process.exitCode = response.ok ? 0 : 1;
