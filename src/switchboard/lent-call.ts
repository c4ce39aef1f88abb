/**
 * One call of a lent tool on its way: to the peer that has it, as its lender. What the peer asks
 * meanwhile goes to the lender's caller, as part of the task that the tool was lent for; what it
 * answers is an MCP tool result, whatever it speaks.
 */
import type { Artifact, TaskState } from '../model/a2a.ts';
import { isInterrupted, isTerminal } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import type { MintId } from '../model/ids.ts';
import type { JsonObject } from '../model/json.ts';
import type { CallToolResult } from '../model/mcp.ts';
import type { LentTool } from '../ports/leases.ts';
import type {
  OpenQuestion,
  Peer,
  PeerContext,
  PeerEvent,
  PeerQuestion,
  PeerTurn,
} from '../ports/peer.ts';
import { messageFromResponses } from '../translate/questions.ts';
import { toolResultFromMessage, toolResultFromTask } from '../translate/results.ts';
import { messageFromArguments, skillOfTool } from '../translate/skills.ts';
import { readResource } from './lent-catalogue.ts';
import { RefusedCallError } from './refused-call.ts';

/** What a call needs. */
export interface LentCallParts {
  readonly target: Peer;
  readonly tool: LentTool;
  readonly arguments: JsonObject;
  /** As the peer is called. */
  readonly context: PeerContext;
  /** Asks the lender's caller. Rejects where nobody can be asked. */
  readonly ask: (question: PeerQuestion, signal: AbortSignal) => Promise<JsonObject>;
  readonly mintId: MintId;
}

type Events = AsyncGenerator<PeerEvent, void, undefined>;

/** Parts of an artifact of this size stand in the result: the borrower can read no link of ours. */
const inlineBytes = 8 * 1024 * 1024;

/** How long a peer may take to hear that it should stop (ms). */
const cancelPatienceMs = 10_000;

/** See the file comment. Positions are the target's own. */
export class RoutedCall {
  readonly #parts: LentCallParts;
  readonly #artifacts = new Map<string, Artifact>();
  #position: JsonObject | undefined;

  constructor(parts: LentCallParts, position?: JsonObject) {
    this.#parts = parts;
    this.#position = position;
  }

  /** Asks the peer to stop, where it has said what the call is there. */
  async cancel(): Promise<void> {
    const { target, context } = this.#parts;
    const signal = AbortSignal.timeout(cancelPatienceMs);
    if (this.#position !== undefined) await target.cancel(this.#position, { ...context, signal });
  }

  /** Makes the call. */
  async *start(): Events {
    const { target, tool, context } = this.#parts;
    if (target.protocol === 'mcp' && tool.own === readResource && !(await this.#hasTool())) {
      yield this.#completed(await this.#resource());
      return;
    }
    yield* this.#run(target.start(await this.#turn(), context));
  }

  /** Picks a call up that was made. */
  async *resume(): Events {
    const { target, context } = this.#parts;
    const sending = { kind: 'start' as const, turn: await this.#turn() };
    const wasTold = this.#position !== undefined;
    yield* this.#run(target.resume(this.#position, context, wasTold ? undefined : sending));
  }

  async *#run(first: AsyncIterable<PeerEvent>): Events {
    let source = first;
    try {
      for (;;) {
        const answered = yield* this.#read(source);
        if (answered === undefined) return;
        const { asked, answers } = answered;
        const { target, context, mintId } = this.#parts;
        const isDismissed = Object.values(answers).some(({ action }) => action === 'cancel');
        // An agent is told nothing then, and would wait for ever; a server hears of it.
        if (isDismissed && target.protocol === 'a2a') throw unanswered();
        const message = messageFromResponses(answers, mintId());
        source = target.followUp(this.#position ?? {}, { message, open: asked }, context);
      }
    } catch (error) {
      // Nobody can be asked, or the answer did not do: the peer must not wait for ever.
      void this.cancel().catch(() => {});
      throw error;
    }
  }

  /** Reads to the end of the call, or until questions are answered without which it does not go on. */
  async *#read(source: AsyncIterable<PeerEvent>): AsyncGenerator<PeerEvent, Answered | undefined> {
    const iterator = source[Symbol.asyncIterator]();
    let asking: Asking | undefined;
    let next = iterator.next();
    next.catch(() => {});
    try {
      for (;;) {
        const heard = await Promise.race(asking === undefined ? [next] : [next, asking.answers]);
        if ('answers' in heard) {
          if (!this.#goesOnByItself(heard)) return heard;
          // Nothing is sent: the page was opened, and the agent is watched until it goes on.
          asking = undefined;
          continue;
        }
        if (heard.done === true) return asking === undefined ? undefined : await asking.answers;
        const event = heard.value;
        next = iterator.next();
        next.catch(() => {});
        if (event.kind === 'status') {
          asking?.stop.abort();
          asking = isInterrupted(event.state) ? this.#ask(event) : undefined;
          if (asking !== undefined) continue;
        }
        yield* this.#shown(event);
        if (event.kind === 'message') return undefined;
        if (event.kind === 'status' && isTerminal(event.state)) return undefined;
      }
    } finally {
      asking?.stop.abort();
      void Promise.resolve(iterator.return?.()).catch(() => {});
    }
  }

  /** Puts questions to the lender's caller, until they are answered or the peer goes on. */
  #ask({ state, questions = [] }: PeerEvent & { kind: 'status' }): Asking {
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.#parts.context.signal]);
    const asked = questions.map(withKey);
    const answers = Promise.all(
      asked.map(async (one) => [one.key, await this.#parts.ask(one, signal)] as const),
    ).then((all) => ({ state, asked, answers: Object.fromEntries(all) }));
    // One that is taken back is rejected, and nobody waits for it then.
    answers.catch(() => {});
    return { stop, answers };
  }

  /** Whoever waits for a page to be visited is sent nothing when it was opened. */
  #goesOnByItself({ state, asked, answers }: Answered): boolean {
    const isOpened = Object.values(answers).every(({ action }) => action === 'accept');
    const isAgent = this.#parts.target.protocol === 'a2a';
    const isWatched = isAgent || asked.every(({ answerAs }) => answerAs === 'none');
    return state === 'TASK_STATE_AUTH_REQUIRED' && isOpened && isWatched;
  }

  *#shown(event: PeerEvent): Generator<PeerEvent> {
    switch (event.kind) {
      case 'position':
        this.#position = event.position;
        yield event;
        return;
      case 'progress':
      case 'log':
        yield event;
        return;
      case 'artifact': {
        this.#keep(event);
        return;
      }
      case 'message':
        yield this.#completed(toolResultFromMessage(event.message, { inlineBytes }));
        return;
      case 'status':
        yield this.#status(event);
        return;
      case 'context':
      case 'history':
      case 'metadata':
        // The lender's conversation with its peer is none of the borrower's.
        return;
      default:
        event satisfies never;
    }
  }

  #status(event: PeerEvent & { kind: 'status' }): PeerEvent {
    const { state, message, outcome } = event;
    if (!isTerminal(state)) return { kind: 'status', state: 'TASK_STATE_WORKING' };
    if (outcome !== undefined) {
      return { kind: 'status', state, outcome, ...(message !== undefined && { message }) };
    }
    const result = this.#resultOf(state, event);
    return { kind: 'status', state, outcome: { result: result as unknown as JsonObject } };
  }

  /** What an agent's task came to, as a tool result without the task. */
  #resultOf(state: TaskState, { message }: PeerEvent & { kind: 'status' }): CallToolResult {
    const id = this.#parts.context.task ?? '';
    const view = {
      task: {
        id,
        contextId: '',
        status: { state, ...(message !== undefined && { message }) },
        artifacts: [...this.#artifacts.values()],
        history: [],
      },
      peerId: this.#parts.target.id,
      seq: 1,
      questions: [],
      createdAt: 0,
      updatedAt: 0,
      ttlMs: 0,
      peerTask: true,
      committed: false,
    };
    const result = toolResultFromTask(view, { inlineBytes });
    const { structuredContent, ...rest } = result;
    const { taskId: _task, contextId: _context, ...said } = (structuredContent ?? {}) as JsonObject;
    return { ...rest, structuredContent: said };
  }

  #completed(result: CallToolResult): PeerEvent {
    const { structuredContent, ...rest } = result;
    const { contextId: _context, ...said } = (structuredContent ?? {}) as JsonObject;
    const shown = Object.keys(said).length === 0 ? rest : { ...rest, structuredContent: said };
    return {
      kind: 'status',
      state: 'TASK_STATE_COMPLETED',
      outcome: { result: shown as unknown as JsonObject },
    };
  }

