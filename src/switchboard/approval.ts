/**
 * Asks the lender's caller whether a call may be made. What is allowed for a task is remembered for
 * as long as its lease lives in this process: after a restart it is asked again.
 *
 * Spec: MCP 2026-07-28 client/elicitation (form mode)
 */
import { LRUCache } from 'lru-cache';
import { isObject, type JsonObject } from '../model/json.ts';
import type { InputRequest } from '../model/mcp.ts';
import { ownerKey } from '../model/principal.ts';
import type { AuditLog } from '../ports/audit.ts';
import type { Lease, LentTool } from '../ports/leases.ts';
import { toolText } from './lendable.ts';
import { argumentsDigest } from './lease-book.ts';
import type { QuestionDesk } from './question-desk.ts';
import { RefusedCallError } from './refused-call.ts';

const decisions = ['allow once', 'allow for this task', 'refuse'] as const;

/** So many "for this task" are remembered. */
const remembered = 10_000;

/** The longest text that stands for arguments in a question. */
const shownArguments = 4000;

/** See the file comment. */
export class Approvals {
  readonly #desk: QuestionDesk;
  readonly #audit: AuditLog;
  readonly #allowed = new LRUCache<string, true>({ max: remembered });

  constructor({ desk, audit }: { desk: QuestionDesk; audit: AuditLog }) {
    this.#desk = desk;
    this.#audit = audit;
  }

  /** Returns when a person has allowed the call. Throws `forbidden` when they have not. */
  async approve(
    lease: Lease,
    tool: LentTool,
    call: {
      arguments: JsonObject;
      signal: AbortSignal;
      /** Who has the tool from whom, down to whoever calls it: the grantees below this lease's. */
      below: readonly Lease['grantee'][];
      trace?: string;
    },
  ): Promise<void> {
    const holders = [lease.grantee, ...call.below];
    // What a person has allowed one agent is not allowed to those that it lends on to.
    const place = JSON.stringify([lease.id, tool.peer, tool.own, holders.map(holderKey)]);
    if (this.#allowed.has(place)) return;
    const { signal, trace } = call;
    const about = {
      lease: lease.id,
      owner: ownerKey(lease.lender),
      peer: tool.peer,
      tool: tool.own,
      ...(lease.task !== undefined && { task: lease.task }),
      ...(trace !== undefined && { trace }),
    };
    const digest = argumentsDigest(call.arguments);
    await this.#audit.append({ ...about, kind: 'approval.asked', facts: { arguments: digest } });
    let decision = 'nobody answered';
    try {
      const request = questionFor(holders, tool, call.arguments);
      decision = decisionIn(await this.#desk.ask(lease.task, { request }, signal));
    } finally {
      await this.#audit.append({ ...about, kind: 'approval.decided', facts: { decision } });
    }
    if (decision === 'allow for this task') this.#allowed.set(place, true);
    if (decision === 'allow for this task' || decision === 'allow once') return;
    throw new RefusedCallError(
      'forbidden',
      'The person who lent this tool did not allow the call. Go on without it, or ask for something else.',
    );
  }
}

function holderKey({ organization, client, peer }: Lease['grantee']): (string | undefined)[] {
  return [organization, client, peer];
}

function questionFor(
  holders: readonly Lease['grantee'][],
  tool: LentTool,
  args: JsonObject,
): InputRequest {
  const shown = shownTo(args);
  const [caller, ...between] = holders.map(({ peer }) => `"${peer}"`).toReversed();
  const through = between.length === 0 ? '' : ` (through ${between.join(', ')})`;
  return {
    method: 'elicitation/create',
    params: {
      mode: 'form',
      message: `${caller}${through} wants to call ${toolText(tool)} with ${shown}. Allow it?`,
      requestedSchema: {
        type: 'object',
        properties: {
          decision: { type: 'string', title: 'Decision', enum: [...decisions] },
        },
        required: ['decision'],
      },
    },
  };
}

/** Arguments as a person decides about them: nothing in them is hidden, and what is cut is said. */
function shownTo(args: JsonObject): string {
  const text = JSON.stringify(args).replace(hidden, (character) =>
    Array.from({ length: character.length }, (_, at) => escapeOf(character, at)).join(''),
  );
  if (text.length <= shownArguments) return text;
  const more = text.length - shownArguments;
  return `${text.slice(0, shownArguments)}… (${more} more characters, SHA-256 of all ${argumentsDigest(args)})`;
}

/** Characters that do not show, or make others show elsewhere. */
const hidden = /\p{Cc}|\p{Cf}|\p{Co}|\p{Cs}|\p{Zl}|\p{Zp}|\p{Default_Ignorable_Code_Point}/gu;

function escapeOf(text: string, at: number): string {
  return `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`;
}

/** Anything but a clear permission is none. */
function decisionIn({ action, content }: JsonObject): string {
  const decision = isObject(content) ? content['decision'] : undefined;
  if (action !== 'accept') return 'refuse';
  return decisions.find((one) => one === decision) ?? 'refuse';
}
