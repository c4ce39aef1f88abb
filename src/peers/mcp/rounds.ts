/**
 * Work in rounds: send the request, read what comes, and send it again for as long as the server
 * asks for more: with answers, with its own state, or only because it was not ready yet.
 *
 * Spec: MCP 2026-07-28 basic/patterns/mrtr; 2025-11-25 client/elicitation "URL Mode Elicitation"
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock, MintId } from '../../model/ids.ts';
import { isObject, type JsonObject } from '../../model/json.ts';
import type { InputRequest, RpcError } from '../../model/mcp.ts';
import type { PeerContext, PeerEvent } from '../../ports/peer.ts';
import { asking, inputRequestsOf, isLink, type InputRequests } from './answers.ts';
import type { Dialect, SessionName } from './conversation.ts';
import { begin, type Ending } from './converse.ts';
import { offProtocol, timedOut } from './faults.ts';
import type { HeldCalls } from './held-calls.ts';
import type { ParamHeader } from './param-headers.ts';
import { completed, rejected } from './results.ts';
import type { TaskFollowing } from './task-following.ts';
import { place, sentParams, type Work } from './work.ts';

/** What rounds need from their peer. */
export interface RoundsParts {
  readonly peerId: string;
  readonly mintId: MintId;
  /** Names a call in this process and later ones. */
  readonly callId: MintId;
  readonly clock: Clock;
  readonly held: HeldCalls;
  /** The longest silence of the server in a call. */
  readonly idleMs: number;
  readonly dialect: (context: PeerContext) => Promise<Dialect>;
  /** The headers that a call's arguments go into. */
  readonly paramHeaders: (
    work: Work,
    context: PeerContext,
    fresh: boolean,
  ) => Promise<readonly ParamHeader[]>;
  readonly tasks: TaskFollowing;
  /** Hears of errors that say that the server has changed its era. */
  readonly onEraError: () => void;
}

/** `URLElicitationRequiredError`. Spec: MCP 2025-11-25 client/elicitation */
const linkRequired = -32042;
const headerMismatch = -32020;
const unsupportedVersion = -32022;

/** How long the gateway goes on asking a server that is not ready, or a link that is not done. */
const patienceMs = 10 * 60_000;

/** Sends work and follows it to its end, or to a state that waits for the caller. */
export async function* pursue(
  parts: RoundsParts,
  work: Work,
  context: PeerContext,
): AsyncGenerator<PeerEvent, void, undefined> {
  let next: Work | undefined = work;
  let headerRetries = 1;
  while (next !== undefined) {
    const current: Work = next;
    const dialect = await parts.dialect(context);
    const fresh = headerRetries === 0;
    const paramHeaders =
      dialect.era === 'modern' ? await parts.paramHeaders(current, context, fresh) : undefined;
    const callId = parts.callId();
    yield place({ stage: 'open', callId, work: current });
    const ending = yield* begin(
      { dialect, held: parts.held, mintId: parts.mintId },
      {
        callId,
        method: current.method,
        params: sentParams(current),
        stage: 'call',
        silenceMs: parts.idleMs,
        paramHeaders,
        remember: (open) => place({ stage: 'open', callId, work: current, ...open }),
      },
      context,
    );
    if (headerRetries > 0 && isHeaderMismatch(ending)) {
      // Spec: MCP 2026-07-28 basic/transports/streamable-http "Client Behavior": list, then retry
      headerRetries -= 1;
      continue;
    }
    next = yield* settle(parts, current, ending, context);
  }
}

/** What follows from how a round ended: events, and the next round if there is one. */
export async function* settle(
  parts: RoundsParts,
  work: Work,
  ending: Ending,
  context: PeerContext,
): AsyncGenerator<PeerEvent, Work | undefined, undefined> {
  if (ending.kind === 'asked') return undefined;
  if (ending.kind === 'canceled') {
    yield { kind: 'status', state: 'TASK_STATE_CANCELED' };
    return undefined;
  }
  const { callId, outcome, started, session } = ending;
  if ('error' in outcome)
    return yield* settleError(parts, work, outcome.error, { started, context });
  return yield* settleResult(parts, work, outcome.result, { callId, session, context });
}

async function* settleResult(
  parts: RoundsParts,
  work: Work,
  result: JsonObject,
  facts: { callId: string; session: SessionName | undefined; context: PeerContext },
): AsyncGenerator<PeerEvent, Work | undefined, undefined> {
  const { callId, session, context } = facts;
  const type = result['resultType'];
  const legacyTask = work.asTask === true && isObject(result['task']) ? result['task'] : undefined;
  if (legacyTask !== undefined) {
    const origin = { work, era: 'legacy', session, progressToken: callId } as const;
    yield* parts.tasks.begin(origin, legacyTask, context);
    return undefined;
  }
  switch (type) {
    case undefined:
    case 'complete':
      yield* completed(parts.peerId, work, result, parts.mintId);
      return undefined;
    case 'task':
      // Spec: MCP Tasks extension "Capability Negotiation": only where tasks are supported
      if (work.method !== 'tools/call') break;
      yield* parts.tasks.begin({ work, era: 'modern' }, result, context);
      return undefined;
    case 'input_required':
      return yield* inputRequired(parts, work, result, context);
    default:
  }
  throw offProtocol(parts.peerId, 'call', 'its result has a type that does not exist');
}

