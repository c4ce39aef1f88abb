/**
 * A request to an MCP server that may take several rounds, in the form in which a position keeps
 * it: everything that is needed to ask again, to answer, or to repeat it.
 */
import type { Part } from '../../model/a2a.ts';
import { isObject, type JsonObject } from '../../model/json.ts';
import type { InputRequest } from '../../model/mcp.ts';
import type { PeerEvent } from '../../ports/peer.ts';
import type { SessionName } from './conversation.ts';
import type { OpenCall } from './held-calls.ts';

/** A request that is under way. All members are JSON. */
export interface Work {
  readonly method: 'tools/call' | 'resources/read' | 'prompts/get';
  /** The request's params as the caller means them, without answers and state. */
  readonly params: JsonObject;
  /** Whether the operator said that repeating it is safe. */
  readonly idempotent: boolean;
  /** Asks for a 2025-11-25 task. */
  readonly asTask?: boolean;
  /** The server's state of the round before. */
  readonly requestState?: string;
  /** The answers that this round brings. */
  readonly inputResponses?: JsonObject;
  /** Links that the caller said it has opened, by their keys: not shown again while we wait. */
  readonly accepted?: string[];
  /** How many rounds have only waited, and since when (ms). */
  readonly waits?: { count: number; since: number };
}

/** Where work stands, as the engine stores it. */
export type Position =
  /** No tool was chosen yet: what was asked, and the tool whose arguments were wrong. */
  | { stage: 'choosing'; parts: Part[]; tool?: string }
  /** The request is on its way; a legacy server may give its stream back to a later process. */
  | ({ stage: 'open'; callId: string; work: Work; answers?: JsonObject } & OpenCall)
  /** The server asked, and waits for the next round. */
  | {
      stage: 'mrtr';
      work: Work;
      inputRequests: Record<string, InputRequest>;
      answers: JsonObject;
      /** The questions are the links of a -32042 error: the next round carries no answers. */
      links?: boolean;
    }
  /** The server made a task of it. */
  | {
      stage: 'task';
      era: 'modern' | 'legacy';
      taskId: string;
      work: Work;
      answers?: JsonObject;
      /** The questions that were open last (modern). */
      inputRequests?: Record<string, InputRequest>;
      /** The session that the task was made in (legacy). */
      session?: SessionName | undefined;
      /** The token of the call that became the task (legacy): its progress goes on under it. */
      progressToken?: string;
      /** The open `tasks/result` that carries questions (legacy). */
      callId?: string;
    };

/** A position as the engine gave it back, or `undefined` when it is none of ours. */
export function positionOf(json: JsonObject): Position | undefined {
  const { stage, work, taskId } = json;
  const hasWork = isObject(work) && typeof work['method'] === 'string' && isObject(work['params']);
  switch (stage) {
    case 'choosing':
      return Array.isArray(json['parts']) ? (json as unknown as Position) : undefined;
    case 'open':
      return hasWork && typeof json['callId'] === 'string'
        ? (json as unknown as Position)
        : undefined;
    case 'mrtr':
      return hasWork && isObject(json['inputRequests']) && isObject(json['answers'])
        ? (json as unknown as Position)
        : undefined;
    case 'task':
      return hasWork && typeof taskId === 'string' ? (json as unknown as Position) : undefined;
    default:
      return undefined;
  }
}

/** The event that tells the engine where the work stands. */
export function place(position: Position): PeerEvent {
  return { kind: 'position', position: position as unknown as JsonObject };
}

/** The params of the next round. Spec: MCP 2026-07-28 basic/patterns/mrtr "Client Requirements" */
export function sentParams(work: Work): JsonObject {
  return {
    ...work.params,
    ...(work.asTask === true && { task: {} }),
    ...(work.inputResponses !== undefined && { inputResponses: work.inputResponses }),
    ...(work.requestState !== undefined && { requestState: work.requestState }),
  };
}

/** The name of what was asked for: a tool, a prompt, a resource. */
export function workName(work: Work): string {
  const { name, uri } = work.params;
  return typeof name === 'string' ? name : typeof uri === 'string' ? uri : work.method;
}
