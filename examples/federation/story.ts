/** The sequence on the terminal: facts of many processes, in the order of their times. */

/** Something that has happened. */
export interface Fact {
  readonly event: string;
  readonly [name: string]: unknown;
}

/** How a fact reads: who did something to whom, by what, and what it was. */
export interface Line {
  readonly from: string;
  readonly to?: string;
  readonly by: string;
  readonly what: string;
}

/** So long a fact waits for earlier ones of other processes (ms). */
const waitMs = 400;

/** See the file comment. */
export class Story {
  readonly #print: (line: string) => void;
  readonly #began = Date.now();
  #waiting: { readonly at: number; readonly line: Line }[] = [];
  #count = 0;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  add(at: number, line: Line): void {
    this.#waiting.push({ at, line });
  }

  /** Prints what has waited long enough; with `all` everything. */
  tell({ all = false, now = Date.now() } = {}): void {
    const ready = this.#waiting.filter(({ at }) => all || at <= now - waitMs);
    this.#waiting = this.#waiting.filter((one) => !ready.includes(one));
    for (const { at, line } of ready.toSorted((a, b) => a.at - b.at)) {
      const { from, to, by, what } = line;
      this.#count += 1;
      const seconds = ((at - this.#began) / 1000).toFixed(2).padStart(6);
      const who = to === undefined ? from : `${from} → ${to}`;
      this.#print(
        `${`${this.#count}`.padStart(3)} ${seconds}  ${who.padEnd(24)} ${by.padEnd(10)} ${what}`,
      );
    }
  }
}
