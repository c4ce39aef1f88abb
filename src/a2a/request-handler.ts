/**
 * The operations of A2A over the task engine, behind the SDK's transports. One handler serves every
 * peer: which one is meant, and who asks, stands in the call that the context carries.
 *
 * Spec: A2A 1.0 §3.1 (operations)
 */
import type {
  AgentCard as SdkAgentCard,
  CancelTaskRequest,
  GetTaskRequest,
  ListTaskPushNotificationConfigsResponse,
  ListTasksRequest,
  ListTasksResponse,
  Message as SdkMessage,
  SendMessageRequest,
  StreamResponse as SdkStreamResponse,
  SubscribeToTaskRequest,
  Task as SdkTask,
  TaskPushNotificationConfig,
} from '@a2a-js/sdk';
import { AgentCard as AgentCardCodec } from '@a2a-js/sdk';
import type { A2ARequestHandler, ServerCallContext } from '@a2a-js/sdk/server';
import { authorize, type Action } from '../policy/permissions.ts';
import type { Contexts } from '../engine/contexts.ts';
import { isTerminal } from '../model/a2a.ts';
import type { AgentCard, Message } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import type { MintId } from '../model/ids.ts';
import { exactCallerFeatures } from '../model/mcp.ts';
import { ownerKey } from '../model/principal.ts';
import { gatewayPeerId, type PeerRegistry } from '../ports/peer.ts';
import type { Settled, TaskHandle, TaskService, TaskView } from '../ports/tasks.ts';
import { toolCallExtensionUri } from '../translate/tool-call-extension.ts';
import { callOf } from './call.ts';
import type { Call } from './call.ts';
import { a2aFaultOf } from './errors.ts';
import { checkedHistoryLength, shownTask } from './task-answer.ts';
import { taskFilter } from './task-filter.ts';
import { taskStream } from './task-stream.ts';
import { messageFromSdk, sdkMessage, sdkStreamResponse, sdkTask } from './wire.ts';

/** What the handler works with. */
export interface RequestHandlerOptions {
  tasks: TaskService;
  peers: PeerRegistry;
  contexts: Contexts;
  mintId: MintId;
  /** What the SDK checks versions and capabilities against. */
  capabilityCard: SdkAgentCard;
  /** How long a blocking call is held (ms). */
  syncCallMs: number;
  /** An agent's own card with our interfaces. */
  ourCard(card: AgentCard, peerId: string): AgentCard;
  onInternalError(peerId: string, error: unknown): void;
}

/**
 * How long a caller that does not want to wait is held until the peer has said whether it answers
 * with a task or with a message (ms). An MCP server never answers with a message; its share is for
 * arguments that are refused at once.
 */
const acknowledgeMs = { a2a: 2000, mcp: 100 } as const;

/** What each operation does, for permissions; one without an entry does not compile. */
export const operationActions = {
  getAgentCard: 'read',
  getAuthenticatedExtendedAgentCard: 'read',
  sendMessage: 'call',
  sendMessageStream: 'call',
  resubscribe: 'read',
  getTask: 'read',
  listTasks: 'read',
  cancelTask: 'call',
  createTaskPushNotificationConfig: 'call',
  getTaskPushNotificationConfig: 'read',
  listTaskPushNotificationConfigs: 'read',
  deleteTaskPushNotificationConfig: 'call',
} as const satisfies Record<keyof A2ARequestHandler, Action>;

type Operation = keyof typeof operationActions;

interface Sent {
  handle: TaskHandle;
  /** The sequence after which something new counts; 0 for new work. */
  afterSeq: number;
  historyLength: number | undefined;
  returnImmediately: boolean;
}

/** See the file comment. Methods throw the SDK's errors. */
export class TaskRequestHandler implements A2ARequestHandler {
  readonly #options: RequestHandlerOptions;

  constructor(options: RequestHandlerOptions) {
    this.#options = options;
  }

