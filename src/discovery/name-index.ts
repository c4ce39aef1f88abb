/**
 * Which names are in use where, so that one that poses as another is seen when it comes.
 */
import type { DefinitionRef } from '../ports/definitions.ts';
import { legibleName } from './definitions.ts';
import { isPlain, mixesScripts, skeleton } from './look-alikes.ts';

/** Something odd about a name. */
export interface Finding {
  readonly kind: 'same-name' | 'look-alike' | 'own-name' | 'mixed-scripts';
  /** A sentence for people. */
  readonly reason: string;
  /** Whether it looks as if it was meant to deceive: letters of another script in a known name. */
  readonly poses: boolean;
}

/** Findings of one name that are told; a common name may be in use everywhere. */
const maxFindings = 5;

/** See the file comment. */
export class NameIndex {
  readonly #bySkeleton = new Map<string, Map<string, DefinitionRef>>();
  readonly #own: ReadonlyMap<string, string>;

  constructor(ownNames: readonly string[]) {
    this.#own = new Map(ownNames.map((name) => [skeleton(name), name]));
  }

  add(ref: DefinitionRef): void {
    if (!isCallable(ref)) return;
    const shape = skeleton(ref.name);
    const alike = this.#bySkeleton.get(shape) ?? new Map<string, DefinitionRef>();
    alike.set(placeOf(ref), { peer: ref.peer, kind: ref.kind, name: ref.name });
    this.#bySkeleton.set(shape, alike);
  }

  remove(ref: DefinitionRef): void {
    const shape = skeleton(ref.name);
    const alike = this.#bySkeleton.get(shape);
    alike?.delete(placeOf(ref));
    if (alike?.size === 0) this.#bySkeleton.delete(shape);
  }

  /** What is odd about a name, beside the others. */
  findings(ref: DefinitionRef): Finding[] {
    if (!isCallable(ref)) return [];
    const found: Finding[] = [];
    const shape = skeleton(ref.name);
    const own = this.#own.get(shape);
    if (own !== undefined) {
      const word = own === ref.name ? 'is the name' : 'looks like the name';
      const reason = `it ${word} of the gateway's own tool "${own}"`;
      found.push({ kind: 'own-name', reason, poses: disguised(ref.name, own) });
    }
    if (mixesScripts(ref.name)) {
      const reason = 'its name mixes Latin letters with those of another script';
      found.push({ kind: 'mixed-scripts', reason, poses: true });
    }
    for (const other of this.#bySkeleton.get(shape)?.values() ?? []) {
      if (placeOf(other) === placeOf(ref)) continue;
      found.push(...likeness(ref, other));
      if (found.length >= maxFindings) break;
    }
    return found;
  }
}

function likeness(ref: DefinitionRef, other: DefinitionRef): Finding[] {
  const place = `"${legibleName(other.name)}" of the peer "${other.peer}"`;
  if (other.name !== ref.name) {
    const poses = disguised(ref.name, other.name);
    return [{ kind: 'look-alike', reason: `its name looks like ${place}`, poses }];
  }
  if (other.peer === ref.peer) return [];
  return [{ kind: 'same-name', reason: `it has the same name as ${place}`, poses: false }];
}

/** A name with letters of another script that looks like one in plain letters. */
function disguised(name: string, other: string): boolean {
  return name !== other && !isPlain(name) && isPlain(other);
}

/** What a peer says of itself and its prompts are called by nobody but people. */
function isCallable({ kind }: DefinitionRef): boolean {
  return kind === 'tool' || kind === 'skill' || kind === 'extended-skill';
}

function placeOf({ peer, kind, name }: DefinitionRef): string {
  return `${peer}\n${kind}\n${name}`;
}
