/** Where the A2A face tells the operator what happened. */
export interface A2aFaceLog {
  /** A fault that nobody foresaw: the caller saw "internal error", the reason belongs in the log. */
  fault(error: unknown, facts: { peer: string; method?: string }): void;
  /** A stream was opened; the result is called once when it has ended. */
  streamOpened(): () => void;
  /** A reader took nothing for too long, or let too much pile up, and was disconnected. */
  readerStalled(queuedBytes: number): void;
  /** A business fact: `a2a.card_unavailable`, `a2a.card_not_verbatim`. */
  event(name: string, facts: Record<string, unknown>): void;
}
