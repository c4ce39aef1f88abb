/**
 * The members of a group through which objects pass by the thousand. Unlike a `Set` or a `Map`: V8
 * gives those a new table every few deletions, each table refers to the next one, and as soon as
 * one of them is old, all later ones and what was in them outlive every collection of the young.
 */

/** A member's place, by which it leaves. */
export interface Seat<T> {
  readonly member: T;
  /** Where it sits; -1 after it has left. */
  index: number;
}

/** See the file comment. In no particular order. */
export class Roster<T> {
  readonly #seats: Seat<T>[] = [];

  get size(): number {
    return this.#seats.length;
  }

  /** Takes a member in. Nothing keeps the same one from sitting twice. */
  add(member: T): Seat<T> {
    const seat = { member, index: this.#seats.length };
    this.#seats.push(seat);
    return seat;
  }

  /** Lets a member go; one that has left stays away. */
  remove(seat: Seat<T>): void {
    const { index } = seat;
    const last = index === -1 ? undefined : this.#seats.pop();
    seat.index = -1;
    if (last === undefined || last === seat) return;
    last.index = index;
    this.#seats[index] = last;
  }

  /** All members as they are now. */
  members(): T[] {
    return this.#seats.map(({ member }) => member);
  }
}
