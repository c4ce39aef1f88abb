/** What tests can change while the server runs; each request sees the state of its moment. */
export interface PeerContent {
  /** Extra tools, by name, that echo their name. */
  tools: Set<string>;
  /** Extra prompts, by name. */
  prompts: Set<string>;
  /** Text resources by URI. */
  notes: Map<string, string>;
}

/** The text resources of the legacy server, shared by all sessions: text by URI. */
export type Notes = Map<string, string>;
