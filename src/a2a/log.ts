/** Where the A2A face tells the operator what happened. */
export interface A2aFaceLog {
  /** A fault that nobody foresaw: the caller saw "internal error", the reason belongs in the log. */
  fault(error: unknown, facts: { peer: string; method?: string }): void;
  /** A business fact: `a2a.reader_stalled`, `a2a.card_unavailable`. */
  event(name: string, facts: Record<string, unknown>): void;
}
