/**
 * `client_secret_basic` as servers read it. A form leaves `-`, `.`, `_` and `*` as they are; servers
 * that do not decode what they are sent then still read a usual client id or secret right, which
 * they do not when every character that may be encoded is encoded.
 *
 * Spec: RFC 6749 §2.3.1 and Appendix B; URL Standard, application/x-www-form-urlencoded serializing
 */
import type { ClientAuth } from 'openid-client';

/** Adds the client and its secret to a request. */
export function basicAuthentication(clientSecret: string): ClientAuth {
  return (_server, client, _body, headers) => {
    const pair = `${formEncoded(client.client_id)}:${formEncoded(clientSecret)}`;
    headers.set('authorization', `Basic ${Buffer.from(pair).toString('base64')}`);
  };
}

function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1);
}
