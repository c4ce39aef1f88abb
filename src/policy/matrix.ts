/**
 * Who may do what, as a table: callers × peers × tools. Tools that callers serve themselves, or that
 * are offered to us with a message, are not in it: they come and go with their callers.
 */
import type { Principal } from '../model/principal.ts';
import { decideCall, decideRead } from './call-decision.ts';
import { decideLend, type LendingRule, type LendQuestion } from './lending.ts';

/** A caller, or a group of callers that have the same rights. */
export interface MatrixCaller {
  readonly id: string;
  readonly kind: 'anonymous' | 'client' | 'organization' | 'issuer' | 'query';
  /** What is not known of a group is empty: rules that name it do not fit. */
  readonly principal: Principal;
}

/** A peer, with the names of its tools or skills. */
export interface MatrixPeer {
  readonly id: string;
  readonly tools: readonly string[];
}

/** Whether a tool of the peer may be lent to another. */
export interface MatrixLend {
  readonly to: string;
  readonly tool: string;
  readonly allowed: boolean;
  /** The rule that allows it: `lending[2]`. */
  readonly rule?: string;
}

/** What one caller may do at one peer, and with its tools. */
export interface Permission {
  readonly caller: string;
  readonly peer: string;
  readonly read: boolean;
  readonly call: boolean;
  /** The scope that allows the most, or the one that is missing. */
  readonly because: string;
  readonly lend: readonly MatrixLend[];
}

/** What the table is made of. */
export interface MatrixParts {
  readonly callers: readonly MatrixCaller[];
  /** Whose tools are looked at. */
  readonly peers: readonly MatrixPeer[];
  /** The ids of the peers that could be lent to. */
  readonly grantees: readonly string[];
  readonly rules: readonly LendingRule[];
  readonly ownOrganization: string;
  readonly asked: LendQuestion['asked'];
  /** Whether refusals to lend are in it too. */
  readonly refusals: boolean;
  /** How many decisions about lending are made at the most. */
  readonly most: number;
}

/** The table. `complete` is false where decisions about lending are missing. */
export interface Matrix {
  readonly permissions: readonly Permission[];
  readonly complete: boolean;
}

/** Makes the table. */
export function matrixOf(parts: MatrixParts): Matrix {
  const budget = { left: parts.most, complete: true };
  const permissions = parts.callers.flatMap((caller) =>
    parts.peers.map((peer) => permissionOf(caller, peer, { parts, budget })),
  );
  return { permissions, complete: budget.complete };
}

interface Making {
  readonly parts: MatrixParts;
  readonly budget: { left: number; complete: boolean };
}

function permissionOf(
  { id, principal }: MatrixCaller,
  peer: MatrixPeer,
  { parts, budget }: Making,
): Permission {
  const read = decideRead(principal, peer.id);
  const call = decideCall(principal, peer.id);
  const because = call.allowed
    ? call.scope
    : read.allowed
      ? `${read.scope}; to call it ${call.lacks} is missing`
      : `${read.lacks} is missing`;
  return {
    caller: id,
    peer: peer.id,
    read: read.allowed,
    call: call.allowed,
    because,
    // Who may not call a tool lends it to nobody: there is nothing to go through.
    lend: call.allowed || parts.refusals ? lendsOf(principal, peer, { parts, budget }) : [],
  };
}

function lendsOf(lender: Principal, peer: MatrixPeer, { parts, budget }: Making): MatrixLend[] {
  const { rules, ownOrganization, asked, grantees, refusals } = parts;
  const found: MatrixLend[] = [];
  for (const name of peer.tools) {
    for (const to of grantees) {
      if (budget.left === 0) {
        budget.complete = false;
        return found;
      }
      budget.left -= 1;
      const tool = { kind: 'peer', peer: peer.id, name } as const;
      const decision = decideLend({ rules, ownOrganization, lender, to, tool, asked });
      if (decision.allowed) {
        found.push({ to, tool: name, allowed: true, rule: decision.terms.rule });
      } else if (refusals) found.push({ to, tool: name, allowed: false });
    }
  }
  return found;
}
