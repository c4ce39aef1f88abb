import { describe, expect, it } from 'vitest';
import { createSeal } from '../../auth/seal.ts';
import type { JsonObject } from '../../model/json.ts';
import { anonymous } from '../../model/principal.ts';
import type { Peer } from '../../ports/peer.ts';
import type { CallContext } from '../call-context.ts';
import type { AllPeers } from '../endpoint.ts';
import { pageAcross, pageOf, type Paging } from './pages.ts';

const seal = createSeal(Buffer.alloc(32, 7));

function paging(cursor?: string, more: { member?: string; subject?: string } = {}): Paging {
  const principal = { ...anonymous, subject: more.subject ?? 'alice' };
  return {
    params: cursor === undefined ? {} : { cursor },
    call: { principal } as CallContext<AllPeers>,
    member: more.member ?? 'tools',
    seal,
  };
}

const items = Array.from({ length: 450 }, (_, index) => ({ name: `tool-${index}` }));

function cursorOf(page: JsonObject): string {
  return page['nextCursor'] as string;
}

describe('a list in memory', () => {
  it('comes in pages that hold everything once', () => {
    const one = pageOf(items, 'mark', paging());
    const two = pageOf(items, 'mark', paging(cursorOf(one)));
    const three = pageOf(items, 'mark', paging(cursorOf(two)));
    expect([one, two, three].flatMap((page) => page['tools'])).toEqual(items);
    expect(three).not.toHaveProperty('nextCursor');
  });

  it('refuses a cursor of the list as it was before, with advice', () => {
    const { message } = refusal(() =>
      pageOf(items, 'changed', paging(cursorOf(pageOf(items, 'mark', paging())))),
    );
    expect(message).toContain('List again without a cursor');
  });

  it('refuses a cursor of another list, of another caller, and a changed one', () => {
    const cursor = cursorOf(pageOf(items, 'mark', paging()));
    const changed = `${cursor.slice(0, -2)}${cursor.at(-2) === 'A' ? 'B' : 'A'}${cursor.at(-1)}`;
    for (const other of [
      paging(cursor, { member: 'prompts' }),
      paging(cursor, { subject: 'bob' }),
      paging(changed),
      paging(''),
    ]) {
      expect(refusal(() => pageOf(items, 'mark', other))).toMatchObject({ code: 'invalid-params' });
    }
  });
});

describe('a list that goes through the peers', () => {
  const peers = ['c', 'a', 'b'].map((id) => ({ id }) as Peer);
  /** Each peer has three pages of thirty. */
  const read = async ({ id }: Peer, cursor = '0'): Promise<JsonObject> => {
    const page = Number(cursor);
    const tools = Array.from({ length: 30 }, (_, index) => `${id}-${page}-${index}`);
    return page === 2 ? { tools } : { tools, nextCursor: String(page + 1) };
  };

  it('gives everything once, in the order of the ids', async () => {
    const all: unknown[] = [];
    let cursor: string | undefined;
    do {
      const page = await pageAcross(peers, paging(cursor), read);
      all.push(...(page['tools'] as unknown[]));
      cursor = page['nextCursor'] as string | undefined;
    } while (cursor !== undefined);
    expect(all).toHaveLength(270);
    expect(new Set(all).size).toBe(270);
    expect(all[0]).toBe('a-0-0');
    expect(all.at(-1)).toBe('c-2-29');
  });

  it('goes on behind a peer that has gone meanwhile', async () => {
    const first = await pageAcross(peers, paging(), read);
    const left = peers.filter(({ id }) => id !== 'a');
    const page = await pageAcross(left, paging(cursorOf(first)), read);
    expect((page['tools'] as string[])[0]).toBe('b-0-0');
  });
});

function refusal(act: () => unknown): Error {
  try {
    act();
  } catch (error) {
    return error as Error;
  }
  throw new Error('It was not refused');
}
