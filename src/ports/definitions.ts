/**
 * Definitions: what peers say that their tools, skills and prompts do, and what they say of
 * themselves. A model acts on these texts, so the gateway pins each by its hash when it first sees
 * it, and shows a later change only as the peer's policy allows.
 */
import type { AgentCard } from '../model/a2a.ts';
import type { JsonObject } from '../model/json.ts';
import type { Principal } from '../model/principal.ts';
import type { Catalogue } from './peer.ts';

/**
 * What can be pinned. `server` is what a peer says of itself; `extended-skill` a skill as an agent's
 * extended card has it, which need not agree with what everybody reads.
 */
export const definitionKinds = ['tool', 'skill', 'extended-skill', 'prompt', 'server'] as const;

/** See `definitionKinds`. */
export type DefinitionKind = (typeof definitionKinds)[number];

/** What happens when a definition is not the pinned one any more. */
export type DefinitionPolicy =
  | 'accept' // taken at once, and logged
  | 'review' // the pinned one is shown until somebody approves the new one
  | 'block'; // neither is shown, and calls are refused, until somebody approves

/** Names one definition. */
export interface DefinitionRef {
  readonly peer: string;
  readonly kind: DefinitionKind;
  readonly name: string;
}

/** A definition as it is pinned, and what the peer offers instead. */
export interface DefinitionPin extends DefinitionRef {
  /** SHA-256 of the canonical definition, base64url; null while none was ever approved. */
  readonly hash: string | null;
  readonly definition: JsonObject | null;
  /** When the name was first seen (ms). */
  readonly firstSeen: number;
  /**
   * `approved`: nothing waits. `pending`: another definition waits for a decision. `rejected`: the
   * other definition was refused; the peer's is withheld for as long as it offers that one.
   */
  readonly status: 'approved' | 'pending' | 'rejected';
  /** What the peer offers instead of the pinned definition. */
  readonly pending: {
    readonly hash: string;
    readonly definition: JsonObject;
    readonly seenAt: number;
  } | null;
  /** The last decision that somebody took. */
  readonly decided: { readonly by: string; readonly at: number } | null;
}

/** The pinned definitions of one peer, as its connector's wrapper asks for them. */
export interface PeerDefinitions {
  /**
   * The same for one caller, where the peer knows the callers and may offer each something else:
   * what it has told one of them is shown to no other. Elsewhere these very definitions.
   */
  of(principal: Principal): PeerDefinitions;
  /** Whether the peer has been looked at since the gateway started. */
  readonly observed: boolean;
  /** What may be shown of a catalogue. The same object while neither it nor a decision changed. */
  catalogue(raw: Catalogue): Catalogue;
  /**
   * What may be shown of a card. The same object while neither its content nor a decision changed.
   * One that says `allWithheld` has skills, of which none may be shown.
   */
  card(raw: AgentCard): AgentCard;
  /** The same of the card that an agent shows to who is authenticated. */
  extendedCard(raw: AgentCard): AgentCard;
  /** Whether a card that was looked at is shown as it is. */
  isWhole(raw: AgentCard): boolean;
  /** Why nothing of an agent may be called, as a text for the caller: all its skills are withheld. */
  silence(): string | undefined;
  /** Calls back after each decision that may change what is shown, until it is told to stop. */
  onDecision(listener: () => void): () => void;
  /** Why a call is refused, as a text for the caller; undefined lets it pass. */
  refusal(kind: 'tool' | 'skill' | 'prompt', name: string): string | undefined;
}
