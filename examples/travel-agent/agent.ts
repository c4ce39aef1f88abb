/** The agent itself: turns messages into answers, tasks, questions and artifacts. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Role, TaskState } from '@a2a-js/sdk';
import type { Message, Part } from '@a2a-js/sdk';
import { AgentEvent } from '@a2a-js/sdk/server';
import type { AgentExecutor, ExecutionEventBus, RequestContext } from '@a2a-js/sdk/server';
import { FORM_EXTENSION } from './card.ts';
import { dateFrom, lookup, planDay, tripFrom } from './trip.ts';
import type { Trip } from './trip.ts';

/** What we remember of a task between two messages. */
interface Work {
  contextId: string;
  trip: Trip;
  state: TaskState;
  abort: AbortController;
  /** Settles when the person agrees to a booking, or refuses it. */
  consent: PromiseWithResolvers<boolean>;
  /** Set while we are working, as opposed to waiting for an answer. */
  running?: Promise<void>;
}

/** Plans, books and looks things up. */
export class TravelAgent implements AgentExecutor {
  private readonly origin: string;
  private readonly works = new Map<string, Work>();

  constructor(origin: string) {
    this.origin = origin;
  }

  /** Called when the person has pressed the button on the authorization page. */
  authorize(taskId: string): boolean {
    const work = this.works.get(taskId);
    work?.consent.resolve(true);
    return work !== undefined;
  }

  async execute(request: RequestContext, bus: ExecutionEventBus): Promise<void> {
    const { taskId, contextId, userMessage } = request;
    const words = textOf(userMessage);
    const skill = chooseSkill(userMessage, words);
    let work = this.works.get(taskId);
    if (work?.running) {
      // A message in the middle of the work: only a refusal means something to us.
      if (refuses(userMessage)) work.consent.resolve(false);
      else this.begin(bus, taskId, work, work.state);
      return work.running;
    }
    if (work) {
      work.trip.date = dateFrom(JSON.stringify(valuesOf(userMessage)));
      work.running = this.plan(request, bus, work, refuses(userMessage));
    } else if (skill === 'quick_lookup') {
      bus.publish(AgentEvent.message(say({ contextId }, text(lookup(words)))));
      return;
    } else {
      work = newWork(contextId, words);
      this.works.set(taskId, work);
      work.running =
        skill === 'book' ? this.book(request, bus, work) : this.plan(request, bus, work, false);
    }
    await work.running;
    work.running = undefined;
    if (work.state !== TaskState.TASK_STATE_INPUT_REQUIRED) this.works.delete(taskId);
  }

  async cancelTask(taskId: string, bus: ExecutionEventBus): Promise<void> {
    const work = this.works.get(taskId);
    if (!work) return;
    work.abort.abort();
    this.status(bus, taskId, work, TaskState.TASK_STATE_CANCELED, [text('Canceled.')]);
    this.works.delete(taskId);
  }

  /** Asks for the date when it is missing, then writes the plan one day at a time. */
  private async plan(
    request: RequestContext,
    bus: ExecutionEventBus,
    work: Work,
    refused: boolean,
  ): Promise<void> {
    const { taskId } = request;
    const { city, days, date } = work.trip;
    this.begin(bus, taskId, work);
    if (refused) {
      const why = [text('Without a date there is no plan.')];
      return this.status(bus, taskId, work, TaskState.TASK_STATE_REJECTED, why);
    }
    if (!date) {
      const question = `When does your trip to ${city} start? (YYYY-MM-DD)`;
      const parts = [text(question)];
      if (request.context.requestedExtensions?.includes(FORM_EXTENSION)) {
        request.context.addActivatedExtension(FORM_EXTENSION);
        parts.push(data(dateForm(question)));
      }
      return this.status(bus, taskId, work, TaskState.TASK_STATE_INPUT_REQUIRED, parts);
    }
    for (let day = 0; day < days; day += 1) {
      if (!(await rest(150, work))) return;
      bus.publish(
        AgentEvent.artifactUpdate({
          taskId,
          contextId: work.contextId,
          artifact: {
            artifactId: 'itinerary',
            name: `${days} days in ${city}`,
            description: '',
            parts: [text(planDay({ ...work.trip, date }, day))],
            metadata: undefined,
            extensions: [],
          },
          append: day > 0,
          lastChunk: day === days - 1,
          metadata: undefined,
        }),
      );
    }
    this.status(bus, taskId, work, TaskState.TASK_STATE_COMPLETED);
  }

