import { expect, it } from 'vitest';
import { decodeHeader } from './param-headers.ts';

it('a header value means what the specification says', () => {
  const meant = {
    'us-west1': 'us-west1',
    '  us-west1\t': 'us-west1',
    '=?base64?SGVsbG8sIOS4lueVjA==?=': 'Hello, 世界',
    '=?base64?IHBhZGRlZCA=?=': ' padded ',
    '=?base64?bGluZTEKbGluZTI=?=': 'line1\nline2',
    '=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=': '=?base64?literal?=',
    '=?BASE64?SGk=?=': '=?BASE64?SGk=?=',
  };
  for (const [raw, value] of Object.entries(meant)) expect(decodeHeader(raw)).toBe(value);
});

it('a malformed header value means nothing', () => {
  const malformed = [
    '=?base64?SGk?=',
    '=?base64?S!k=?=',
    '=?base64?/w==?=',
    'caf\u00e9',
    'a\u0001b',
  ];
  for (const raw of malformed) expect(decodeHeader(raw)).toBeUndefined();
});
