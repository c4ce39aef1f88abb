import { expect, it } from 'vitest';
import { OpenRequests } from './open-requests.ts';

const call = (id: string | number) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: {} });
const answer = (id: string | number) => ({ jsonrpc: '2.0', id, result: {} });

it('when the connection is lost the server hears what nobody waits for', () => {
  const open = new OpenRequests();
  for (const id of ['1', 1, '2']) open.received(call(id));
  expect(open.sent(answer('2'))).toBe(true);
  const params = (requestId: string | number) => ({
    requestId,
    reason: 'The connection to the gateway was lost',
  });
  expect(open.lost()).toEqual([
    { jsonrpc: '2.0', method: 'notifications/cancelled', params: params('1') },
    { jsonrpc: '2.0', method: 'notifications/cancelled', params: params(1) },
  ]);
  expect(open.lost()).toEqual([]);
});

it('its questions are answered with an error then, once', () => {
  const open = new OpenRequests();
  expect(open.sent(call('q1'))).toBe(true);
  expect(open.sent(call('q2'))).toBe(true);
  open.received(answer('q1'));
  expect(open.lost()).toEqual([
    {
      jsonrpc: '2.0',
      id: 'q2',
      error: { code: -32000, message: 'There is no connection to the gateway now.' },
    },
  ]);
});

it('the handshake is never cancelled', () => {
  const open = new OpenRequests();
  open.received({ jsonrpc: '2.0', id: '1', method: 'initialize', params: {} });
  expect(open.lost()).toEqual([]);
});

it('an answer goes out once, and not after a cancellation or on another connection', () => {
  const open = new OpenRequests();
  open.received(call('1'));
  expect([open.sent(answer('1')), open.sent(answer('1'))]).toEqual([true, false]);
  open.received(call('2'));
  open.received({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: '2' } });
  expect(open.sent(answer('2'))).toBe(false);
  expect(new OpenRequests().sent(answer('2'))).toBe(false);
  expect(open.sent({ jsonrpc: '2.0', method: 'notifications/message', params: {} })).toBe(true);
  expect(open.sent({ jsonrpc: '2.0' })).toBe(false);
});
