/** The connect pages in a real browser, on a phone and on a desktop. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BrowserContext, Page } from 'playwright-core';
import { findBrowser, openBrowser, type TestBrowser } from '../support/browser.ts';
import { linkOf, principal, startConnectWorld, type ConnectWorld } from './connect-world.ts';

const sizes = ['phone', 'desktop'] as const;

describe.skipIf(findBrowser() === undefined)('in a browser', () => {
  let world: ConnectWorld;
  let chromium: TestBrowser;
  beforeAll(async () => {
    [world, chromium] = await Promise.all([startConnectWorld(), openBrowser()]);
  }, 30_000);
  afterAll(async () => {
    await chromium.close();
    await world.close();
  });

  /** Alice's client calls a tool that needs her connection. */
  async function asked(client: string) {
    const handle = world.tasks.start({
      principal: principal(world, 'alice', client),
      peerId: 'files',
      message: { messageId: client, role: 'ROLE_USER', parts: [] },
      call: { name: 'echo', arguments: { text: `for ${client}` } },
    });
    await handle.settled({ timeoutMs: 5000 });
    const view = await handle.commit();
    return { handle, view, url: linkOf(view) };
  }

  async function logIn(page: Page, name: string): Promise<void> {
    await page.getByLabel('Login name').fill(name);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('button', { name: 'Allow' }).click();
  }

  /** What nobody should meet, whatever the width. */
  async function checkPage(page: Page): Promise<void> {
    expect(await page.locator('html').getAttribute('lang')).toBe('en');
    expect(await page.getByRole('heading', { level: 1 }).count()).toBe(1);
    expect(await page.getByRole('main').count()).toBe(1);
    expect(await page.locator('script').count()).toBe(0);
    const measured: unknown = await page.evaluate(
      '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
    );
    const [width = 0, room = 0] = measured as number[];
    expect(width).toBeLessThanOrEqual(room);
    for (const control of await page.locator('.button').all()) {
      expect((await control.boundingBox())?.height).toBeGreaterThanOrEqual(44);
    }
  }

  const complaints = (context: BrowserContext): string[] => {
    const texts: string[] = [];
    context.on('console', (message) => {
      const isIcon = message.location().url.endsWith('/favicon.ico');
      if (message.type() === 'error' && !isIcon) texts.push(message.text());
    });
    return texts;
  };

  it.each(sizes)(
    'a person consents, sees it listed and removes it, without script: %s',
    async (size) => {
      const { handle, view, url } = await asked(`client-${size}`);
      const context = await chromium.context(size);
      const errors = complaints(context);
      const page = await context.newPage();
      await page.goto(url);
      await logIn(page, 'alice');
      await page.getByRole('heading', { name: 'Connect your account at Files Inc?' }).waitFor();
      await checkPage(page);
      const text = await page.getByRole('main').innerText();
      const host = new URL(world.third.issuer).host;
      for (const fact of ['Alice', `client-${size}`, 'Files Inc', host, 'files.read']) {
        expect(text).toContain(fact);
      }
      // With the keyboard alone.
      await page.getByRole('button', { name: `Continue to ${host}` }).focus();
      await page.keyboard.press('Enter');
      await logIn(page, 'alice-there');
      await page.getByRole('heading', { name: 'Connected' }).waitFor();
      await checkPage(page);
      const settled = await handle.settled({ timeoutMs: 3000, afterSeq: view.seq });
      expect(JSON.stringify(settled)).toContain(`for client-${size}`);
      await page.getByRole('link', { name: 'Your connections' }).click();
      await page.getByRole('heading', { name: 'Your connections' }).waitFor();
      await checkPage(page);
      await page.getByRole('button', { name: `Remove Files Inc (client-${size}, files)` }).click();
      await page.getByText('There are none').waitFor();
      expect(errors).toEqual([]);
      await context.close();
    },
    30_000,
  );

  it.each(sizes)(
    'a person declines: %s',
    async (size) => {
      const { handle, view, url } = await asked(`decliner-${size}`);
      const context = await chromium.context(size);
      const page = await context.newPage();
      await page.goto(url);
      await logIn(page, 'alice');
      await page.getByRole('button', { name: 'Decline' }).click();
      await page.getByRole('heading', { name: 'Declined' }).waitFor();
      await checkPage(page);
      const settled = await handle.settled({ timeoutMs: 3000, afterSeq: view.seq });
      expect(settled.kind === 'task' && settled.view.task.status.state).toBe('TASK_STATE_REJECTED');
      await context.close();
    },
    30_000,
  );

  it('Bob gets to see nothing of Alice, and no site can frame the page', async () => {
    const { url } = await asked('framed');
    const context = await chromium.context('desktop');
    const page = await context.newPage();
    await page.goto(url);
    await logIn(page, 'bob');
    await page.getByRole('heading', { name: 'This request is not yours' }).waitFor();
    expect(await page.content()).not.toContain('Files Inc');
    await checkPage(page);
    const framing = await context.newPage();
    await framing.route('https://evil.example/', (route) =>
      route.fulfill({
        contentType: 'text/html',
        body: `<iframe id="victim" src="${url}"></iframe>`,
      }),
    );
    await framing.goto('https://evil.example/');
    await expect
      .poll(async () => {
        const frame = framing.frames().at(-1);
        return frame === framing.mainFrame() ? undefined : frame?.url();
      })
      .toBe('chrome-error://chromewebdata/');
    await context.close();
  }, 30_000);

  it('a window that is closed half-way leaves the link as it was', async () => {
    const { url, handle } = await asked('closer');
    const context = await chromium.context('phone');
    const page = await context.newPage();
    await page.goto(url);
    await logIn(page, 'alice');
    await page.getByRole('button', { name: /^Continue to/ }).click();
    await page.getByLabel('Login name').waitFor();
    await page.close();
    expect(handle.view().task.status.state).toBe('TASK_STATE_AUTH_REQUIRED');
    const again = await context.newPage();
    await again.goto(url);
    await again.getByRole('heading', { name: 'Connect your account at Files Inc?' }).waitFor();
    await context.close();
  }, 30_000);
});
