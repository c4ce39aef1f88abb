/**
 * `isthmus policy explain`: what the policy decides, and which rule made it so. It reads the
 * configuration and asks nobody.
 */
import type { Config } from './config/schema.ts';
import { reservedPeerIds } from './config/peer.ts';
import type { JsonObject } from './model/json.ts';
import { callerNamed, callerUnnamed, type AssumedCaller } from './policy-callers.ts';
import { decideCall } from './policy/call-decision.ts';
import {
  decideLend,
  nearMisses,
  type LendDecision,
  type LendingTerms,
  type LendQuestion,
  type NearMiss,
} from './policy/lending.ts';
import { scopePattern } from './policy/permissions.ts';
import { toolText, type LendableTool } from './policy/tool-pattern.ts';
import { isPeerPattern, lendingWords, patternParts } from './translate/tool-pattern-shape.ts';

/** How the command is called. */
export const policyUsage =
  'isthmus policy explain --from WHO --to PEER --tool PEER/TOOL [--scopes "…"] [--request] [--config FILE] [--json]';

/** What stands on the command line. */
export interface PolicyFlags {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly tool?: string | undefined;
  readonly scopes?: string | undefined;
  readonly request: boolean;
  readonly json: boolean;
}

/** Where the configuration is and where the lines go. */
export interface PolicyCommandPlace {
  /** Undefined where it is none, which has been said then. */
  readonly config: () => Config | undefined;
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
}

/** Runs it. Returns 0 where lending is allowed, 1 where it is refused, 2 where nothing is decided. */
export function policyCommand(
  words: readonly string[],
  flags: PolicyFlags,
  place: PolicyCommandPlace,
): number {
  const refuse = (mistake: string): number => {
    place.err(`isthmus: ${mistake}\n\nUsage: ${policyUsage}`);
    return 2;
  };
  const [action, ...more] = words;
  if (action === undefined) return refuse('policy needs to know what to do');
  if (action !== 'explain') return refuse(`policy cannot "${action}"`);
  if (more.length > 0) return refuse(`policy explain takes no argument "${more.join(' ')}"`);
  const asked = askedBy(flags);
  if ('mistake' in asked) return refuse(asked.mistake);
  const config = place.config();
  if (config === undefined) return 2;
  if (asked.who === undefined && config.auth.mode === 'oauth') {
    return refuse('with auth.mode oauth nobody is anonymous; --from needs organization/subject');
  }
  const explained = explain(asked, config);
  if (flags.json) place.out(JSON.stringify(asJson(explained), null, 2));
  else for (const line of asLines(explained)) place.out(line);
  return explained.lend.allowed ? 0 : 1;
}

interface Asked {
  /** Undefined is the anonymous caller. */
  readonly who: { organization: string; subject: string; client?: string } | undefined;
  readonly to: string;
  readonly tool: LendableTool;
  readonly scopes: readonly string[] | undefined;
  readonly asked: LendQuestion['asked'];
}

function askedBy({ from, to, tool, scopes, request }: PolicyFlags): Asked | { mistake: string } {
  if (from === undefined) return { mistake: '--from needs organization/subject or anonymous' };
  const who = from === 'anonymous' ? undefined : whoIn(from);
  if (who === null) {
    return {
      mistake: '--from needs organization/subject, organization/subject@client or anonymous',
    };
  }
  if (to === undefined || !isPeerPattern(to) || to.endsWith('*') || isReserved(to)) {
    return { mistake: '--to needs the id of a peer' };
  }
  const parts = tool === undefined ? undefined : patternParts(tool);
  if (parts === undefined || tool?.includes('*') === true) {
    return { mistake: '--tool needs one tool, such as files/read_file, own/read_file' };
  }
  const list = scopes?.split(/[ ,]+/).filter((scope) => scope !== '');
  if (list?.some((scope) => !scopePattern.test(scope)) === true) {
    return { mistake: '--scopes needs scopes such as peer:files:call, with spaces between' };
  }
  const kind = lendingWords.find((word) => word === parts.peer) ?? 'peer';
  return {
    who,
    to,
    tool: { kind, peer: parts.peer, name: parts.name },
    scopes: list,
    asked: request ? 'request' : 'standing',
  };
}

/** A subject may hold "@": what stands behind the last one is the client, also where it is empty. */
function whoIn(text: string): NonNullable<Asked['who']> | null {
  const [, organization, rest] = /^([a-z0-9-]{1,63})\/(.+)$/s.exec(text) ?? [];
  if (organization === undefined || rest === undefined) return null;
  const at = rest.lastIndexOf('@');
  if (at < 0) return { organization, subject: rest };
  const [subject, client] = [rest.slice(0, at), rest.slice(at + 1)];
  if (subject === '') return null;
  return { organization, subject, ...(client !== '' && { client }) };
}

function isReserved(id: string): boolean {
  return reservedPeerIds.some((reserved) => reserved === id);
}

