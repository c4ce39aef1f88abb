/**
 * Requests that wait for a person. Anybody can make one and each is a row, so there is a bound on
 * all of them, and on those of one address: there the oldest gives way, and nobody else's.
 */
import type { Clock } from '../../model/ids.ts';
import { addressGroup, isSharedAddress } from '../remote-address.ts';

/** The requests that are open. Those of an earlier process are not counted: they just expire. */
export interface OpenInteractions {
  /** Whether there is no room for another one. */
  isFull(): boolean;
  /** Notes one, also again; returns those that have to give way to it. */
  opened(id: string, from: { readonly address?: string; readonly expiresAt: number }): string[];
  closed(id: string): void;
}

interface Open {
  readonly group: string | undefined;
  readonly expiresAt: number;
}

/** How many may be open at once. */
export interface InteractionBounds {
  readonly total: number;
  /** Of one address, unless many may share it. */
  readonly perAddress: number;
}

/** Counts them. */
export function createOpenInteractions(clock: Clock, bounds: InteractionBounds): OpenInteractions {
  const open = new Map<string, Open>();
  /** In the order in which they were opened. */
  const groups = new Map<string, Set<string>>();
  const forget = (id: string): void => {
    const { group } = open.get(id) ?? {};
    open.delete(id);
    if (group === undefined) return;
    groups.get(group)?.delete(id);
    if (groups.get(group)?.size === 0) groups.delete(group);
  };
  return {
    isFull() {
      if (open.size < bounds.total) return false;
      for (const [id, { expiresAt }] of open) if (expiresAt <= clock()) forget(id);
      return open.size >= bounds.total;
    },
    opened(id, { address, expiresAt }) {
      const group = isSharedAddress(address) ? undefined : addressGroup(address);
      if (open.has(id)) return [];
      open.set(id, { group, expiresAt });
      if (group === undefined) return [];
      const ofGroup = groups.get(group) ?? new Set<string>();
      groups.set(group, ofGroup.add(id));
      const surplus = [...ofGroup].slice(0, Math.max(0, ofGroup.size - bounds.perAddress));
      for (const one of surplus) forget(one);
      return surplus;
    },
    closed: forget,
  };
}
