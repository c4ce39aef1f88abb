/**
 * How far a piece of work has been told to the engine. Whatever way news of it arrives, as a stream
 * event, as a whole task or as both after a cut, each piece is told once.
 */
import { isInterrupted, isTerminal } from '../../model/a2a.ts';
import type {
  Artifact,
  Message,
  StreamResponse,
  Task,
  TaskArtifactUpdateEvent,
  TaskStatus,
} from '../../model/a2a.ts';
import { GatewayError } from '../../model/errors.ts';
import type { JsonObject } from '../../model/json.ts';
import type { PeerEvent } from '../../ports/peer.ts';
import { joinedText, mergeArtifact, type GrowingArtifacts } from '../../translate/artifacts.ts';
import { questionsFromStatus } from '../../translate/questions.ts';

/** Statuses that are no news: the agent repeats a question that was just answered. */
export interface OldNews {
  covers(status: TaskStatus): boolean;
  /** Whether it becomes news again by itself, because the agent really asks the same once more. */
  expires: boolean;
}

const nothingIsOld: OldNews = { covers: () => false, expires: false };

/** The work's place at the agent. */
export interface WorkPosition {
  taskId: string;
  contextId: string;
}

/** One piece of work, as far as it is known and told. */
export class Progress {
  /** Where the work is; unknown until the agent names its task. */
  position: WorkPosition | undefined;
  /** Terminal, waiting for input, or answered by a message: there is nothing more to watch. */
  settled = false;
  /** A status was kept back that will have to be told if it stays. */
  holds = false;
  /** The last status that was told. */
  status: TaskStatus | undefined;

  private readonly peerId: string;
  private readonly oldNews: OldNews;
  private artifacts: Artifact[] = [];
  /** None of them leaves this object. */
  private readonly growing: GrowingArtifacts = new Set();
  private readonly seen = new Set<string>();
  private toldStatus: string | undefined;
  private toldMetadata: string | undefined;

  /** With a position when the engine knows it already, which is then not told again. */
  constructor(peerId: string, position?: WorkPosition, oldNews = nothingIsOld) {
    this.peerId = peerId;
    this.position = position;
    this.oldNews = oldNews;
  }

  /** What a stream event or an answer adds. */
  *from(event: StreamResponse): Generator<PeerEvent> {
    if (event.task) yield* this.fromTask(event.task);
    else if (event.statusUpdate) {
      const { taskId, contextId, status, metadata } = event.statusUpdate;
      yield* this.locate(taskId, contextId);
      yield* this.tellStatus(status, metadata);
    } else if (event.artifactUpdate) {
      yield* this.locate(event.artifactUpdate.taskId, event.artifactUpdate.contextId);
      yield this.tellArtifact(event.artifactUpdate);
    } else if (event.message) {
      yield* this.fromMessage(event.message);
    }
  }

  /** What a whole task adds: missed messages, artifacts that differ, the status if it changed. */
  *fromTask(task: Task): Generator<PeerEvent> {
    yield* this.locate(task.id, task.contextId);
    yield* this.tellMetadata(task.metadata);
    const said = task.status.message?.messageId;
    for (const message of task.history ?? []) {
      if (message.role === 'ROLE_AGENT' && message.messageId !== said) {
        yield* this.tellMessage(message);
      }
    }
    for (const artifact of task.artifacts ?? []) {
      if (!this.hasArtifact(artifact)) {
        yield this.tellArtifact({ artifact, append: false, lastChunk: true });
      }
    }
    if (statusKey(task.status) !== this.toldStatus) yield* this.tellStatus(task.status);
  }

  /** Whether a whole task says anything that was not told. */
  lacks(task: Task): boolean {
    return (
      (statusKey(task.status) !== this.toldStatus && !this.oldNews.covers(task.status)) ||
      (task.artifacts ?? []).some((one) => !this.hasArtifact(one))
    );
  }

  private *fromMessage(message: Message): Generator<PeerEvent> {
    if (this.position) yield* this.tellMessage(message);
    else {
      this.settled = true;
      yield { kind: 'message', message };
    }
  }

  private *locate(taskId: string, contextId: string): Generator<PeerEvent> {
    const known = this.position;
    if (known && known.taskId !== taskId) {
      throw new GatewayError(
        'peer-protocol',
        `The agent "${this.peerId}" answered for another task than the one it was asked about.`,
        { facts: { peer: this.peerId, problem: 'foreign task id' } },
      );
    }
    if (known && (known.contextId === contextId || contextId === '')) return;
    this.position = { taskId, contextId };
    yield { kind: 'position', position: { ...this.position } };
    if (contextId !== '') yield { kind: 'context', contextId };
  }

  private *tellMetadata(metadata: JsonObject | undefined): Generator<PeerEvent> {
    const key = JSON.stringify(metadata ?? {});
    if (key === (this.toldMetadata ?? '{}')) return;
    this.toldMetadata = key;
    yield { kind: 'metadata', metadata: metadata ?? {} };
  }

  private *tellMessage(message: Message): Generator<PeerEvent> {
    if (this.seen.has(message.messageId)) return;
    this.seen.add(message.messageId);
    yield { kind: 'history', message };
  }

  private tellArtifact(
    told: Pick<TaskArtifactUpdateEvent, 'artifact' | 'append' | 'lastChunk' | 'metadata'>,
  ): PeerEvent {
    const { artifact, append = false, lastChunk = false, metadata } = told;
    const update = { artifact, append, lastChunk };
    this.artifacts = mergeArtifact(this.artifacts, update, this.growing);
    return { kind: 'artifact', ...update, ...(metadata && { metadata }) };
  }

  private *tellStatus(status: TaskStatus, metadata?: JsonObject): Generator<PeerEvent> {
    if (this.oldNews.covers(status)) {
      this.holds = this.oldNews.expires;
      return;
    }
    this.holds = false;
    const { state, message } = status;
    this.toldStatus = statusKey(status);
    this.status = status;
    if (message) this.seen.add(message.messageId);
    // AUTH_REQUIRED ends without a word from us: it is watched on.
    this.settled = isTerminal(state) || state === 'TASK_STATE_INPUT_REQUIRED';
    yield {
      kind: 'status',
      state,
      ...(message && { message }),
      ...(metadata && { metadata }),
      ...(isInterrupted(state) && { questions: questionsFromStatus(status) }),
    };
  }

  private hasArtifact(artifact: Artifact): boolean {
    const known = this.artifacts.find((one) => one.artifactId === artifact.artifactId);
    return known !== undefined && contentKey(known) === contentKey(artifact);
  }
}

/** Equal for the same word of the agent, however it arrived. */
function statusKey({ state, message }: TaskStatus): string {
  return JSON.stringify([state, message?.messageId ?? '', message?.parts ?? []]);
}

/** Equal for the same content, however it was cut into chunks. */
function contentKey({ name, description, parts }: Artifact): string {
  return JSON.stringify([name ?? '', description ?? '', joinedText(parts)]);
}
