/**
 * Who may lend what to whom. Rules are the operator's, and tried in their order: the first that
 * fits decides, and the others have no say. Where none fits nothing is lent.
 */
import type { JsonObject } from '../model/json.ts';
import type { LeaseRequest } from '../model/lease.ts';
import { anonymous, ownerKey, type Principal } from '../model/principal.ts';
import { may, peerScope } from './permissions.ts';
import { matchesTool, matchesWord, toolText, type LendableTool } from './tool-pattern.ts';

/** Callers that a rule is for: those that fit every member that is given. */
export interface LenderPattern {
  /** Our own organization when absent. */
  readonly organization?: string | undefined;
  readonly subject?: string | undefined;
  readonly client?: string | undefined;
}

/** A rule of the section `lending`, with its defaults filled in. */
export interface LendingRule {
  /** The peer that is lent to: an id, or a pattern with `*` at its end. */
  readonly to: string;
  /** Patterns of tools. */
  readonly tools: readonly string[];
  /** Whose callers lend by it; all of our own organization when absent. */
  readonly from?: readonly LenderPattern[];
  /** JSON Schemas that the arguments of a call have to fit, by pattern. */
  readonly arguments: Readonly<Record<string, JsonObject>>;
  readonly maxCalls: number;
  /** Bounds of single tools, by pattern. */
  readonly maxCallsPerTool: Readonly<Record<string, number>>;
  /** In milliseconds. */
  readonly ttl: number;
  readonly depth: number;
  /** `always`: a person approves each call. */
  readonly approval: 'never' | 'always';
  /** `always`: with each call of that peer. `request`: where the caller asks for it. */
  readonly offer: 'always' | 'request';
}

/** Under which terms a tool is lent. */
export interface LendingTerms {
  /** JSON Schemas, all of which the arguments of a call have to fit. */
  readonly arguments: readonly JsonObject[];
  /** Calls of all tools together. */
  readonly maxCalls: number;
  /** Calls of this tool; no bound but `maxCalls` when absent. */
  readonly maxCallsPerTool?: number;
  readonly ttlMs: number;
  readonly depth: number;
  /** Whether a person approves each call. */
  readonly approval: boolean;
  /** The rule that allows it: `lending[2]`. */
  readonly rule: string;
}

/** Whether a caller may lend a tool to a peer. */
export interface LendQuestion {
  readonly rules: readonly LendingRule[];
  /** `gateway.organization.id`. */
  readonly ownOrganization: string;
  readonly lender: Principal;
  /** The id of the peer that would be lent to. */
  readonly to: string;
  readonly tool: LendableTool;
  /** By a standing rule, or because the caller asks for it. */
  readonly asked: 'standing' | 'request';
}

/** The answer. A refusal says what stands in the way. */
export type LendDecision =
  | { readonly allowed: true; readonly terms: LendingTerms }
  | { readonly allowed: false; readonly reason: string };

/** Something in a rule that does not fit. */
export interface Misfit {
  readonly member: 'to' | 'tools' | 'from' | 'offer';
  readonly why: string;
}

/** A rule that would have allowed it but for one thing. */
export interface NearMiss extends Misfit {
  /** `lending[2]` */
  readonly rule: string;
}

/** Decides whether a caller may lend a tool to a peer, and under which terms. */
export function decideLend(question: LendQuestion): LendDecision {
  const { rules, lender, to, tool } = question;
  if (tool.kind === 'peer' && !may(lender, 'call', tool.peer)) {
    const scope = peerScope(tool.peer, 'call');
    const reason = `The caller may not call ${toolText(tool)} itself: it lacks the scope "${scope}".`;
    return { allowed: false, reason };
  }
  const index = rules.findIndex((rule) => conditions.every(({ fits }) => fits(rule, question)));
  const rule = rules[index];
  if (rule === undefined) {
    const reason =
      rules.length === 0
        ? 'There is no rule for lending, and without one nothing is lent.'
        : `No rule lends ${toolText(tool)} to ${to} for this caller.`;
    return { allowed: false, reason };
  }
  return { allowed: true, terms: termsOf(rule, ruleName(index), tool) };
}

/** The rules that would have allowed it but for one thing, and that thing. */
export function nearMisses(question: LendQuestion): NearMiss[] {
  return question.rules.flatMap((rule, index) => {
    const [first, ...more] = conditions.filter(({ fits }) => !fits(rule, question));
    if (first === undefined || more.length > 0) return [];
    return [{ rule: ruleName(index), member: first.member, why: first.otherwise(rule) }];
  });
}

