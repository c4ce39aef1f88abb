/** Why a channel is not, or no more, open; `isFinal` says that trying again would change nothing. */
export class LendError extends Error {
  readonly isFinal: boolean;

  constructor(message: string, { isFinal, cause }: { isFinal: boolean; cause?: unknown }) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'LendError';
    this.isFinal = isFinal;
  }
}