  #keep({ artifact, append }: PeerEvent & { kind: 'artifact' }): void {
    const known = append ? this.#artifacts.get(artifact.artifactId) : undefined;
    const parts = [...(known?.parts ?? []), ...artifact.parts];
    this.#artifacts.set(artifact.artifactId, { ...known, ...artifact, parts });
  }

  async #turn(): Promise<PeerTurn> {
    const { target, tool, arguments: args, context, mintId } = this.#parts;
    if (target.protocol === 'a2a') {
      const card = await target.card({ signal: context.signal });
      const skill = skillOfTool(card, tool.own);
      const id = card.skills.find(({ id: own }) => own === tool.own)?.id ?? skillId(skill);
      return { message: messageFromArguments(args, id, mintId()) };
    }
    return {
      message: {
        messageId: mintId(),
        role: 'ROLE_USER',
        parts: [{ data: { tool: tool.own, arguments: args } }],
      },
      call: { name: tool.own, arguments: args },
    };
  }

  async #hasTool(): Promise<boolean> {
    const { target, context } = this.#parts;
    if (target.protocol !== 'mcp') return false;
    const { tools } = await target.catalogue(context);
    return tools.some(({ name }) => name === readResource);
  }

  async #resource(): Promise<CallToolResult> {
    const { target, arguments: args, context } = this.#parts;
    const { uri } = args;
    if (target.protocol !== 'mcp' || typeof uri !== 'string') {
      throw new GatewayError('invalid-params', 'uri: must be the URI of a resource');
    }
    const { contents } = await target.request('resources/read', { uri }, context);
    const resources = Array.isArray(contents) ? contents : [];
    return {
      content: resources.map((resource) => ({ type: 'resource', resource })) as never,
    };
  }
}

function unanswered(): RefusedCallError {
  return new RefusedCallError(
    'unsupported',
    'This tool asked something of the person who lent it, and they did not answer. Go on without it.',
  );
}

interface Answered {
  readonly state: TaskState;
  readonly asked: OpenQuestion[];
  readonly answers: Record<string, JsonObject>;
}

interface Asking {
  readonly stop: AbortController;
  readonly answers: Promise<Answered>;
}

function withKey(question: PeerQuestion, index: number): OpenQuestion {
  return { ...question, key: question.peerKey ?? `q${index + 1}` };
}

function skillId(skill: ReturnType<typeof skillOfTool>): string | undefined {
  return typeof skill === 'object' ? skill.id : undefined;
}
