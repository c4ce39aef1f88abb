/** The official A2A client, pinned to one protocol version and one binding. */
import type { AgentCard, Message, StreamResponse, Task } from '@a2a-js/sdk';
import {
  ClientFactory,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  RestTransportFactory,
} from '@a2a-js/sdk/client';
import type { Client } from '@a2a-js/sdk/client';
import type { A2aBinding, A2aVersion } from './a2a-agent-card.ts';

/** Which dialect to speak; `headers` go out with each request. */
export interface A2aDialect {
  version: A2aVersion;
  binding: A2aBinding;
  headers?: Readonly<Record<string, string>>;
}

/** Resolves the card at `cardUrl` and connects to the one interface that fits the dialect. */
export async function connectA2a(cardUrl: string, dialect: A2aDialect): Promise<Client> {
  const legacyCompat = { enabled: true };
  const fetchImpl = fetchWith(dialect.headers ?? {});
  const resolver = new DefaultAgentCardResolver({ legacyCompat, fetchImpl });
  const card = await resolver.resolve(cardUrl, '');
  const supportedInterfaces = card.supportedInterfaces.filter(
    (one) =>
      one.protocolBinding === dialect.binding && one.protocolVersion.startsWith(dialect.version),
  );
  if (supportedInterfaces.length === 0) {
    throw new Error(`no ${dialect.version} ${dialect.binding} interface on ${cardUrl}`);
  }
  const only: AgentCard = { ...card, supportedInterfaces };
  const factory = new ClientFactory({
    transports: [
      new JsonRpcTransportFactory({ legacyCompat, fetchImpl }),
      new RestTransportFactory({ legacyCompat, fetchImpl }),
    ],
    cardResolver: resolver,
  });
  return factory.createFromAgentCard(only);
}

/** The result as a task; throws when the peer answered with a message. */
export function asTask(result: Message | Task): Task {
  if ('messageId' in result) throw new Error('expected a task, got a message');
  return result;
}

/** The result as a message; throws when the peer answered with a task. */
export function asMessage(result: Message | Task): Message {
  if ('messageId' in result) return result;
  throw new Error('expected a message, got a task');
}

/** All events of a stream, in order. */
export async function collect(
  events: AsyncGenerator<StreamResponse, void, undefined>,
): Promise<StreamResponse[]> {
  const all: StreamResponse[] = [];
  for await (const event of events) all.push(event);
  return all;
}

function fetchWith(headers: Readonly<Record<string, string>>): typeof fetch {
  return (input, init) => {
    const all = new Headers(init?.headers);
    for (const [name, value] of Object.entries(headers)) all.set(name, value);
    return fetch(input, { ...init, headers: all });
  };
}
