/**
 * `subscriptions/listen`: a stream of changes at an MCP server and of the states of tasks, until
 * either side ends it, or the token that opened it.
 *
 * Spec: MCP 2026-07-28 basic/patterns/subscriptions; MCP Tasks extension, "Task Status
 * Notifications"
 */
import { GatewayError } from '../model/errors.ts';
import { atExpiry } from '../model/expiry.ts';
import { isObject } from '../model/json.ts';
import type { JsonObject } from '../model/json.ts';
import { ownerKey } from '../model/principal.ts';
import type { PeerChange, ToolPeer } from '../ports/peer.ts';
import type { TaskHandle } from '../ports/tasks.ts';
import { peerContext } from './call-context.ts';
import type { CallContext } from './call-context.ts';
import type { Endpoint } from './endpoint.ts';
import { dispatchFault, paramsOf } from './dispatcher.ts';
import type { EventStream } from './event-stream.ts';
import {
  ModernExchange,
  contextOf,
  filterOf,
  headerFault,
  requireStream,
} from './modern-exchange.ts';
import type { ModernRequest, ModernServices } from './modern-exchange.ts';
import { outgoing, resultMessage, sendFault } from './rpc.ts';
import type { RpcId } from './rpc.ts';
import { peerOfTask, requireTasks } from './task-methods.ts';
import { renderTask } from './task-rendering.ts';

const subscriptionKey = 'io.modelcontextprotocol/subscriptionId';

/** How many tasks and resources one subscription may name. */
const mostNames = 1000;

/** What a subscription delivers. */
interface Honoured {
  tools: boolean;
  prompts: boolean;
  resources: boolean;
  uris: string[];
  tasks: TaskHandle[];
}

/** The open subscriptions of the face. */
export class Listeners {
  readonly #services: ModernServices;
  readonly #open = new Set<Subscription>();
  /** Those that are being opened count too: many can come at once. */
  #opening = 0;

