import { listenJson, readText, sendJson } from '../json-http.ts';
import type { Listening } from '../json-http.ts';
import { catalogueResult } from '../mcp-catalogue.ts';
import type { EchoCall, RpcRequest } from '../wire.ts';

/** The answer of the echo server to one JSON-RPC request; `undefined` for a notification. */
export function echoAnswer(request: RpcRequest<EchoCall>): unknown {
  if (!('id' in request)) return undefined;
  const { id, method } = request;
  if (method === 'tools/call') {
    const text = request.params.arguments.message;
    const result = { resultType: 'complete', content: [{ type: 'text', text }] };
    return { jsonrpc: '2.0', id, result };
  }
  const result = catalogueResult(method);
  if (result !== undefined) return { jsonrpc: '2.0', id, result };
  return { jsonrpc: '2.0', id, error: { code: -32601, message: `no method ${method}` } };
}

/**
 * An MCP server with one echo tool over Streamable HTTP, written on `node:http` alone so that the
 * peer is never what a row measures. It checks nothing.
 */
export function startEchoServer(port = 0): Promise<Listening> {
  return listenJson(async (request, response) => {
    if (request.method !== 'POST') {
      response.writeHead(405).end();
      return;
    }
    const call = JSON.parse(await readText(request)) as RpcRequest<EchoCall>;
    const answer = echoAnswer(call);
    if (answer === undefined) response.writeHead(202).end();
    else sendJson(response, 200, answer);
  }, port);
}