/**
 * The terms of a tool that a caller asks to lend. A request only narrows: the smaller bounds count,
 * the schemas of both, and an approval that either of them wants.
 */
export function narrow(
  terms: LendingTerms,
  request: LeaseRequest,
  tool: LendableTool,
): LendingTerms {
  const asked = <T>(entries: Readonly<Record<string, T>> = {}): T[] =>
    valuesFor(entries, (pattern) => names(pattern, request, tool));
  const perTool = [
    ...(terms.maxCallsPerTool === undefined ? [] : [terms.maxCallsPerTool]),
    ...asked(request.max_calls_per_tool),
  ];
  return {
    arguments: [...terms.arguments, ...asked(request.arguments)],
    maxCalls: Math.min(terms.maxCalls, request.max_calls ?? terms.maxCalls),
    ...(perTool.length > 0 && { maxCallsPerTool: Math.min(...perTool) }),
    ttlMs: Math.min(terms.ttlMs, (request.expires_in ?? Infinity) * 1000),
    depth: Math.min(terms.depth, request.depth ?? terms.depth),
    approval: terms.approval || request.approval === 'always',
    rule: terms.rule,
  };
}

/** Whether a request asks for a tool. */
export function asksFor(request: LeaseRequest, tool: LendableTool): boolean {
  return request.tools.some((pattern) => names(pattern, request, tool));
}

/** A request that lends on names tools as the parent lease does, without a peer. */
function names(pattern: string, { parent }: LeaseRequest, tool: LendableTool): boolean {
  return parent === undefined ? matchesTool(pattern, tool) : matchesWord(pattern, tool.name);
}

/** What has to fit for a rule to count: the members that most rules fail at come first. */
const conditions: readonly {
  readonly member: Misfit['member'];
  readonly fits: (rule: LendingRule, question: LendQuestion) => boolean;
  readonly otherwise: (rule: LendingRule) => string;
}[] = [
  {
    member: 'to',
    fits: (rule, { to }) => matchesWord(rule.to, to),
    otherwise: ({ to }) => `it lends to ${to}`,
  },
  {
    member: 'offer',
    fits: ({ offer }, { asked }) => offer === 'always' || asked === 'request',
    otherwise: () => 'it lends only where the caller asks for it',
  },
  {
    member: 'from',
    fits: (rule, { lender, ownOrganization }) => isLender(rule, lender, ownOrganization),
    otherwise: ({ from }) =>
      `it is for ${from?.map(lenderText).join(', or ') ?? 'callers of our own organization'}`,
  },
  {
    member: 'tools',
    fits: ({ tools }, { tool }) => tools.some((pattern) => matchesTool(pattern, tool)),
    otherwise: ({ tools }) => `it lends ${tools.join(', ')}`,
  },
];

/**
 * Whether a rule is for a caller. A subject or a client is a name within an organization: without
 * one it is ours, so that nobody else's namesake lends.
 */
function isLender({ from = [{}] }: LendingRule, lender: Principal, own: string): boolean {
  const isOurs = lender.organization === own || ownerKey(lender) === ownerKey(anonymous);
  return from.some(({ organization, subject, client }) => {
    const isHome = organization === undefined || organization === own;
    return (
      (isHome ? isOurs : lender.organization === organization) &&
      (subject === undefined || lender.subject === subject) &&
      (client === undefined || lender.client === client)
    );
  });
}

function lenderText({ organization, subject, client }: LenderPattern): string {
  return [
    ...(subject === undefined ? [] : [`the subject ${subject}`]),
    ...(client === undefined ? [] : [`the client ${client}`]),
    `callers of ${organization ?? 'our own organization'}`,
  ].join(' among ');
}

function termsOf(rule: LendingRule, name: string, tool: LendableTool): LendingTerms {
  const matches = (pattern: string) => matchesTool(pattern, tool);
  const perTool = valuesFor(rule.maxCallsPerTool, matches);
  return {
    arguments: valuesFor(rule.arguments, matches),
    maxCalls: rule.maxCalls,
    ...(perTool.length > 0 && { maxCallsPerTool: Math.min(...perTool) }),
    ttlMs: rule.ttl,
    depth: rule.depth,
    approval: rule.approval === 'always',
    rule: name,
  };
}

function valuesFor<T>(
  entries: Readonly<Record<string, T>>,
  matches: (pattern: string) => boolean,
): T[] {
  return Object.entries(entries).flatMap(([pattern, value]) => (matches(pattern) ? [value] : []));
}

function ruleName(index: number): string {
  return `lending[${index}]`;
}
