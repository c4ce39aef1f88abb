import { randomUUID } from 'node:crypto';
import { request } from 'undici';
import { accessTo } from '../src/borrower/lease-access.ts';
import { testKey, type TestKey } from '../test/support/issuer.ts';
import { startHoldingAgent } from '../test/support/holding-agent.ts';
import type { Issuer } from './issuer.ts';
import type { Running } from './processes.ts';
import { a2aHeaders, a2aSendBody } from './wire.ts';

/** The peer that is lent to; the gateway's name for it. */
export const BORROWER = 'borrower';

/** An agent in the process of the bench that holds on to a task, and to what it is lent for it. */
export interface Borrower {
  readonly card: string;
  readonly clientId: string;
  /** Calls it through the gateway, which lends it the tools of `gateway.ts`. */
  borrow(gateway: Running, issuer: Issuer): Promise<Borrowed>;
  close(): Promise<void>;
}

/** What it was lent. */
export interface Borrowed {
  /** The callback URL. */
  readonly url: string;
  readonly key: TestKey;
  /** A token for it, which is exchanged anew while there is enough left of the old one. */
  token(): Promise<string>;
}

/** Starts it. Between its calls it does nothing. */
export async function startBorrower(): Promise<Borrower> {
  const agent = await startHoldingAgent();
  return {
    card: agent.cardUrl,
    clientId: agent.clientId,
    async borrow(gateway, issuer) {
      await callAgent(gateway, issuer);
      const { offer } = await agent.next();
      if (offer === undefined) throw new Error('The gateway has lent nothing.');
      const key = await testKey();
      const { tokens, resource } = accessTo(offer, {
        clientId: agent.clientId,
        key: agent.key,
        keyId: 'agent',
        issuers: [offer.iss],
        dpopKey: { privateKey: key.privateKey, publicKey: key.publicKey },
      });
      return { url: resource.href, key, token: () => tokens.current() };
    },
    close: () => agent.close(),
  };
}

async function callAgent(gateway: Running, issuer: Issuer): Promise<void> {
  const path = `/a2a/${BORROWER}`;
  const authorization = `Bearer ${await issuer.token(gateway, path)}`;
  const parts = [{ text: 'Hold on to this.' }];
  const message = { messageId: randomUUID(), role: 'ROLE_USER', parts } as const;
  const { statusCode, body } = await request(`${gateway.origin}${path}`, {
    method: 'POST',
    headers: { ...a2aHeaders(), authorization },
    body: a2aSendBody(1, message, { returnImmediately: true }),
  });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`The borrower's task: HTTP ${statusCode}: ${text}`);
}
