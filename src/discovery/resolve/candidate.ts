/** What looking for a peer brings to light. */
import type { AgentCard } from '../../model/a2a.ts';
import { plainText, shortened } from '../../translate/plain-text.ts';

/** One way to speak to a peer. */
export interface Way {
  readonly url: string;
  /** JSONRPC, HTTP+JSON, streamable-http; or whatever the document says. */
  readonly binding: string;
  /** The protocol version; empty where only a connection will tell. */
  readonly version: string;
}

/** A peer that was found, whether it can be used or not. */
export interface Candidate {
  readonly kind: 'a2a' | 'mcp';
  /** What a configuration names: an agent's card, a server's endpoint. */
  readonly url: string;
  /** Why it cannot be used. Absent when it can. */
  readonly problem?: string;
  /** As it may be shown: short, without invisible characters. */
  readonly name: string;
  readonly description: string;
  /** The version that the peer itself names. */
  readonly version: string;
  /** The agent's card as it was read. */
  readonly card?: AgentCard;
  /** The text of the card, where it was fetched by itself: what signatures are over. */
  readonly raw?: string;
  /** How many skills the card names. Server cards never name tools. */
  readonly skills?: number;
  readonly speaks?: Way & { readonly why: string };
  readonly alternatives: readonly (Way & { readonly whyNot: string })[];
  readonly warnings: readonly string[];
  /** The documents that led here, the first asked first. */
  readonly foundAt: readonly string[];
}

/** One thing that was asked or read. */
export interface Step {
  /** A URL; inside a document with the JSON pointer after `#`. */
  readonly asked: string;
  /** Why it was asked. */
  readonly why: string;
  /** `read`: a document that leads on; `nothing`: none is there; `refused`: one that is not used. */
  readonly outcome: 'read' | 'nothing' | 'refused';
  /** What came back, in words. */
  readonly found: string;
  readonly ms: number;
}

/** Everything that is known about a URL after looking. */
export interface Resolution {
  readonly target: string;
  readonly steps: readonly Step[];
  readonly candidates: readonly Candidate[];
  /** The one to use, and why that one. */
  readonly best?: Candidate;
  readonly bestWhy?: string;
  /** What was found instead, and what can be done. Absent when there is a best one. */
  readonly problem?: string;
}

/** Bounds of one resolution. Milliseconds and bytes. */
export interface ResolveLimits {
  /** The largest document. */
  readonly documentBytes: number;
  /** One document. */
  readonly requestMs: number;
  /** The whole resolution. */
  readonly totalMs: number;
  readonly requests: number;
  /** Catalogs inside catalogs; the first counts. Spec: AI Catalog "Nested Catalog Entries": 4 */
  readonly depth: number;
  readonly candidates: number;
}

/** Bounds that fit a person who waits. */
export const defaultResolveLimits: ResolveLimits = {
  documentBytes: 1024 * 1024,
  requestMs: 10_000,
  totalMs: 30_000,
  requests: 40,
  depth: 4,
  candidates: 200,
};

/** A word of somebody else's document as it may be shown in a line. */
export function shown(text: string, max = 100): string {
  // No more is looked at than can be shown: a description may be a megabyte.
  return shortened(plainText(text.slice(0, max * 8)).toWellFormed(), max);
}

/** What speaks against a URL, whoever names it; it completes "its URL …". */
export function urlProblem(url: URL): string | undefined {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'is neither http nor https';
  if (url.username !== '' || url.password !== '') return 'has a user name or password in it';
  return undefined;
}

/** What a reader should know about where a peer is. */
export function placeWarnings(url: URL, namedAt: URL): string[] {
  const warnings: string[] = [];
  if (url.origin !== namedAt.origin) {
    warnings.push(
      `it is at ${url.origin}, and ${namedAt.origin} only names it: check that both belong together; credentials for one never go to the other`,
    );
  }
  if (url.protocol === 'http:' && !isLoopback(url)) {
    warnings.push('it is reached over http: anybody on the way can read and change what is said');
  }
  return warnings;
}

function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}
