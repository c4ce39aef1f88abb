import { createInterface } from 'node:readline';
import { echoAnswer } from './echo-server.ts';
import type { EchoCall, RpcRequest } from '../wire.ts';

// The echo server over stdio: one JSON-RPC message a line. It ends with its standard input.
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line) as RpcRequest<EchoCall>;
  const answer = echoAnswer(request);
  if (answer !== undefined) process.stdout.write(`${JSON.stringify(answer)}\n`);
}
