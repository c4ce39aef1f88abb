/**
 * What a client declared that it can do, as one shape for all revisions.
 *
 * Spec: MCP 2026-07-28 client/elicitation, "Capabilities" (an empty object means form mode)
 */
import { isObject } from '../model/json.ts';
import type { JsonObject } from '../model/json.ts';
import { tasksExtension } from '../model/mcp.ts';
import type { ClientFeatures, InputRequest } from '../model/mcp.ts';
import type { Dialect } from './call-context.ts';

/** The features of declared client capabilities. */
export function clientFeatures(declared: unknown, dialect: Dialect): ClientFeatures {
  const raw = isObject(declared) ? (declared as JsonObject) : {};
  const elicitation = raw['elicitation'];
  const modes = isObject(elicitation) ? elicitation : undefined;
  const extensions = raw['extensions'];
  const elicitUrl = dialect.urlElicitation && modes?.['url'] !== undefined;
  return {
    elicitForm: modes !== undefined && (modes['form'] !== undefined || modes['url'] === undefined),
    elicitUrl,
    ...(elicitUrl && dialect.linkErrors && { linkErrors: true }),
    sampling: isObject(raw['sampling']),
    roots: isObject(raw['roots']),
    tasks: isObject(extensions) && isObject(extensions[tasksExtension]),
    raw,
  };
}

/** A client on a connection that cannot carry questions. What errors may say stays. */
export function unasked(features: ClientFeatures): ClientFeatures {
  const { elicitation: _e, sampling: _s, roots: _r, ...raw } = features.raw;
  const none = { elicitForm: false, elicitUrl: false, sampling: false, roots: false };
  return { ...features, ...none, raw };
}

/**
 * The capability that a client must have declared to be asked this.
 * Spec: MCP 2026-07-28 basic/patterns/mrtr, "Server Requirements" (undeclared requests)
 */
export function capabilityFor(request: InputRequest): JsonObject {
  if (request.method === 'sampling/createMessage') return { sampling: {} };
  if (request.method === 'roots/list') return { roots: {} };
  return { elicitation: isUrlRequest(request) ? { url: {} } : { form: {} } };
}

/** Whether the client declared what it takes to be asked this. */
export function canAnswer(features: ClientFeatures, request: InputRequest): boolean {
  switch (request.method) {
    case 'elicitation/create':
      return isUrlRequest(request) ? features.elicitUrl : features.elicitForm;
    case 'sampling/createMessage':
      return features.sampling;
    case 'roots/list':
      return features.roots;
    default:
      return false;
  }
}

/** Whether a request asks the user to open a URL. */
export function isUrlRequest(request: InputRequest): boolean {
  return request.method === 'elicitation/create' && request.params?.['mode'] === 'url';
}
