/** The agent itself: a message in, progress and a report out. */
import { randomUUID } from 'node:crypto';
import { Role, TaskState, type Message, type Part } from '@a2a-js/sdk';
import { AgentEvent } from '@a2a-js/sdk/server';
import type { AgentExecutor, ExecutionEventBus, RequestContext } from '@a2a-js/sdk/server';
import { leaseExtension } from '../../src/borrower/borrower.ts';
import type { Grantee } from '../hosting/grantee.ts';
import { reasonOf } from '../hosting/tool-result.ts';
import type { Offered, Offers } from '../hosting/offers.ts';
import { Research, type Report } from './research.ts';

interface Ids {
  taskId: string;
  contextId: string;
}

/** See the file comment. */
export class ResearchAgent implements AgentExecutor {
  readonly #grantee: Grantee;
  readonly #origin: string;
  readonly #offers: Offers;
  readonly #running = new Map<string, { stop: AbortController; contextId: string }>();

  constructor(parts: { grantee: Grantee; origin: string; offers: Offers }) {
    this.#grantee = parts.grantee;
    this.#origin = parts.origin;
    this.#offers = parts.offers;
  }

  async execute(request: RequestContext, bus: ExecutionEventBus): Promise<void> {
    const { taskId, contextId, userMessage, context } = request;
    const ids = { taskId, contextId };
    const question = textOf(userMessage);
    const stop = new AbortController();
    this.#running.set(taskId, { stop, contextId });
    if (context.requestedExtensions?.includes(leaseExtension)) {
      context.addActivatedExtension(leaseExtension);
    }
    const state = TaskState.TASK_STATE_WORKING;
    bus.publish(
      AgentEvent.task({
        id: taskId,
        contextId,
        status: { state, message: undefined, timestamp: new Date().toISOString() },
        artifacts: [],
        history: [],
        metadata: undefined,
      }),
    );
    const tell = (progress: string): void => publishStatus(bus, ids, state, progress);
    try {
      const report = await this.#report(question, this.#offers.get(context), {
        signal: stop.signal,
        tell,
      });
      publishReport(bus, ids, report);
      publishStatus(bus, ids, TaskState.TASK_STATE_COMPLETED);
    } catch (error) {
      // Whoever canceled it has told the caller.
      if (!stop.signal.aborted) throw error;
    } finally {
      this.#running.delete(taskId);
    }
  }

  async cancelTask(taskId: string, bus: ExecutionEventBus): Promise<void> {
    const work = this.#running.get(taskId);
    if (work === undefined) return;
    const { stop, contextId } = work;
    stop.abort();
    publishStatus(bus, { taskId, contextId }, TaskState.TASK_STATE_CANCELED, 'Canceled.');
  }

  async #report(
    question: string,
    offered: Offered | undefined,
    work: { signal: AbortSignal; tell: (progress: string) => void },
  ): Promise<Report> {
    const without = (why: string): Report => ({
      question,
      sources: [],
      remembered: false,
      undone: [`I could not search or remember anything: ${why}`],
    });
    if (offered === undefined) return without('I have no tools of my own, and was lent none.');
    if ('flaw' in offered) return without(offered.flaw);
    try {
      const { signal } = work;
      return await this.#grantee.withLease(
        offered.offer,
        { origin: this.#origin, signal },
        (lease) => {
          work.tell(`I was lent ${lease.tools.length} tools.`);
          return new Research(question, { client: lease.client, ...work }).run();
        },
      );
    } catch (error) {
      work.signal.throwIfAborted();
      return without(reasonOf(error));
    }
  }
}

function publishReport(bus: ExecutionEventBus, { taskId, contextId }: Ids, report: Report): void {
  const { answer, sources, remembered, signature, undone } = report;
  const lines = [
    answer ?? 'I have no answer.',
    ...sources.map(({ title, uri }) => `Source: ${title}${uri === undefined ? '' : ` (${uri})`}`),
    ...(remembered ? ['I have remembered this.'] : []),
    ...(signature === undefined ? [] : ['I have had it signed.']),
    ...undone,
  ];
  bus.publish(
    AgentEvent.artifactUpdate({
      taskId,
      contextId,
      artifact: {
        artifactId: 'report',
        name: 'Report',
        description: '',
        parts: [text(lines.join('\n')), data(report)],
        metadata: undefined,
        extensions: [],
      },
      append: false,
      lastChunk: true,
      metadata: undefined,
    }),
  );
}

function publishStatus(
  bus: ExecutionEventBus,
  { taskId, contextId }: Ids,
  state: TaskState,
  words?: string,
): void {
  const message: Message | undefined =
    words === undefined
      ? undefined
      : {
          messageId: randomUUID(),
          role: Role.ROLE_AGENT,
          taskId,
          contextId,
          parts: [text(words)],
          metadata: undefined,
          extensions: [],
          referenceTaskIds: [],
        };
  const status = { state, message, timestamp: new Date().toISOString() };
  bus.publish(AgentEvent.statusUpdate({ taskId, contextId, status, metadata: undefined }));
}

function textOf({ parts }: Message): string {
  const texts = parts.map(({ content }) => (content?.$case === 'text' ? content.value : ''));
  return texts.join(' ').trim();
}

function text(value: string): Part {
  const content = { $case: 'text' as const, value };
  return { content, mediaType: 'text/plain', filename: '', metadata: undefined };
}

function data(value: object): Part {
  const content = { $case: 'data' as const, value };
  return { content, mediaType: 'application/json', filename: '', metadata: undefined };
}
