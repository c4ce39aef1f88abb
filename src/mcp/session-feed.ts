/**
 * What a legacy session hears without asking, on its standalone stream: changed lists, updated
 * resources, log messages that belong to no call, and the states of its tasks.
 *
 * Spec: MCP 2025-11-25 server/resources, "Subscriptions"; basic/utilities/tasks, "Task Status
 * Notification"
 */
import { GatewayError } from '../model/errors.ts';
import type { JsonObject } from '../model/json.ts';
import type { ChangeFilter, PeerContext } from '../ports/peer.ts';
import { legacyTask } from '../translate/mcp-tasks.ts';
import type { CallContext, SessionState } from './call-context.ts';
import type { Endpoint } from './endpoint.ts';
import type { CourseServices } from './call-course.ts';
import { isLogged } from './call-signals.ts';
import type { LegacySession } from './legacy-session.ts';
import { changeNotification } from './listen.ts';
import { outgoing } from './rpc.ts';
import { taskOptions } from './task-rendering.ts';

/** How many resources a session may subscribe to, and how many of its tasks it may follow. */
const mostFollowed = 256;

/** The feeds of one session. They end with it. */
export class SessionFeed implements SessionState {
  logLevel: string | undefined;
  readonly #session: LegacySession;
  readonly #services: CourseServices;
  /** The session as the context of what it is told. */
  readonly #context: () => CallContext<Endpoint>;
  readonly #uris = new Set<string>();
  #watching: AbortController | undefined;
  #listsFollowed = false;
  #tasks = 0;

  constructor(
    session: LegacySession,
    services: CourseServices,
    context: () => CallContext<Endpoint>,
  ) {
    this.#session = session;
    this.#services = services;
    this.#context = context;
  }

  /** Starts telling of changed lists and of what the server logs, once somebody listens. */
  followLists(): void {
    if (this.#listsFollowed) return;
    this.#listsFollowed = true;
    if (this.#session.facts.peer.protocol === 'all') return this.#followOffers();
    const filter = { tools: true, prompts: true, resources: true, logs: true };
    this.#follow(filter, this.#session.signal);
  }

  subscribe(uri: string): void {
    if (this.#uris.has(uri)) return;
    if (this.#uris.size >= mostFollowed) {
      throw new GatewayError('too-many', `A session follows at most ${mostFollowed} resources.`);
    }
    this.#uris.add(uri);
    this.#watch();
  }

  unsubscribe(uri: string): void {
    if (this.#uris.delete(uri)) this.#watch();
  }

  followTask(taskId: string, peerId: string): void {
    if (this.#tasks >= mostFollowed) return;
    this.#tasks += 1;
    this.#tellOf(taskId, peerId)
      .catch((error: unknown) => this.#failed(error))
      .finally(() => (this.#tasks -= 1));
  }

  #followOffers(): void {
    const { principal } = this.#session.facts;
    this.#services.aggregate?.viewOf(principal).changes.follow((change) => {
      for (const kind of ['tools', 'prompts'] as const) {
        if (change[kind]) this.#tell(`notifications/${kind}/list_changed`, {});
      }
    }, this.#session.signal);
  }

  /** One feed for all resources; the new one starts before the old one ends. */
  #watch(): void {
    const before = this.#watching;
    this.#watching = undefined;
    if (this.#uris.size > 0) {
      this.#watching = new AbortController();
      const signal = AbortSignal.any([this.#watching.signal, this.#session.signal]);
      this.#follow({ uris: [...this.#uris] }, signal);
    }
    before?.abort();
  }

  #follow(filter: ChangeFilter, signal: AbortSignal): void {
    const { peer, principal } = this.#session.facts;
    if (peer.protocol !== 'mcp') return;
    // The features of its calls, so that the server knows both as one session.
    const { features } = this.#context();
    const context: PeerContext = { principal, signal, features };
    const read = async (): Promise<void> => {
      for await (const change of peer.changes(filter, context)) {
        if (signal.aborted) return;
        if (change.kind === 'log' && !isLogged(change.params, this.logLevel)) continue;
        const { method, params } = changeNotification(change);
        this.#tell(method, params);
      }
    };
    read().catch((error: unknown) => {
      if (!signal.aborted) this.#failed(error);
    });
  }

  async #tellOf(taskId: string, peerId: string): Promise<void> {
    const { principal } = this.#session.facts;
    const handle = await this.#services.tasks.open(principal, taskId, peerId);
    for await (const { event } of handle.events(handle.view().seq, this.#session.signal)) {
      if (event.kind !== 'status') continue;
      const view = handle.view();
      const options = taskOptions(view, this.#context(), this.#services);
      this.#tell('notifications/tasks/status', legacyTask(view, options));
    }
  }

  #tell(method: string, params: JsonObject): void {
    this.#session.standalone.send(outgoing(method, params));
  }

  #failed(error: unknown): void {
    if (error instanceof GatewayError) return;
    this.#services.log.fault(error, { peer: this.#session.facts.peer.id });
  }
}