interface Explained extends Asked, AssumedCaller {
  readonly call: { readonly allowed: boolean; readonly because: string };
  readonly lend: LendDecision;
  /** The rule that only the right to call the tool is missing for. */
  readonly wouldLend?: string;
  readonly near: readonly NearMiss[];
  /** Ids that the configuration does not have. */
  readonly unknown: readonly string[];
}

function explain(asked: Asked, config: Config): Explained {
  const { who, to, tool, scopes } = asked;
  const caller =
    who === undefined ? callerUnnamed(scopes) : callerNamed({ ...who, scopes }, config);
  const question: LendQuestion = {
    rules: config.lending,
    ownOrganization: config.gateway.organization.id,
    lender: caller.principal,
    to,
    tool,
    asked: asked.asked,
  };
  const call = callOf(caller, tool);
  const lend = decideLend(question);
  const lender = { ...caller.principal, scopes: ['peer:*:call'] };
  const would = call.allowed ? undefined : decideLend({ ...question, lender });
  const ids = [to, ...(tool.kind === 'peer' ? [tool.peer] : [])];
  const known = new Set(config.peers.map(({ id }) => id));
  return {
    ...asked,
    ...caller,
    call,
    lend,
    ...(would?.allowed === true && { wouldLend: would.terms.rule }),
    near: lend.allowed ? [] : nearMisses(question),
    unknown: [...new Set(ids)].filter((id) => !known.has(id)),
  };
}

function callOf({ principal }: AssumedCaller, tool: LendableTool): Explained['call'] {
  if (tool.kind === 'own') {
    return { allowed: true, because: 'the caller serves it itself; that needs no scope' };
  }
  if (tool.kind === 'offered') {
    return { allowed: true, because: 'it was lent to the caller; that needs no scope' };
  }
  const decision = decideCall(principal, tool.peer, tool.name);
  return decision.allowed
    ? { allowed: true, because: `by the scope "${decision.scope}"` }
    : { allowed: false, because: decision.reason };
}

function asJson(explained: Explained): JsonObject {
  const { principal, scopesFrom, to, tool, asked, call, lend, wouldLend, near, unknown } =
    explained;
  const { organization, subject, client, scopes } = principal;
  return {
    caller: { organization, subject, client, scopes: [...scopes], scopesFrom },
    to,
    tool: toolText(tool),
    asked,
    call: { ...call },
    lend: lend.allowed
      ? { allowed: true, ...lend.terms, arguments: [...lend.terms.arguments] }
      : {
          allowed: false,
          reason: lend.reason,
          ...(wouldLend !== undefined && { wouldLend }),
          near: near.map((one) => ({ ...one })),
        },
    unknownPeers: [...unknown],
  };
}

function asLines(explained: Explained): string[] {
  const { principal, scopesFrom, to, tool, asked, call, lend, wouldLend, near, unknown } =
    explained;
  const { organization, subject, client, scopes } = principal;
  const through =
    client === '' ? 'through a client that is not named' : `through the client ${client}`;
  const text = toolText(tool);
  const has = scopes.length === 0 ? 'no scopes' : scopes.join(' ');
  const next = (line: string): string => `         ${line}`;
  return [
    `Caller   ${subject} of ${organization}, ${through}`,
    next(`${has} (${scopesFrom})`),
    ...unknown.map((id) => next(`"${id}" is no peer of this configuration`)),
    call.allowed
      ? `Call     allowed: ${text}, ${call.because}`
      : `Call     refused: ${call.because}`,
    ...(lend.allowed
      ? [
          `Lend     allowed: ${text} to ${to}, by ${lend.terms.rule}, the first rule that fits`,
          ...termsInWords(lend.terms).map(next),
        ]
      : [
          `Lend     refused: ${lend.reason}`,
          ...(wouldLend === undefined ? [] : [next(`${wouldLend} would lend it otherwise`)]),
          ...near.map(({ rule, why }) => next(`${rule} nearly fits, but ${why}`)),
          ...(near.some(({ member }) => member === 'offer') && asked === 'standing'
            ? [next('--request shows what a caller gets who asks')]
            : []),
        ]),
  ];
}

function termsInWords(terms: LendingTerms): string[] {
  const { maxCalls, maxCallsPerTool: own, ttlMs, depth, approval, arguments: schemas } = terms;
  const of = own === undefined ? '' : `, ${times(own)} of this tool`;
  return [
    `at most ${times(maxCalls)}${of}, for ${timeText(ttlMs)} at the longest`,
    depth === 0 ? 'it may not be lent on' : `it may be lent on, ${depth} deep`,
    approval ? 'a person approves each call' : 'nobody is asked about a call',
    ...schemas.map((schema) => `its arguments have to fit ${JSON.stringify(schema)}`),
  ];
}

function times(count: number): string {
  return count === 1 ? '1 call' : `${count} calls`;
}

function timeText(ms: number): string {
  const units = [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const;
  const [unit, size] = units.find(([, one]) => ms % one === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}
