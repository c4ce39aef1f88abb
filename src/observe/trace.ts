import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * The position in a distributed trace. Incoming requests are continued, never trusted for anything
 * but correlation.
 *
 * Spec: W3C Trace Context level 2 §3.2 (traceparent), §3.3 (tracestate)
 */
export interface Trace {
  /** 32 lower-case hexadecimal digits. */
  readonly traceId: string;
  /** 16 lower-case hexadecimal digits: our own span. */
  readonly spanId: string;
  /** The span that caused ours, if the caller named one. */
  readonly parentId?: string;
  /** Two hexadecimal digits; bit 0 says that the caller samples. */
  readonly flags: string;
  readonly state?: string;
}

/** Where a caller may put its trace: HTTP headers, or MCP `_meta`. */
export interface TraceCarrier {
  readonly traceparent?: unknown;
  readonly tracestate?: unknown;
}

/** Random bytes; `crypto.randomBytes` in production. */
export type RandomBytes = (size: number) => Uint8Array;

const storage = new AsyncLocalStorage<Trace>();

/** The trace of the request that is being served, if there is one. */
export function currentTrace(): Trace | undefined {
  return storage.getStore();
}

/** Runs `work` inside a trace: `currentTrace` finds it there and in everything it awaits. */
export function runWithTrace<Result>(trace: Trace, work: () => Result): Result {
  return storage.run(trace, work);
}

/** Continues the trace of the first carrier that has a valid one, or starts a new one. */
export function traceFrom(carriers: readonly TraceCarrier[], random: RandomBytes): Trace {
  for (const carrier of carriers) {
    const parent = parseTraceparent(carrier.traceparent);
    if (parent !== undefined) {
      const state = parseTracestate(carrier.tracestate);
      return childOf({ ...parent, ...(state !== undefined && { state }) }, random);
    }
  }
  return { traceId: randomId(16, random), spanId: randomId(8, random), flags: '00' };
}

/** A new span below `trace`, for one outgoing call. */
export function childOf(trace: Trace, random: RandomBytes): Trace {
  return { ...trace, parentId: trace.spanId, spanId: randomId(8, random) };
}

/** The members that carry a trace onwards, as HTTP headers or in MCP `_meta`. */
export function traceFields(trace: Trace): { traceparent: string; tracestate?: string } {
  const traceparent = `00-${trace.traceId}-${trace.spanId}-${trace.flags}`;
  return trace.state === undefined ? { traceparent } : { traceparent, tracestate: trace.state };
}

/** The same for an outgoing call made now: a child of the current trace, or nothing. */
export function outgoingTraceFields(
  random: RandomBytes,
): { traceparent: string; tracestate?: string } | undefined {
  const trace = currentTrace();
  return trace === undefined ? undefined : traceFields(childOf(trace, random));
}

/** Reads a `traceparent`; undefined when it is missing or breaks the rules. */
export function parseTraceparent(value: unknown): Trace | undefined {
  if (typeof value !== 'string') return undefined;
  const parts = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(
    value.trim(),
  );
  const [, version, traceId, spanId, flags, rest] = parts ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  // Only the flags that version 00 defines are passed on.
  const known = (Number.parseInt(flags, 16) & 0b11).toString(16).padStart(2, '0');
  return { traceId, spanId, flags: known };
}

const memberKey = /^[a-z0-9][a-z0-9_\-*/@]{0,255}$/;
const memberValue = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/** Reads a `tracestate`; undefined when it is missing, empty or breaks the rules. */
export function parseTracestate(value: unknown): string | undefined {
  const text = Array.isArray(value) ? value.join(',') : value;
  if (typeof text !== 'string') return undefined;
  const members = text
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '');
  if (members.length === 0 || members.length > 32) return undefined;
  const keys = new Set<string>();
  for (const member of members) {
    const at = member.indexOf('=');
    const key = member.slice(0, Math.max(at, 0));
    if (!memberKey.test(key) || !memberValue.test(member.slice(at + 1)) || keys.has(key)) {
      return undefined;
    }
    keys.add(key);
  }
  const joined = members.join(',');
  return joined.length <= 2048 ? joined : undefined;
}

function randomId(bytes: number, random: RandomBytes): string {
  const id = Buffer.from(random(bytes)).toString('hex');
  // All zeros means "invalid" in a traceparent.
  return /^0+$/.test(id) ? `${id.slice(0, -1)}1` : id;
}
