import type { JsonObject } from '../model/json.ts';
import type { ClientFeatures, RpcOutcome } from '../model/mcp.ts';
import type { Principal } from '../model/principal.ts';
import type { OpenQuestion, Sending } from '../ports/peer.ts';

/** What the engine must remember of a task beside the A2A object. Stored as JSON. */
export interface TaskFacts {
  principal: Principal;
  questions: OpenQuestion[];
  usedKeys: string[];
  /** Ids of artifacts that grew by `append`. */
  chunked?: string[];
  /** A send whose outcome is not known yet. */
  sending?: Sending;
  outcome?: RpcOutcome;
  call?: { name: string; arguments: JsonObject };
  features?: ClientFeatures;
  extensions?: readonly string[];
  meta?: JsonObject;
  /**
   * A question of a callback was taken back, and whoever answers without a key has not heard of it:
   * what comes next may have been meant for that question.
   */
  takenBack?: true;
  /** The caller wants this work to stop; the peer may not have heard of it yet. */
  cancelRequested?: boolean;
}
