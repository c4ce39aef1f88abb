/** The sandbox as an MCP server: one tool, and as many within it as its caller lends. */
import { McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { BorrowError, offerIn, serverExtension, type Lease } from '../../src/borrower/borrower.ts';
import { Grantee, type GranteeOptions } from '../hosting/grantee.ts';
import { callLent, textOf, type CallContext } from '../hosting/lent-call.ts';
import { serveMcp, type HostOptions } from '../hosting/mcp-host.ts';
import { failure, reasonOf, result } from '../hosting/tool-result.ts';
import type { Limits, ShownTool } from './protocol.ts';
import { runCode, type RunOptions } from './sandbox.ts';

/** So many runs at the same time: each is a thread. */
const mostRuns = 4;

/** Starts it. */
export async function startCodeModeServer({
  limits,
  ...options
}: HostOptions & GranteeOptions & { limits?: Partial<Limits> }) {
  const grantee = new Grantee('Code mode', options);
  const runs = new Set<object>();
  return serveMcp(
    (origin) =>
      codeServer(grantee.clientId(origin), async (code, context) => {
        if (runs.size >= mostRuns) return failure('Too much code is running. Try again later.');
        runs.add(context);
        try {
          const { signal } = context.mcpReq;
          const runWith = async (lease?: Lease) =>
            runCode({ code, ...(await lent(lease)), signal, ...(limits && { limits }) });
          const offer = offerIn(context);
          const run =
            offer === undefined
              ? await runWith()
              : await grantee.withLease(offer, { origin, signal }, runWith);
          return { ...result({ ...run }), isError: run.error !== undefined };
        } catch (error) {
          return failure(reasonOf(error));
        } finally {
          runs.delete(context);
        }
      }),
    { ...options, documents: (origin) => grantee.documents(origin) },
  );
}

type RunTool = (code: string, context: CallContext) => Promise<ReturnType<typeof result>>;

function codeServer(clientId: string, run: RunTool): McpServer {
  const server = new McpServer(
    { name: 'code-mode', title: 'Code mode', version: '1.0.0' },
    { capabilities: { extensions: serverExtension(clientId) } },
  );
  server.registerTool(
    'run_code',
    {
      title: 'Run code',
      description:
        'Runs JavaScript in a sandbox: the body of an async function, so `return` the value. Each lent tool is an async function of its name, which takes its arguments as an object: `await files__read_file({ path })`. `tools` lists them. There is no network, no file system and no timer.',
      inputSchema: z.object({ code: z.string().min(1).max(100_000) }),
    },
    ({ code }, context) => run(code, context),
  );
  return server;
}

async function lent(lease: Lease | undefined): Promise<Pick<RunOptions, 'tools' | 'call'>> {
  if (lease === undefined) {
    return { tools: [], call: () => Promise.reject(new Error('Nothing is lent.')) };
  }
  const { tools } = await lease.client.listTools();
  const shown = tools.map(({ name, description = '', inputSchema }): ShownTool => ({
    name,
    description,
    inputSchema,
  }));
  return {
    tools: shown,
    async call(name, args, signal) {
      try {
        const answer = await callLent(lease.client, { name, arguments: args }, signal);
        return answer.structuredContent ?? textOf(answer);
      } catch (error) {
        // What a lease's failure says is for everybody; it is wrapped in what the SDK says of it.
        throw causeOf(error);
      }
    },
  };
}

function causeOf(error: unknown): unknown {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof BorrowError) return at;
  return error;
}
