/**
 * The type of a result: a modern server says what it is, and may say only what its request allows.
 *
 * Spec: MCP 2026-07-28 basic "resultType", basic/patterns/mrtr "Supported Requests"; MCP Tasks
 * "Capability Negotiation"
 */
import type { JsonObject } from '../../model/json.ts';
import { offProtocol, type Stage } from './faults.ts';

const asking: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);

/** Throws `peer-protocol` for a result of a type that does not exist, or not for its request. */
export function checkResultType(
  peerId: string,
  stage: Stage,
  method: string,
  result: JsonObject,
): void {
  switch (result['resultType']) {
    // Spec: ibid.: a result without a type is complete
    case undefined:
    case 'complete':
      return;
    case 'input_required':
      if (asking.has(method)) return;
      throw offProtocol(peerId, stage, `it asks for input in answer to ${method}`);
    case 'task':
      if (method === 'tools/call') return;
      throw offProtocol(peerId, stage, `it made a task of ${method}`);
    default:
      throw offProtocol(peerId, stage, 'its result has a type that does not exist');
  }
}
