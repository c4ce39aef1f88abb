/**
 * What we tell a server that its client can do: exactly what the caller can. A server that needs
 * tasks refuses a caller that does not know them, as it would without us in between; an A2A caller
 * always knows them.
 */
import { isObject, type JsonObject } from '../../model/json.ts';
import { a2aCallerFeatures, tasksExtension, type ClientFeatures } from '../../model/mcp.ts';

/** The caller's features; a caller without any speaks A2A. */
export function featuresOf(features: ClientFeatures | undefined): ClientFeatures {
  return features ?? a2aCallerFeatures;
}

/** `clientCapabilities` of a modern request, or of a legacy `initialize`. */
export function clientCapabilities(
  given: ClientFeatures | undefined,
  era: 'modern' | 'legacy',
): JsonObject {
  const features = featuresOf(given);
  const { raw } = features;
  const capabilities: JsonObject = {};
  if (features.elicitForm || features.elicitUrl) {
    capabilities['elicitation'] = {
      ...(features.elicitForm && { form: {} }),
      ...(features.elicitUrl && { url: {} }),
    };
  }
  if (features.sampling) capabilities['sampling'] = object(raw['sampling']);
  // We never announce changed roots: the caller's own announcement does not travel.
  if (features.roots) capabilities['roots'] = {};
  if (isObject(raw['experimental'])) capabilities['experimental'] = object(raw['experimental']);
  const extensions = { ...object(raw['extensions']) };
  if (era === 'modern' && features.tasks) extensions[tasksExtension] = {};
  else delete extensions[tasksExtension];
  if (Object.keys(extensions).length > 0) capabilities['extensions'] = extensions;
  const requests = taskRequests(features);
  if (era === 'legacy' && Object.keys(requests).length > 0) {
    capabilities['tasks'] = { list: {}, cancel: {}, requests };
  }
  return capabilities;
}

/**
 * What we say on a connection that several callers share: what any of them may answer. A question
 * that a caller cannot answer is refused when it comes. Roots are not among them: a server asks for
 * them outside of calls, and what it may touch is for whoever runs it to say.
 */
export const connectionCapabilities = {
  elicitation: { form: {}, url: {} },
  sampling: {},
} as const satisfies JsonObject;

/** What a legacy server may make tasks of when it asks; it is the gateway that keeps them. */
export function taskRequests(given: ClientFeatures | undefined): JsonObject {
  const features = featuresOf(given);
  const { elicitation, sampling } = object(object(features.raw['tasks'])['requests']);
  const elicits = features.elicitForm || features.elicitUrl;
  return {
    ...(elicits && isObject(object(elicitation)['create']) && { elicitation: { create: {} } }),
    ...(features.sampling &&
      isObject(object(sampling)['createMessage']) && { sampling: { createMessage: {} } }),
  };
}

/** Whether a request of a server becomes a task when it asks for that. */
export function isTaskRequest(
  given: ClientFeatures | undefined,
  method: string,
  params: JsonObject,
): boolean {
  if (!isObject(params['task'])) return false;
  const [group = '', name = ''] = method.split('/');
  return isObject(object(taskRequests(given)[group])[name]);
}

/** Whether the caller can answer this request of a server. */
export function canAnswer(
  given: ClientFeatures | undefined,
  method: string,
  params: JsonObject,
): boolean {
  const features = featuresOf(given);
  switch (method) {
    case 'elicitation/create':
      return params['mode'] === 'url' ? features.elicitUrl : features.elicitForm;
    case 'sampling/createMessage':
      return features.sampling;
    case 'roots/list':
      return features.roots;
    default:
      return false;
  }
}

function object(value: unknown): JsonObject {
  return isObject(value) ? (value as JsonObject) : {};
}
