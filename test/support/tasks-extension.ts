import { isRecord } from './call-ledger.ts';

/** The identifier of the Tasks extension. */
export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';

/** Whether these client capabilities name the extension. */
export function hasTasksExtension(capabilities: unknown): boolean {
  if (!isRecord(capabilities) || !isRecord(capabilities.extensions)) return false;
  return Object.hasOwn(capabilities.extensions, TASKS_EXTENSION);
}
