interface StoredEvent<Message> {
  eventId: string;
  streamId: string;
  message: Message;
}

/**
 * Keeps the SSE events of one session in order, so that a stream can be resumed with
 * `Last-Event-ID`. Fits the event store of both MCP SDK generations.
 */
export class ReplayStore<Message extends object> {
  readonly #events: StoredEvent<Message>[] = [];

  async storeEvent(streamId: string, message: Message): Promise<string> {
    const eventId = `${streamId}:${this.#events.length}`;
    this.#events.push({ eventId, streamId, message });
    return eventId;
  }

  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: Message) => Promise<void> },
  ): Promise<string> {
    const at = this.#events.findIndex((event) => event.eventId === lastEventId);
    const last = this.#events[at];
    if (last === undefined) throw new Error(`Unknown event ${lastEventId}`);
    for (const event of this.#events.slice(at + 1)) {
      // A priming event is stored as an empty message and is not replayed.
      const real = event.streamId === last.streamId && Object.keys(event.message).length > 0;
      if (real) await send(event.eventId, event.message);
    }
    return last.streamId;
  }
}
