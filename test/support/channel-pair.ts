import type { Channel } from '../../src/ports/channel.ts';

/** Both ends of a channel that never leaves this process. */
export interface ChannelPair {
  readonly channel: Channel;
  /** What was sent into it. */
  readonly sent: string[];
  /** The code that it was closed with. */
  readonly code: number | undefined;
  /** Sends a message from the other end. */
  say(text: string): void;
  /** Hears what comes at the other end. */
  onSent: (text: string) => void;
  /** Ends it at the other end. */
  end(): void;
}

/** Makes one. Messages arrive in a later turn, as over a network. */
export function channelPair(): ChannelPair {
  let ears: Parameters<Channel['listen']>[0] | undefined;
  let isOpen = true;
  const end = (): void => {
    if (!isOpen) return;
    isOpen = false;
    setImmediate(() => ears?.closed());
  };
  const pair = {
    sent: [] as string[],
    code: undefined as number | undefined,
    onSent: (_text: string): void => {},
    say: (text: string) => void setImmediate(() => isOpen && ears?.message(text)),
    end,
    channel: {
      send(text: string) {
        if (!isOpen) return false;
        pair.sent.push(text);
        setImmediate(() => pair.onSent(text));
        return true;
      },
      listen(given: NonNullable<typeof ears>) {
        ears = given;
      },
      close(code: number) {
        if (isOpen) pair.code = code;
        end();
      },
    },
  };
  return pair;
}
