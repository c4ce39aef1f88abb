/**
 * The command `isthmus lend`: serves a local MCP server over the reverse channel. An entry of its
 * own, because it starts a process, which nothing that `isthmus serve` can reach does.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { LendChannel, type LendEvent } from './lender/lend-channel.ts';
import { LendError } from './lender/lend-error.ts';
import type { MachineCredentials } from './lender/machine-client.ts';
import { ChildServer, type ChildEnd } from './child-server.ts';

const usage = `Usage:
  isthmus lend --gateway URL [--as NAME] [--client-id ID --key FILE] -- CMD …

Lends the stdio MCP server that CMD starts to the gateway at URL, for you alone, until it ends.
NAME is a-z, 0-9 and "-"; "tools" when absent. FILE is a private key as a JWK or PKCS#8 PEM; a
gateway on this machine in mode "open" needs none. HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY
are followed.`;

const options = {
  gateway: { type: 'string' },
  as: { type: 'string' },
  'client-id': { type: 'string' },
  key: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

interface Lending {
  readonly gateway: string;
  readonly name?: string;
  readonly auth?: MachineCredentials;
  readonly command: string;
  readonly args: readonly string[];
}

function say(text: string): void {
  process.stderr.write(`isthmus: ${text}\n`);
}

/** What the command line asks for, or the exit status that it comes to. */
function lendingOf(argv: readonly string[]): Lending | number {
  const refuse = (reason: string): number => {
    process.stderr.write(`isthmus: ${reason}\n\n${usage}\n`);
    return 2;
  };
  const end = argv.indexOf('--');
  let given: ReturnType<typeof readFlags>;
  try {
    given = readFlags(end === -1 ? argv : argv.slice(0, end));
  } catch (error) {
    const [reason = ''] = error instanceof Error ? error.message.split('. To specify') : [];
    return refuse(reason);
  }
  if (given.help) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const { gateway, as: name, 'client-id': clientId, key } = given;
  const [command, ...args] = end === -1 ? [] : argv.slice(end + 1);
  if (gateway === undefined) return refuse('lend needs --gateway URL');
  if (command === undefined) return refuse('lend needs a command behind "--"');
  if ((clientId === undefined) !== (key === undefined)) {
    return refuse('--client-id and --key go together');
  }
  const auth =
    clientId === undefined || key === undefined
      ? {}
      : { auth: { clientId, key: readFileSync(key, 'utf8') } };
  return { gateway, command, args, ...(name !== undefined && { name }), ...auth };
}

function readFlags(args: readonly string[]) {
  return parseArgs({ options, args: [...args] }).values;
}

async function lend({ command, args, ...where }: Lending): Promise<number> {
  const tell = (event: LendEvent): void => {
    if (event.kind === 'away') {
      say(`${event.reason} Trying again ${whenText(event.retryMs)}.`);
    } else {
      const { href } = new URL(`/mcp/${event.peer}`, where.gateway);
      say(`lent to ${where.gateway} as "${event.peer}": yours alone at ${href}`);
    }
  };
  const channel = new LendChannel({ ...where, onEvent: tell });
  const server = new ChildServer(command, args);
  let isAsked = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      isAsked = true;
      channel.close();
    });
  }
  const ended = server.ended.finally(() => channel.close());
  const saying = (async () => {
    const noise = (problem: string): void => say(`the server is not heard: ${problem}`);
    for await (const message of server.messages(noise)) await channel.send(message, server);
  })().catch((error: unknown) => {
    say(error instanceof Error ? error.message : String(error));
    channel.close();
  });
  let status = 0;
  try {
    await channel.serve(server);
  } catch (error) {
    if (!(error instanceof LendError)) throw error;
    say(error.message);
    status = 1;
  } finally {
    await server.stop();
  }
  await saying;
  if (isAsked || status !== 0) return status;
  say(`the server has ended: ${wordsOf(command, await ended)}`);
  return 1;
}

function wordsOf(command: string, { code, signal, problem }: ChildEnd): string {
  if (problem !== undefined) return `"${command}" cannot be started (${problem})`;
  return signal === null ? `exit ${code ?? ''}`.trim() : `signal ${signal}`;
}

try {
  const asked = lendingOf(process.argv.slice(3));
  process.exitCode = typeof asked === 'number' ? asked : await lend(asked);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

function whenText(ms: number): string {
  return ms === 0 ? 'at once' : `in ${(ms / 1000).toFixed(1)} s`;
}