  async getAgentCard(): Promise<SdkAgentCard> {
    return this.#options.capabilityCard;
  }

  /** Spec: A2A 1.0 §3.1.11, §3.3.4 (no extended card declared: UnsupportedOperationError) */
  async getAuthenticatedExtendedAgentCard(
    _params: unknown,
    context: ServerCallContext,
  ): Promise<SdkAgentCard> {
    return this.#run('getAuthenticatedExtendedAgentCard', context, async (call) => {
      const { principal, peerId, signal, trace } = call;
      const peer = this.#options.peers.get(peerId);
      if (peer?.protocol !== 'a2a') {
        throw new GatewayError('unsupported', 'This agent has no extended card. Read its card.');
      }
      const extended = await peer.extendedCard({ principal, signal, ...(trace && { trace }) });
      return AgentCardCodec.fromJSON(this.#options.ourCard(extended, peerId));
    });
  }

  /** Spec: A2A 1.0 §3.1.1, §3.2.2 (blocking by default) */
  async sendMessage(
    params: SendMessageRequest,
    context: ServerCallContext,
  ): Promise<SdkMessage | SdkTask> {
    return this.#run('sendMessage', context, async (call) => {
      const sent = await this.#send(params, context, call);
      const settled = await this.#awaitAnswer(sent, call);
      if (settled.kind === 'message') return sdkMessage(this.#direct(settled.message, call));
      const view = await this.#promise(sent.handle, call);
      return sdkTask(shownTask(view.task, { historyLength: sent.historyLength }));
    });
  }

  /** Spec: A2A 1.0 §3.1.2 */
  async *sendMessageStream(
    params: SendMessageRequest,
    context: ServerCallContext,
  ): AsyncGenerator<SdkStreamResponse, void, undefined> {
    const call = callOf(context);
    try {
      this.#authorize('sendMessageStream', call);
      call.countStream();
      const { handle, afterSeq, historyLength } = await this.#send(params, context, call);
      if (afterSeq === 0) {
        const { signal } = call;
        const timeoutMs = this.#isMcp(call) ? acknowledgeMs.mcp : this.#options.syncCallMs;
        const first = await handle.acknowledged({ timeoutMs, signal });
        if (first.kind === 'message') {
          yield sdkStreamResponse({ message: this.#direct(first.message, call) });
          return;
        }
      }
      const view = await this.#promise(handle, call);
      const events = taskStream(handle, { view, afterSeq, historyLength }, call);
      for await (const event of events) yield sdkStreamResponse(event);
    } catch (error) {
      throw this.#faultOf(error, call);
    }
  }

  /** Spec: A2A 1.0 §3.1.6 */
  async *resubscribe(
    params: SubscribeToTaskRequest,
    context: ServerCallContext,
  ): AsyncGenerator<SdkStreamResponse, void, undefined> {
    const call = callOf(context);
    try {
      this.#authorize('resubscribe', call);
      call.countStream();
      const handle = await this.#open(params.id, call);
      const view = handle.view();
      if (isTerminal(view.task.status.state)) {
        throw new GatewayError(
          'unsupported',
          `Task ${view.task.id} has ended: nothing will come. Read it with GetTask.`,
        );
      }
      const events = taskStream(handle, { view, afterSeq: view.seq }, call);
      for await (const event of events) yield sdkStreamResponse(event);
    } catch (error) {
      throw this.#faultOf(error, call);
    }
  }

  /** Spec: A2A 1.0 §3.1.3 */
  async getTask(params: GetTaskRequest, context: ServerCallContext): Promise<SdkTask> {
    return this.#run('getTask', context, async (call) => {
      const historyLength = checkedHistoryLength(params.historyLength, 'historyLength');
      const handle = await this.#open(params.id, call);
      return sdkTask(shownTask(handle.view().task, { historyLength }));
    });
  }

  /** Spec: A2A 1.0 §3.1.4 */
  async listTasks(
    params: ListTasksRequest,
    context: ServerCallContext,
  ): Promise<ListTasksResponse> {
    return this.#run('listTasks', context, async (call) => {
      const historyLength = checkedHistoryLength(params.historyLength, 'historyLength');
      const filter = taskFilter(params, call.peerId);
      const page = await this.#options.tasks.list(call.principal, filter);
      const artifacts = params.includeArtifacts === true;
      return {
        tasks: page.tasks.map(({ task }) => sdkTask(shownTask(task, { historyLength, artifacts }))),
        nextPageToken: page.nextPageToken,
        pageSize: page.pageSize,
        totalSize: page.totalSize,
      };
    });
  }

  /** Spec: A2A 1.0 §3.1.5 */
  async cancelTask(params: CancelTaskRequest, context: ServerCallContext): Promise<SdkTask> {
    return this.#run('cancelTask', context, async (call) => {
      const { principal, peerId } = call;
      const view = await this.#options.tasks.cancel(principal, taskId(params.id), peerId);
      return sdkTask(shownTask(view.task, {}));
    });
  }

  async createTaskPushNotificationConfig(
    _params: unknown,
    context: ServerCallContext,
  ): Promise<TaskPushNotificationConfig> {
    return this.#noPush('createTaskPushNotificationConfig', context);
  }

  async getTaskPushNotificationConfig(
    _params: unknown,
    context: ServerCallContext,
  ): Promise<TaskPushNotificationConfig> {
    return this.#noPush('getTaskPushNotificationConfig', context);
  }

  async listTaskPushNotificationConfigs(
    _params: unknown,
    context: ServerCallContext,
  ): Promise<ListTaskPushNotificationConfigsResponse> {
    return this.#noPush('listTaskPushNotificationConfigs', context);
  }

  async deleteTaskPushNotificationConfig(
    _params: unknown,
    context: ServerCallContext,
  ): Promise<void> {
    return this.#noPush('deleteTaskPushNotificationConfig', context);
  }

  async #send(params: SendMessageRequest, context: ServerCallContext, call: Call): Promise<Sent> {
    const { configuration } = params;
    if (params.message === undefined) throw missing('message');
    if (configuration?.taskPushNotificationConfig !== undefined) throw pushUnsupported();
    const historyLength = checkedHistoryLength(
      configuration?.historyLength,
      'configuration.historyLength',
    );
    const returnImmediately = configuration?.returnImmediately ?? false;
    const message = messageFromSdk(params.message);
    const extensions = await this.#activate(context, call);
    const { principal, peerId, trace } = call;
    const work = {
      principal,
      peerId,
      message,
      ...(params.metadata && { metadata: params.metadata }),
      ...(extensions.length > 0 && { extensions }),
      ...((this.#isMcp(call) || peerId === gatewayPeerId) &&
        extensions.includes(toolCallExtensionUri) && { features: exactCallerFeatures }),
      ...(trace && { trace }),
    };
    if (message.taskId !== undefined) {
      const followUp = await this.#options.tasks.followUp({ ...work, taskId: message.taskId });
      return { ...followUp, historyLength, returnImmediately };
    }
    const acceptedOutputModes = configuration?.acceptedOutputModes ?? [];
    const handle = this.#options.tasks.start({
      ...work,
      ...(acceptedOutputModes.length > 0 && { acceptedOutputModes }),
    });
    return { handle, afterSeq: 0, historyLength, returnImmediately };
  }

  /** Waits as long as the caller wants to: for an end or a question, or for any sign of life. */
  async #awaitAnswer(sent: Sent, call: Call): Promise<Settled> {
    const { handle, afterSeq } = sent;
    const { signal } = call;
    if (!sent.returnImmediately) {
      return handle.settled({ timeoutMs: this.#options.syncCallMs, signal, afterSeq });
    }
    if (afterSeq > 0) return { kind: 'pending', view: handle.view() };
    const timeoutMs = acknowledgeMs[this.#isMcp(call) ? 'mcp' : 'a2a'];
    return handle.acknowledged({ timeoutMs, signal });
  }

  /**
   * Commits the task, so that its id may leave the gateway. When the caller has gone before the
   * peer said anything, there is nobody to promise it to.
   */
  async #promise(handle: TaskHandle, call: Call): Promise<TaskView> {
    const { committed, seq } = handle.view();
    if (call.gone && !committed && seq === 0) {
      handle.abandon();
      throw new GatewayError('canceled', 'The caller went away.');
    }
    return handle.commit();
  }

  async #open(id: string, call: Call): Promise<TaskHandle> {
    return this.#options.tasks.open(call.principal, taskId(id), call.peerId);
  }

  /**
   * The extensions that the caller asks for. Those that the peer declares count as activated.
   * Spec: A2A 1.0 §4.6.2, §4.6.3 (an unknown version is ignored, never taken for another)
   */
  async #activate(context: ServerCallContext, call: Call): Promise<readonly string[]> {
    const requested = context.requestedExtensions ?? [];
    if (requested.length === 0) return requested;
    const declared = await this.#declaredExtensions(call);
    for (const uri of requested) if (declared.includes(uri)) context.addActivatedExtension(uri);
    return requested;
  }

  async #declaredExtensions(call: Call): Promise<readonly string[]> {
    const peer = this.#options.peers.get(call.peerId);
    if (peer?.protocol === 'mcp') return [toolCallExtensionUri];
    // A peer that is away cannot activate anything; that it is away is told by the call itself.
    const card = await peer?.card({ signal: call.signal }).catch(() => undefined);
    return card?.capabilities.extensions?.map(({ uri }) => uri) ?? [];
  }

  /**
   * A peer's direct message. Every message of an agent names its context; one that the peer did not
   * name gets one of ours, which the caller can go on with.
   * Spec: A2A 1.0 §4.1.4 (contextId of server messages)
   */
  #direct(message: Message, call: Call): Message {
    if (message.contextId !== undefined && message.contextId !== '') return message;
    const { contexts, mintId } = this.#options;
    const contextId = contexts.fromPeer(ownerKey(call.principal), call.peerId, mintId());
    return { ...message, contextId };
  }

  #isMcp(call: Call): boolean {
    return this.#options.peers.get(call.peerId)?.protocol === 'mcp';
  }

  async #noPush(operation: Operation, context: ServerCallContext): Promise<never> {
    return this.#run(operation, context, async () => {
      throw pushUnsupported();
    });
  }

  async #run<T>(
    operation: Operation,
    context: ServerCallContext,
    run: (call: Call) => Promise<T>,
  ): Promise<T> {
    const call = callOf(context);
    try {
      this.#authorize(operation, call);
      return await run(call);
    } catch (error) {
      throw this.#faultOf(error, call);
    }
  }

  #authorize(operation: Operation, { principal, peerId }: Call): void {
    authorize(principal, operationActions[operation], peerId);
  }

  #faultOf(thrown: unknown, call: Call): Error {
    if (thrown instanceof GatewayError && thrown.code === 'forbidden') {
      const { scopes } = thrown.facts;
      if (Array.isArray(scopes)) call.challenge(scopes.map(String));
    }
    const fault = a2aFaultOf(thrown);
    if (fault.unexpected) this.#options.onInternalError(call.peerId, thrown);
    if (fault.retryAfterMs !== undefined) call.retryAfter(fault.retryAfterMs);
    call.fault = fault.status === undefined ? {} : { status: fault.status };
    return fault.error;
  }
}

function taskId(id: string): string {
  if (id === '') throw missing('id');
  return id;
}

function missing(field: string): GatewayError {
  return new GatewayError('invalid-params', `${field} is required.`, { facts: { field } });
}

function pushUnsupported(): GatewayError {
  return new GatewayError(
    'push-unsupported',
    'Push notifications are not offered. Follow the task with SubscribeToTask or GetTask.',
  );
}
