/** The A2A extension that carries MCP calls, requests and responses exactly. */

/** Identifies data parts `{ tool, arguments }`, `{ key, request }` and `{ key, response }`. */
export const toolCallExtensionUri = 'urn:isthmus:ext:tool-call:v1';
