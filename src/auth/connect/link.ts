/** What the sealed id of a link to the connect page names: a task's question, or a wish for consent. */
import { isObject, type JsonObject } from '../../model/json.ts';
import type { Seal } from '../../ports/seal.ts';

/** The use that links are sealed for. */
const use = 'connect';

/** What a link leads to. */
export type ConnectLink =
  | { readonly kind: 'task'; readonly taskId: string; readonly peerId: string }
  | { readonly kind: 'request'; readonly request: string };

/** The id of a link to a wish for consent. */
export function linkText(seal: Pick<Seal, 'sealStable'>, facts: { request: string }): string {
  return seal.sealStable(JSON.stringify(facts), use);
}

/** What an id names; undefined when it was not made here. */
export function openLink(seal: Pick<Seal, 'openStable'>, id: string): ConnectLink | undefined {
  const opened: unknown = JSON.parse(seal.openStable(id, use) ?? 'null');
  const { taskId, peerId, request }: JsonObject = isObject(opened) ? (opened as JsonObject) : {};
  if (typeof request === 'string') return { kind: 'request', request };
  if (typeof taskId === 'string' && typeof peerId === 'string') {
    return { kind: 'task', taskId, peerId };
  }
  return undefined;
}
