/**
 * What one turn of a peer may add to a task. Everything that is added is kept, told to every reader
 * and looked through again: without bounds a peer could fill the disk and hold everybody up.
 */
import type { Message, Part } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import type { PeerEvent } from '../ports/peer.ts';
import { shownPeer } from './failure.ts';

const mostArtifacts = 1000;
const mostMessages = 10_000;
const mostEvents = 100_000;
const mostCharacters = 128 * 1024 * 1024;

/** Counts the events of one turn. */
export class TaskBounds {
  readonly #peerId: string;
  readonly #artifacts = new Set<string>();
  #messages = 0;
  #events = 0;
  #characters = 0;

  constructor(peerId: string) {
    this.#peerId = peerId;
  }

  /** Counts an event; throws `peer-protocol` when it is one too many. */
  add(event: PeerEvent): void {
    this.#events += 1;
    this.#keep(this.#events <= mostEvents, `more than ${mostEvents} events`);
    if (event.kind === 'artifact') {
      const { artifactId, parts } = event.artifact;
      this.#artifacts.add(artifactId);
      this.#keep(this.#artifacts.size <= mostArtifacts, `more than ${mostArtifacts} artifacts`);
      this.#weigh(parts);
      return;
    }
    const message = messageOf(event);
    if (message === undefined) return;
    this.#messages += 1;
    this.#keep(this.#messages <= mostMessages, `more than ${mostMessages} messages`);
    this.#weigh(message.parts);
  }

  #weigh(parts: readonly Part[]): void {
    for (const { text, raw, url, data } of parts) {
      this.#characters += (text ?? raw ?? url ?? '').length;
      if (typeof data === 'object' && data !== null) {
        const json = written(data);
        this.#keep(json !== undefined, 'data that is nested too deeply');
        this.#characters += json?.length ?? 0;
      }
    }
    this.#keep(this.#characters <= mostCharacters, `more than ${mostCharacters} characters`);
  }

  #keep(kept: boolean, what: string): void {
    if (kept) return;
    throw new GatewayError(
      'peer-protocol',
      `${shownPeer(this.#peerId)} sent ${what} for one task.`,
      {
        facts: { peer: this.#peerId },
      },
    );
  }
}

function messageOf(event: PeerEvent): Pick<Message, 'parts'> | undefined {
  return event.kind === 'status' || event.kind === 'history' || event.kind === 'message'
    ? event.message
    : undefined;
}

/** A value as JSON; undefined where it is nested deeper than the stack. */
function written(value: object): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
