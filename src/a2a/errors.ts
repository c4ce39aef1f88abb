/**
 * One table from our failures to A2A's errors. The SDK's transports turn those into JSON-RPC codes
 * and HTTP statuses. Whatever is not a GatewayError is a fault of ours and shows no detail.
 *
 * Spec: A2A 1.0 §3.3.2 (errors), §5.4 (codes and statuses)
 */
import {
  A2AError,
  ContentTypeNotSupportedError,
  ExtensionSupportRequiredError,
  InvalidAgentResponseError,
  PushNotificationNotSupportedError,
  RequestMalformedError,
  TaskNotCancelableError,
  TaskNotFoundError,
  UnsupportedOperationError,
  VersionNotSupportedError,
} from '@a2a-js/sdk/errors';
import { GatewayError } from '../model/errors.ts';
import type { ErrorCode } from '../model/errors.ts';
import { isObject } from '../model/json.ts';

type ErrorClass = new (options: { message: string; metadata?: Record<string, string> }) => A2AError;

/** What A2A has no error for: an internal error with a status and a reason of HTTP's own. */
interface OtherRow {
  status: number;
  reason: string;
}

/** The text of a fault that nobody foresaw. */
export const internalText =
  'The gateway had an internal error. The operator finds the reason in its log.';

const table = {
  'invalid-request': RequestMalformedError,
  'invalid-params': RequestMalformedError,
  'method-not-found': UnsupportedOperationError,
  'tool-not-found': RequestMalformedError,
  'task-not-found': TaskNotFoundError,
  'task-finished': UnsupportedOperationError,
  'task-not-cancelable': TaskNotCancelableError,
  'context-invalid': RequestMalformedError,
  'state-invalid': RequestMalformedError,
  unsupported: UnsupportedOperationError,
  'push-unsupported': PushNotificationNotSupportedError,
  'content-type-unsupported': ContentTypeNotSupportedError,
  'version-unsupported': VersionNotSupportedError,
  'extension-required': ExtensionSupportRequiredError,
  forbidden: { status: 403, reason: 'INSUFFICIENT_SCOPE' },
  'connection-needed': { status: 424, reason: 'AUTHORIZATION_NEEDED' },
  'capability-required': UnsupportedOperationError,
  'too-large': { status: 413, reason: 'PAYLOAD_TOO_LARGE' },
  'too-many': { status: 429, reason: 'RESOURCE_EXHAUSTED' },
  'peer-unavailable': { status: 503, reason: 'UNAVAILABLE' },
  'peer-timeout': { status: 504, reason: 'DEADLINE_EXCEEDED' },
  'peer-refused': { status: 502, reason: 'AGENT_REFUSED_GATEWAY' },
  'peer-protocol': InvalidAgentResponseError,
  'peer-error': { status: 502, reason: 'AGENT_ERROR' },
  'egress-refused': { status: 502, reason: 'AGENT_NOT_REACHABLE' },
  'outcome-unknown': { status: 502, reason: 'OUTCOME_UNKNOWN' },
  'shutting-down': { status: 503, reason: 'UNAVAILABLE' },
  canceled: { status: 500, reason: 'CANCELED' },
} as const satisfies Record<ErrorCode, ErrorClass | OtherRow>;

/** A failure with an HTTP status that no A2A error has. JSON-RPC callers see -32603. */
class StatusError extends A2AError {
  override readonly reason: string;
  /** With `statusCode` this makes the SDK's REST transport answer with the status. */
  readonly transport = 'rest';
  readonly statusCode: number;

  constructor(row: OtherRow, options: { message: string; metadata?: Record<string, string> }) {
    super(options);
    this.reason = row.reason;
    this.statusCode = row.status;
  }
}

/** How anything thrown is shown to an A2A caller. */
export interface A2aFault {
  error: A2AError;
  /** Set where the HTTP status of a JSON-RPC answer is not 200 either. */
  status?: number;
  retryAfterMs?: number;
  /** Nobody foresaw it: it is to be logged. */
  unexpected: boolean;
}

/** Statuses that a JSON-RPC answer has too. */
const asHttp: ReadonlySet<number> = new Set([403, 429, 503]);

/** The A2A error for anything thrown. */
export function a2aFaultOf(thrown: unknown): A2aFault {
  if (thrown instanceof A2AError) return { error: thrown, unexpected: false };
  if (!(thrown instanceof GatewayError)) {
    return { error: new A2AError({ message: internalText }), unexpected: true };
  }
  const { message, facts } = thrown;
  const row = isInvalidParams(thrown) ? RequestMalformedError : table[thrown.code];
  if (typeof row === 'function') {
    const { field } = facts;
    const metadata = typeof field === 'string' ? { field } : undefined;
    return { error: new row({ message, ...(metadata && { metadata }) }), unexpected: false };
  }
  const retryAfterMs = retryAfter(thrown, row.status);
  return {
    error: new StatusError(row, { message, ...linkIn(thrown) }),
    ...(asHttp.has(row.status) ? { status: row.status } : {}),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    unexpected: false,
  };
}

/**
 * Whether an MCP server said so. Its other codes mean nothing in A2A, which uses the same numbers
 * for things of its own.
 */
function isInvalidParams(thrown: GatewayError): boolean {
  const { rpc } = thrown.facts;
  return thrown.code === 'peer-error' && isObject(rpc) && rpc['code'] === -32602;
}

/** The link at which a person can put an end to the failure. */
function linkIn({ code, facts }: GatewayError): { metadata?: Record<string, string> } {
  const { connection, url } = facts;
  if (code !== 'connection-needed' || typeof url !== 'string') return {};
  return { metadata: { url, ...(typeof connection === 'string' && { connection }) } };
}

function retryAfter(thrown: GatewayError, status: number): number | undefined {
  const { retryAfterMs } = thrown.facts;
  if (typeof retryAfterMs === 'number') return retryAfterMs;
  return status === 503 ? 5000 : undefined;
}

/** Names of `google.rpc.Code` by HTTP status. */
const statusNames: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  405: 'UNIMPLEMENTED',
  413: 'INVALID_ARGUMENT',
  424: 'FAILED_PRECONDITION',
  429: 'RESOURCE_EXHAUSTED',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};

/** The name of `google.rpc.Code` that fits an HTTP status. */
export function statusName(status: number): string {
  return statusNames[status] ?? 'INTERNAL';
}

/** An error body for what is no A2A operation. Spec: A2A 1.0 §11.6 (google.rpc.Status) */
export function statusBody(status: number, message: string): Record<string, unknown> {
  return { error: { code: status, status: statusName(status), message, details: [] } };
}
