/**
 * What each method of MCP does, for permissions: a method that is not here counts as a call.
 * `tools/call` is one even where the tool only looks at a task: whoever calls has them done.
 */
import type { Action } from '../policy/permissions.ts';

/** Every method that is served, of all revisions. */
export const methodActions: Readonly<Record<string, Action>> = {
  initialize: 'read',
  'server/discover': 'read',
  ping: 'read',
  'tools/list': 'read',
  'tools/call': 'call',
  'prompts/list': 'read',
  'prompts/get': 'read',
  'resources/list': 'read',
  'resources/templates/list': 'read',
  'resources/read': 'read',
  'resources/subscribe': 'read',
  'resources/unsubscribe': 'read',
  'completion/complete': 'read',
  'logging/setLevel': 'read',
  'subscriptions/listen': 'read',
  'tasks/get': 'read',
  'tasks/list': 'read',
  'tasks/result': 'read',
  'tasks/update': 'call',
  'tasks/cancel': 'call',
};

/** The action of a method. */
export function actionOf(method: string): Action {
  return Object.hasOwn(methodActions, method) ? (methodActions[method] ?? 'call') : 'call';
}
