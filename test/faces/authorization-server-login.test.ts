import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPeople } from '../../src/auth/login/people.ts';
import { findBrowser, openBrowser, windows } from '../support/browser.ts';
import { CookieClient } from '../support/cookie-client.ts';
import { startIdentityProvider, type IdentityProvider } from '../support/identity-provider.ts';
import {
  codeGrant,
  press,
  startAuthorizationWorld,
  within,
  type AuthorizationWorld,
} from '../support/authorization-server-world.ts';

const clientSecret = 'a secret that the gateway has at each provider';

let world: AuthorizationWorld;
let client: Server;
let callback: string;
const providers: Record<string, IdentityProvider> = {};

beforeAll(async () => {
  client = createServer((_req, res) => {
    res.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Back at the client</h1>');
  });
  await new Promise<void>((resolve) => void client.listen(0, '127.0.0.1', resolve));
  callback = `http://127.0.0.1:${(client.address() as AddressInfo).port}/callback`;
  world = await startAuthorizationWorld({
    clients: [{ id: 'desktop', name: 'Desktop', redirectUris: [callback] }],
    people: ({ origin, store, seal, replay, keys, fetch }) =>
      createPeople({
        providers: ['acme', 'globex'].map((organization) => ({
          organization,
          get issuer() {
            return providers[organization]?.issuer ?? '';
          },
          clientId: 'gateway',
          clientSecret,
        })),
        publicUrl: origin,
        store,
        seal,
        replay,
        fetch,
        clock: Date.now,
        random: randomBytes,
        organizationNames: new Map(),
        signingKey: () => keys.current().active,
      }),
  });
  for (const organization of ['acme', 'globex']) {
    providers[organization] = await startIdentityProvider({
      people: ['alice'],
      clients: [
        {
          client_id: 'gateway',
          client_secret: clientSecret,
          redirect_uris: [`${world.url}/login/callback/${organization}`],
        },
      ],
    });
  }
});

afterAll(async () => {
  await world.close();
  client.closeAllConnections();
  client.close();
  for (const provider of Object.values(providers)) await provider.close();
});

const request = (): URL => world.authorizeUrl({ client_id: 'desktop', redirect_uri: callback });

describe('people of two organizations log in at their own providers', () => {
  it('the same login name is two principals', async () => {
    const principals = [];
    for (const organization of ['acme', 'globex']) {
      const browser = new CookieClient();
      const choice = await browser.get(request(), { follow: (next) => next.href !== callback });
      const link = [...choice.text.matchAll(/href="([^"]+)"/g)]
        .map(([, href = '']) => href.replaceAll('&amp;', '&'))
        .find((href) => href.includes(`organization=${organization}`));
      const page = await browser.logIn(new URL(link ?? '', world.url), 'alice');
      expect(page.text).toContain('Let Desktop act for you?');
      expect(page.text).toContain(`Alice, ${organization}`);
      const { location } = await press(world, browser, page, 'Allow');
      const grant = codeGrant(location ?? request(), {
        client_id: 'desktop',
        redirect_uri: callback,
      });
      const { body } = await world.token(grant);
      const { sub, org, idp } = await world.verify(String(body['access_token']));
      principals.push({ sub, org, idp });
    }
    expect(principals).toEqual([
      { sub: 'alice', org: 'acme', idp: providers['acme']?.issuer },
      { sub: 'alice', org: 'globex', idp: providers['globex']?.issuer },
    ]);
  });

  it('a login that the client asks for is a new one, once', async () => {
    const browser = new CookieClient();
    const to = new URL(request());
    to.searchParams.set('prompt', 'login');
    const choice = await browser.get(to, { follow: within(world) });
    const link = /href="([^"]+organization=acme[^"]+)"/.exec(choice.text)?.[1] ?? '';
    const page = await browser.logIn(new URL(link.replaceAll('&amp;', '&'), world.url), 'alice');
    expect(page.text).toContain('Let Desktop act for you?');
  });
});

describe.skipIf(findBrowser() === undefined)('in a browser', () => {
  it.each(['phone', 'desktop'] as const)(
    'a person logs in, allows, and is back at the client: %s',
    { timeout: 60_000 },
    async (size) => {
      const chromium = await openBrowser();
      try {
        const context = await chromium.context(size);
        const page = await context.newPage();
        const complaints: string[] = [];
        page.on('console', (message) => {
          const isIcon = message.location().url.endsWith('/favicon.ico');
          if (!isIcon) complaints.push(message.text());
        });
        page.on('pageerror', (error) => complaints.push(error.message));
        await page.goto(request().href);
        await page.getByRole('link', { name: 'acme' }).click();
        await page.getByLabel('Login name').fill('alice');
        await page.getByRole('button', { name: 'Log in' }).click();
        await page.getByRole('button', { name: 'Allow' }).click();
        await page.getByRole('heading', { name: 'Let Desktop act for you?' }).waitFor();
        const { width } = windows[size];
        const allowed = page.getByRole('button', { name: 'Allow' });
        const box = await allowed.boundingBox();
        expect(box?.height).toBeGreaterThanOrEqual(44);
        expect((box?.x ?? 0) + (box?.width ?? width + 1)).toBeLessThanOrEqual(width);
        await allowed.press('Enter');
        await page.getByRole('heading', { name: 'Back at the client' }).waitFor();
        expect(new URL(page.url()).searchParams.get('code')).toEqual(expect.any(String));
        expect(complaints).toEqual([]);
      } finally {
        await chromium.close();
      }
    },
  );
});