/** Spec: MCP 2026-07-28 basic/patterns/mrtr */
async function* inputRequired(
  parts: RoundsParts,
  work: Work,
  result: JsonObject,
  context: PeerContext,
): AsyncGenerator<PeerEvent, Work | undefined, undefined> {
  const { requestState: state } = result;
  const inputRequests = inputRequestsOf(parts.peerId, result['inputRequests'], context.features);
  const hasState = typeof state === 'string';
  if (Object.keys(inputRequests).length === 0 && !hasState) {
    throw offProtocol(parts.peerId, 'call', 'it wants input and does not say which');
  }
  const { requestState: _before, inputResponses: _answers, ...base } = work;
  const again: Work = { ...base, ...(hasState && { requestState: state }) };
  const known = acceptedLinks(again, inputRequests);
  const waiting = Object.keys(known).length === Object.keys(inputRequests).length;
  if (!waiting || (Object.keys(known).length > 0 && isTired(parts, again))) {
    const { waits: _waits, accepted: _accepted, ...asked } = again;
    const answers = waiting ? {} : known;
    yield place({ stage: 'mrtr', work: asked, inputRequests, answers });
    yield asking(without(inputRequests, answers), parts.mintId);
    return undefined;
  }
  yield place({ stage: 'mrtr', work: again, inputRequests, answers: known });
  yield* wait(parts, again, context);
  return {
    ...again,
    ...(Object.keys(known).length > 0 && { inputResponses: known }),
    waits: waited(parts, again),
  };
}

async function* settleError(
  parts: RoundsParts,
  work: Work,
  error: RpcError,
  facts: { started: boolean; context: PeerContext },
): AsyncGenerator<PeerEvent, Work | undefined, undefined> {
  if (error.code === unsupportedVersion) parts.onEraError();
  const links = error.code === linkRequired ? linksOf(parts, error, facts.context) : undefined;
  if (links === undefined) {
    yield rejected(error, facts.started, parts.mintId);
    return undefined;
  }
  const known = acceptedLinks(work, links);
  const waiting = Object.keys(known).length === Object.keys(links).length;
  if (waiting && !isTired(parts, work)) {
    yield place({ stage: 'mrtr', work, inputRequests: links, answers: known, links: true });
    yield* wait(parts, work, facts.context);
    return { ...work, waits: waited(parts, work) };
  }
  const { waits: _waits, accepted: _accepted, ...asked } = work;
  yield place({ stage: 'mrtr', work: asked, inputRequests: links, answers: {}, links: true });
  yield asking(links, parts.mintId);
  return undefined;
}

/** The links of a -32042 error, or `undefined` where the caller cannot open them. */
function linksOf(
  parts: RoundsParts,
  error: RpcError,
  context: PeerContext,
): InputRequests | undefined {
  const elicitations = isObject(error.data) ? error.data['elicitations'] : undefined;
  if (!Array.isArray(elicitations) || elicitations.length === 0) return undefined;
  const asked: JsonObject = {};
  elicitations.forEach((params, index) => {
    if (!isObject(params)) return;
    asked[`link-${index + 1}`] = {
      method: 'elicitation/create',
      params: { ...params, mode: 'url' },
    };
  });
  return inputRequestsOf(parts.peerId, asked, context.features);
}

/** Answers to links that the caller has opened already, by key. */
function acceptedLinks(work: Work, requests: InputRequests): JsonObject {
  const answers: JsonObject = {};
  for (const [key, request] of Object.entries(requests)) {
    if (isLink(request) && work.accepted?.includes(linkKey(request)) === true) {
      answers[key] = { action: 'accept' };
    }
  }
  return answers;
}

/**
 * What makes two links the same: where they lead and what they are for. Servers make a fresh
 * address for each attempt.
 */
export function linkKey(request: InputRequest): string {
  const { url, message } = request.params ?? {};
  const origin = typeof url === 'string' && URL.canParse(url) ? new URL(url).origin : url;
  return JSON.stringify([origin ?? null, message ?? null]);
}

/** Waits before the next round: longer each time, and not for ever. */
async function* wait(
  parts: RoundsParts,
  work: Work,
  context: PeerContext,
): AsyncGenerator<PeerEvent, void, undefined> {
  if (isTired(parts, work)) throw timedOut(parts.peerId, 'call', patienceMs);
  const count = work.waits?.count ?? 0;
  if (count === 0) yield { kind: 'status', state: 'TASK_STATE_WORKING' };
  await sleep(Math.min(250 * 1.6 ** count, 5000), undefined, { signal: context.signal });
}

function waited(parts: RoundsParts, work: Work): { count: number; since: number } {
  const before = work.waits ?? { count: 0, since: parts.clock() };
  return { count: before.count + 1, since: before.since };
}

function isTired(parts: RoundsParts, work: Work): boolean {
  return work.waits !== undefined && parts.clock() - work.waits.since > patienceMs;
}

function isHeaderMismatch(ending: Ending): boolean {
  if (ending.kind !== 'outcome' || !('error' in ending.outcome)) return false;
  return ending.outcome.error.code === headerMismatch;
}

function without(requests: InputRequests, answers: JsonObject): InputRequests {
  return Object.fromEntries(
    Object.entries(requests).filter(([key]) => !Object.hasOwn(answers, key)),
  );
}
