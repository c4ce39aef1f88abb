import { expect, test } from 'vitest';
import type { CourseServices } from './call-course.ts';
import { actionOf, methodActions } from './method-actions.ts';
import { createRevisions } from './revisions.ts';

const services = { aggregate: {}, limits: {} } as unknown as CourseServices;

/** Not in the tables of methods: the handshake, and the stream that has a place of its own. */
const elsewhere = ['initialize', 'subscriptions/listen'];

test('every method of every revision has an action, and no other has', () => {
  const { modern, legacy } = createRevisions(services);
  const served = [modern, ...legacy.values()].flatMap(({ methods }) => [...methods]);
  expect(Object.keys(methodActions).toSorted()).toEqual(
    [...new Set([...served, ...elsewhere])].toSorted(),
  );
});

test('a method that nobody classified counts as a call', () => {
  expect(actionOf('tools/uninstall')).toBe('call');
  expect(actionOf('toString')).toBe('call');
});