  /** Waits until the person has agreed on our page, then books. */
  private async book(request: RequestContext, bus: ExecutionEventBus, work: Work): Promise<void> {
    const { taskId } = request;
    const url = `${this.origin}/authorize/${taskId}`;
    this.begin(bus, taskId, work);
    this.status(bus, taskId, work, TaskState.TASK_STATE_AUTH_REQUIRED, [
      text(`Please authorize the booking for ${work.trip.city}.`),
      data({ url }),
    ]);
    const agreed = await Promise.race([work.consent.promise, aborted(work)]);
    if (work.abort.signal.aborted) return;
    if (!agreed) {
      const why = [text('You did not agree, so nothing is booked.')];
      return this.status(bus, taskId, work, TaskState.TASK_STATE_REJECTED, why);
    }
    bus.publish(
      AgentEvent.artifactUpdate({
        taskId,
        contextId: work.contextId,
        artifact: {
          artifactId: 'booking',
          name: 'Booking',
          description: '',
          parts: [
            text(`Booked: ${work.trip.days} days in ${work.trip.city}.`),
            data({ reference: taskId.slice(0, 6).toUpperCase(), ...work.trip }),
          ],
          metadata: undefined,
          extensions: [],
        },
        append: false,
        lastChunk: true,
        metadata: undefined,
      }),
    );
    this.status(bus, taskId, work, TaskState.TASK_STATE_COMPLETED);
  }

  /** Every turn opens with the task itself. */
  private begin(
    bus: ExecutionEventBus,
    taskId: string,
    work: Work,
    state = TaskState.TASK_STATE_WORKING,
  ): void {
    work.state = state;
    bus.publish(
      AgentEvent.task({
        id: taskId,
        contextId: work.contextId,
        status: { state, message: undefined, timestamp: new Date().toISOString() },
        artifacts: [],
        history: [],
        metadata: undefined,
      }),
    );
  }

  private status(
    bus: ExecutionEventBus,
    taskId: string,
    work: Work,
    state: TaskState,
    parts: Part[] = [],
  ): void {
    work.state = state;
    const message =
      parts.length > 0 ? say({ taskId, contextId: work.contextId }, ...parts) : undefined;
    bus.publish(
      AgentEvent.statusUpdate({
        taskId,
        contextId: work.contextId,
        status: { state, message, timestamp: new Date().toISOString() },
        metadata: undefined,
      }),
    );
  }
}

/** The skill that the client names, else a guess from the words. */
function chooseSkill(message: Message, words: string): string {
  const named: unknown = message.metadata?.['skill'];
  if (typeof named === 'string') return named;
  if (/\bbook\b/i.test(words)) return 'book';
  return /\b(plan|trip|days?)\b/i.test(words) ? 'plan_trip' : 'quick_lookup';
}

function newWork(contextId: string, words: string): Work {
  return {
    contextId,
    trip: tripFrom(words),
    state: TaskState.TASK_STATE_WORKING,
    abort: new AbortController(),
    consent: Promise.withResolvers<boolean>(),
  };
}

/** All text and data of a message: an answer may be prose, plain fields or a filled form. */
function valuesOf(message: Message): unknown[] {
  return message.parts.map((part): unknown =>
    part.content?.$case === 'text' || part.content?.$case === 'data' ? part.content.value : '',
  );
}

/** Whether a message says no, in words or as the answer to a form. */
function refuses(message: Message): boolean {
  return /\b(declined?|refused?|rejected?|no thanks)\b/i.test(JSON.stringify(valuesOf(message)));
}

function dateForm(message: string): object {
  const requestedSchema = {
    type: 'object',
    properties: { date: { type: 'string', format: 'date', title: 'First day' } },
    required: ['date'],
  };
  const params = { mode: 'form', message, requestedSchema };
  return { key: 'date', request: { method: 'elicitation/create', params } };
}

function textOf(message: Message): string {
  return message.parts
    .map((part) => (part.content?.$case === 'text' ? part.content.value : ''))
    .join(' ');
}

function text(value: string): Part {
  return {
    content: { $case: 'text', value },
    mediaType: 'text/plain',
    filename: '',
    metadata: undefined,
  };
}

function data(value: object): Part {
  return {
    content: { $case: 'data', value },
    mediaType: 'application/json',
    filename: '',
    metadata: undefined,
  };
}

function say(ids: { taskId?: string; contextId: string }, ...parts: Part[]): Message {
  return {
    messageId: randomUUID(),
    role: Role.ROLE_AGENT,
    taskId: ids.taskId ?? '',
    contextId: ids.contextId,
    parts,
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  };
}

/** Waits; false when the task was canceled meanwhile. */
async function rest(milliseconds: number, work: Work): Promise<boolean> {
  await sleep(milliseconds, undefined, { signal: work.abort.signal }).catch(() => undefined);
  return !work.abort.signal.aborted;
}

async function aborted({ abort: { signal } }: Work): Promise<false> {
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  return false;
}