  constructor(services: ModernServices) {
    this.#services = services;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Serves one subscription until it ends. */
  async serve(request: ModernRequest): Promise<void> {
    const { res, message, peer, until } = request;
    const refused = headerFault(request);
    if (refused !== undefined) return sendFault(res, refused, message.id);
    const exchange = new ModernExchange(request, this.#services);
    let opening = false;
    try {
      this.#admit(request);
      this.#opening += 1;
      opening = true;
      requireStream(exchange);
      const { params, meta } = paramsOf(message.params);
      const call = contextOf(request, meta, exchange, this.#services);
      const honoured = await honour(filterOf(params), call, this.#services);
      const stream = exchange.open();
      if (stream === undefined) return;
      const subscription = new Subscription(message.id, stream);
      this.#open.add(subscription);
      const callOff = atExpiry(until, this.#services.clock, () => subscription.end());
      res.once('close', () => {
        callOff();
        this.#open.delete(subscription);
      });
      subscription.acknowledge(honoured);
      this.#feed(subscription, honoured, call);
    } catch (error) {
      const method = 'subscriptions/listen';
      const fault = dispatchFault(error, { peer: peer.id, method }, this.#services);
      exchange.answer({ fault });
    } finally {
      if (opening) this.#opening -= 1;
    }
  }

  /** Ends every subscription, and tells its client that this is the end. */
  close(): void {
    for (const subscription of this.#open) subscription.end();
    this.#open.clear();
  }

  #admit({ principal, res }: ModernRequest): void {
    if (this.#open.size + this.#opening >= this.#services.limits.maxSubscriptions) {
      throw new GatewayError('too-many', 'Too many subscriptions are open. Try again later.', {
        facts: { retryAfterMs: 5000 },
      });
    }
    const ended = this.#services.streams?.open(ownerKey(principal));
    if (ended !== undefined) res.once('close', ended);
  }

  #feed(subscription: Subscription, honoured: Honoured, call: CallContext<Endpoint>): void {
    const run = (feed: Promise<void>): void =>
      void feed.catch((error: unknown) => {
        if (call.signal.aborted) return;
        this.#services.log.fault(error, { peer: call.peer.id, method: 'subscriptions/listen' });
      });
    for (const handle of honoured.tasks) {
      run(
        feedTask(handle, call, this.#services, (task) =>
          subscription.send('notifications/tasks', task),
        ),
      );
    }
    const { tools, prompts, resources, uris } = honoured;
    if (call.peer.protocol === 'all') return this.#feedOffers(subscription, honoured, call);
    if (call.peer.protocol !== 'mcp' || !(tools || prompts || resources || uris.length > 0)) return;
    run(feedChanges(call.peer, { tools, prompts, resources, uris }, call, subscription));
  }

  #feedOffers(
    subscription: Subscription,
    honoured: Honoured,
    { principal, signal }: CallContext<Endpoint>,
  ): void {
    if (!honoured.tools && !honoured.prompts) return;
    this.#services.aggregate?.viewOf(principal).changes.follow((change) => {
      for (const kind of ['tools', 'prompts'] as const) {
        if (change[kind] && honoured[kind]) {
          subscription.send(`notifications/${kind}/list_changed`, {});
        }
      }
    }, signal);
  }
}

/** One subscription: everything that it sends names it. */
class Subscription {
  readonly #id: RpcId;
  readonly #stream: EventStream;

  constructor(id: RpcId, stream: EventStream) {
    this.#id = id;
    this.#stream = stream;
  }

  acknowledge({ tools, prompts, resources, uris, tasks }: Honoured): void {
    const notifications = {
      ...(tools ? { toolsListChanged: true } : {}),
      ...(prompts ? { promptsListChanged: true } : {}),
      ...(resources ? { resourcesListChanged: true } : {}),
      ...(uris.length > 0 ? { resourceSubscriptions: uris } : {}),
      ...(tasks.length > 0 ? { taskIds: tasks.map(({ id }) => id) } : {}),
    };
    this.send('notifications/subscriptions/acknowledged', { notifications });
  }

  send(method: string, params: JsonObject): void {
    const _meta = { ...(params['_meta'] as JsonObject | undefined), [subscriptionKey]: this.#id };
    this.#stream.send(outgoing(method, { ...params, _meta }));
  }

  /** Spec: MCP 2026-07-28 basic/patterns/subscriptions, "Graceful Closure" */
  end(): void {
    const result = { resultType: 'complete', _meta: { [subscriptionKey]: this.#id } };
    this.#stream.send(resultMessage(this.#id, result));
    this.#stream.end();
  }
}

/** The part of a filter that can be served: what the server can tell, and tasks of the caller. */
async function honour(
  filter: JsonObject,
  call: CallContext<Endpoint>,
  services: ModernServices,
): Promise<Honoured> {
  const taskIds = names(filter, 'taskIds');
  const uris = names(filter, 'resourceSubscriptions');
  if (filter['taskIds'] !== undefined) requireTasks(call);
  const opened = await Promise.all(taskIds.map((id) => openOrNone(id, call, services)));
  const tasks = opened.filter((handle) => handle !== undefined);
  const { peer } = call;
  if (peer.protocol === 'a2a') {
    return { tools: false, prompts: false, resources: false, uris: [], tasks };
  }
  if (peer.protocol === 'all') {
    const { toolsListChanged, promptsListChanged } = filter;
    const [tools, prompts] = [toolsListChanged === true, promptsListChanged === true];
    return { tools, prompts, resources: false, uris: [], tasks };
  }
  const { capabilities } = await peer.catalogue(peerContext(call));
  const offers = (kind: string, flag: string): boolean => {
    const capability = capabilities[kind];
    return isObject(capability) && capability[flag] === true;
  };
  return {
    tools: filter['toolsListChanged'] === true && offers('tools', 'listChanged'),
    prompts: filter['promptsListChanged'] === true && offers('prompts', 'listChanged'),
    resources: filter['resourcesListChanged'] === true && offers('resources', 'listChanged'),
    uris: offers('resources', 'subscribe') ? uris : [],
    tasks,
  };
}

async function openOrNone(
  id: string,
  call: CallContext<Endpoint>,
  services: ModernServices,
): Promise<TaskHandle | undefined> {
  try {
    const peer = await peerOfTask(id, call, services);
    return await services.tasks.open(call.principal, id, peer.id);
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'task-not-found') return undefined;
    throw error;
  }
}

function names(filter: JsonObject, field: string): string[] {
  const value = filter[field] ?? [];
  const valid =
    Array.isArray(value) &&
    value.length <= mostNames &&
    value.every((name) => typeof name === 'string');
  if (!valid) {
    throw new GatewayError(
      'invalid-params',
      `"notifications.${field}" must be a list of at most ${mostNames} strings`,
      { facts: { field: `notifications.${field}` } },
    );
  }
  return [...new Set(value)];
}

/** Sends a task as it is, then at each change of its status. */
export async function feedTask(
  handle: TaskHandle,
  call: CallContext<Endpoint>,
  services: ModernServices,
  send: (task: JsonObject) => void,
): Promise<void> {
  let { seq } = handle.view();
  send(renderTask(handle.view(), call, services));
  for await (const { seq: at, event } of handle.events(seq, call.signal)) {
    // A reader that is behind gets the state of now, once.
    if (at <= seq || event.kind !== 'status') continue;
    const view = handle.view();
    seq = view.seq;
    send(renderTask(view, call, services));
  }
}

async function feedChanges(
  peer: ToolPeer,
  filter: { tools: boolean; prompts: boolean; resources: boolean; uris: string[] },
  call: CallContext<Endpoint>,
  subscription: Subscription,
): Promise<void> {
  for await (const change of peer.changes(filter, peerContext(call))) {
    if (change.kind === 'log') continue;
    if (change.kind === 'resource' ? filter.uris.includes(change.uri) : filter[change.kind]) {
      const { method, params } = changeNotification(change);
      subscription.send(method, params);
    }
  }
}

/** A change as the notification that tells of it. */
export function changeNotification(change: PeerChange): { method: string; params: JsonObject } {
  switch (change.kind) {
    case 'resource':
      return { method: 'notifications/resources/updated', params: { uri: change.uri } };
    case 'log':
      return { method: 'notifications/message', params: change.params };
    default:
      return { method: `notifications/${change.kind}/list_changed`, params: {} };
  }
}
