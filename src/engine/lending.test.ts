import { describe, expect, it } from 'vitest';
import { leaseExtension, leaseMeta } from '../model/lease.ts';
import { withoutLending } from './lending.ts';

const offer = { iss: 'https://a.example/sts', lease_ref: 'secret' };
const message = { messageId: 'm', role: 'ROLE_USER' as const, parts: [] };

describe('what is said about lending', () => {
  it('is taken out of the message, the request and `_meta`', () => {
    const said = {
      message: { ...message, metadata: { [leaseExtension]: offer, kept: 1 } },
      metadata: { [leaseExtension]: offer },
      meta: { [leaseMeta]: offer, progressToken: 1 },
    };
    const { work, lending } = withoutLending(said);
    expect(lending).toBe(offer);
    expect(work).toEqual({
      message: { ...message, metadata: { kept: 1 } },
      metadata: {},
      meta: { progressToken: 1 },
    });
    expect(JSON.stringify(work)).not.toContain('secret');
  });

  it('leaves other work as it is, the same object', () => {
    const work = { message, meta: { other: true } };
    expect(withoutLending(work)).toEqual({ work, lending: undefined });
    expect(withoutLending(work).work).toBe(work);
  });

  it('is refused later where it is no object', () => {
    expect(withoutLending({ message, meta: { [leaseMeta]: 'tools' } }).lending).toEqual({
      lend: 'tools',
    });
  });
});
