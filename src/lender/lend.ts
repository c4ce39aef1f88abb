/**
 * A client whose calls lend tools: those that its gateway has for it already, and functions of this
 * process, which are served over the reverse channel for as long as the client is used.
 *
 * Spec: docs/callbacks.md, "The request to lend"
 */
import { leaseExtension, leaseMeta, type LeaseRequest } from '../model/lease.ts';
import { inlineServer, type InlineTool } from './inline-tools.ts';
import type { LendOptions } from './lend-channel.ts';
import { LendError } from './lend-error.ts';
import { WebSocketServerTransport } from './web-socket-server-transport.ts';

/** What is lent, in the words of a request. Everything but `tools` narrows it further. */
export interface LendTerms extends Omit<LeaseRequest, 'tools'> {
  /**
   * Names and patterns of tools that the gateway has (`files/read_file`, `calendar/*`), or functions
   * of this process by their names.
   */
  readonly tools: readonly string[] | Readonly<Record<string, InlineTool>>;
  /** Where functions are served: the gateway that the client is connected to, and who lends there. */
  readonly channel?: LendOptions;
}

/** A client, lending. `await using` ends it; the client itself stays connected. */
export interface Lending<C> extends AsyncDisposable {
  /** The same client: what it sends asks to lend. */
  readonly client: C;
  /** Takes the functions back. What was lent by the gateway's own tools ends with each task. */
  close(): Promise<void>;
}

/** What is asked of an MCP client: `Client` of the official SDK is one. */
interface ToolCaller {
  callTool(params: { name: string; _meta?: object }, ...rest: never[]): unknown;
}

/** What is asked of an A2A client: `Client` of the official SDK is one. */
interface MessageSender {
  sendMessage(params: { message: object | undefined }, ...rest: never[]): unknown;
  sendMessageStream(params: { message: object | undefined }, ...rest: never[]): unknown;
}

/**
 * Lends tools with every call of a client. Resolves when functions are served; rejects with a
 * LendError where the gateway does not take them.
 */
export async function lend<C extends ToolCaller | MessageSender>(
  client: C,
  { tools, channel, ...terms }: LendTerms,
): Promise<Lending<C>> {
  const served = isList(tools) ? undefined : await serve(tools, channel);
  const names = isList(tools) ? tools : Object.keys(tools).map((name) => `own/${name}`);
  const request: LeaseRequest = { ...terms, tools: names };
  const close = async (): Promise<void> => served?.close();
  return { client: lendingClient(client, request), close, [Symbol.asyncDispose]: close };
}

function isList(tools: LendTerms['tools']): tools is readonly string[] {
  return Array.isArray(tools);
}

/** Serves functions, and waits until the gateway has them. */
async function serve(
  tools: Readonly<Record<string, InlineTool>>,
  channel: LendOptions | undefined,
): Promise<{ close(): Promise<void> }> {
  if (channel === undefined) {
    const message = 'Functions are served over a channel: say in "channel" to which gateway.';
    throw new LendError(message, { isFinal: true });
  }
  const open = Promise.withResolvers<void>();
  const transport = new WebSocketServerTransport({
    ...channel,
    onEvent: (event) => {
      if (event.kind === 'open') open.resolve();
      channel.onEvent?.(event);
    },
  });
  await inlineServer(tools).connect(transport);
  await transport.start();
  const ended = transport.ended().then(() => {
    throw new LendError('The channel was closed.', { isFinal: true });
  });
  // Afterwards nobody waits for its end.
  ended.catch(() => undefined);
  try {
    await Promise.race([open.promise, ended]);
  } catch (error) {
    await transport.close();
    throw error;
  }
  return transport;
}

/** The client with a request to lend in what it sends. */
function lendingClient<C extends object>(client: C, request: LeaseRequest): C {
  const said = { lend: request };
  const inMeta = (params: { _meta?: object }) => ({
    ...params,
    _meta: { ...params._meta, [leaseMeta]: said },
  });
  const inMessage = (params: { message?: { metadata?: object } }) => ({
    ...params,
    message: {
      ...params.message,
      metadata: { ...params.message?.metadata, [leaseExtension]: said },
    },
  });
  const changes: Record<string, (params: never) => object> = {
    callTool: inMeta,
    callToolStream: inMeta,
    sendMessage: inMessage,
    sendMessageStream: inMessage,
  };
  return new Proxy(client, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      const change = typeof name === 'string' ? changes[name] : undefined;
      // Methods keep their own `this`: clients have private members.
      if (change === undefined) return member.bind(target) as unknown;
      return (params: never, ...rest: unknown[]): unknown =>
        Reflect.apply(member, target, [change(params), ...rest]);
    },
  });
}
