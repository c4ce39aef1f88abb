import { describe, expect, it } from 'vitest';
import { createSeal } from '../auth/seal.ts';
import type { JsonObject } from '../model/json.ts';
import { anonymous } from '../model/principal.ts';
import type { CallContext } from './call-context.ts';
import { openState, sealState } from './request-state.ts';

const seal = createSeal(Buffer.alloc(32, 7));
const subject = { method: 'tools/call', params: { name: 'ask', arguments: { a: 1, b: [2] } } };
const state = { taskId: 'T', answers: {} };
const hour = 60 * 60 * 1000;

function callOf(changes: { subject?: string; peer?: string; endpoint?: string } = {}): CallContext {
  const principal = { ...anonymous, subject: changes.subject ?? 'alice' };
  const { peer = 'agent', endpoint = peer } = changes;
  return { principal, endpoint, peer: { id: peer } } as CallContext;
}

function at(now: number) {
  return { seal, clock: () => now };
}

const sealed = sealState(state, subject, callOf(), at(0));

describe('a request state', () => {
  it('comes back for the same request, whatever the order of its members', () => {
    const reordered = { ...subject, params: { arguments: { b: [2], a: 1 }, name: 'ask' } };
    expect(openState(sealed, reordered, callOf(), at(hour - 1))).toEqual(state);
  });

  it('tells nothing', () => {
    expect(Buffer.from(sealed, 'base64url').toString('latin1')).not.toContain('taskId');
  });

  it('is refused after an hour', () => {
    expect(() => openState(sealed, subject, callOf(), at(hour + 1))).toThrow(/expired/);
  });

  it('is refused from another principal, at another peer or endpoint, for another request', () => {
    const other = (params: JsonObject) => ({ ...subject, params });
    const refused = [
      () => openState(sealed, subject, callOf({ subject: 'bob' }), at(0)),
      () => openState(sealed, subject, callOf({ peer: 'other' }), at(0)),
      () => openState(sealed, subject, callOf({ endpoint: '' }), at(0)),
      () => openState(sealed, { ...subject, method: 'prompts/get' }, callOf(), at(0)),
      () => openState(sealed, other({ name: 'ask', arguments: {} }), callOf(), at(0)),
      () =>
        openState(sealed, other({ name: 'ask2', arguments: { a: 1, b: [2] } }), callOf(), at(0)),
    ];
    for (const open of refused)
      expect(open).toThrow(expect.objectContaining({ code: 'state-invalid' }));
  });

  it('is refused with any byte changed', () => {
    const bytes = Buffer.from(sealed, 'base64url');
    for (let index = 0; index < bytes.length; index += 1) {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ 1;
      const open = () => openState(changed.toString('base64url'), subject, callOf(), at(0));
      expect(open).toThrow(expect.objectContaining({ code: 'state-invalid' }));
    }
  });
});
