/** The login in a real browser, in the windows of a phone and of a desktop. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { findBrowser, openBrowser, windows, type TestBrowser } from '../support/browser.ts';
import { startLoginWorld } from '../security/login-world.ts';

describe.skipIf(findBrowser() === undefined)('in a browser', () => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await openBrowser();
  });
  afterAll(() => browser.close());

  /** Nothing is cut off, and what is clicked is large enough for a finger. Spec: WCAG 2.2 §2.5.8 */
  async function expectUsable(page: Page): Promise<void> {
    expect(await page.locator('h1').count()).toBe(1);
    expect(await page.locator('html').getAttribute('lang')).toBe('en');
    const [inner, content] = await page.evaluate<[number, number]>(
      '[window.innerWidth, document.documentElement.scrollWidth]',
    );
    expect(content).toBeLessThanOrEqual(inner);
    for (const button of await page.locator('.button').all()) {
      const box = await button.boundingBox();
      expect(box?.height).toBeGreaterThanOrEqual(44);
      expect((box?.x ?? -1) + (box?.width ?? 0)).toBeLessThanOrEqual(inner);
    }
  }

  it.each(Object.keys(windows) as (keyof typeof windows)[])(
    'a person chooses, logs in, comes back, and logs out with a form: %s',
    async (size) => {
      const world = await startLoginWorld();
      const context = await browser.context(size);
      const page = await context.newPage();
      const problems: string[] = [];
      page.on('console', (message) => {
        const isIcon = message.location().url.endsWith('/favicon.ico');
        if (message.type() === 'error' && !isIcon) problems.push(message.text());
      });
      await page.goto(`${world.origin}/login?returnTo=/login`);
      expect(await page.title()).toBe('Where do you log in?');
      await expectUsable(page);
      await page.getByRole('link', { name: 'Acme Ltd' }).press('Enter');
      await page.getByLabel('Login name').fill('alice');
      await page.getByRole('button', { name: 'Log in' }).click();
      await page.getByRole('button', { name: 'Allow' }).click();
      await page.waitForURL(`${world.origin}/login`);
      expect(await page.title()).toBe('You are logged in');
      expect(await page.locator('main').innerText()).toContain('As Alice of Acme Ltd.');
      await expectUsable(page);
      // Chromium takes `__Host-` cookies from loopback in the clear; scripts do not see them.
      const own = (await context.cookies(world.origin)).filter(({ name }) =>
        name.startsWith('__Host-'),
      );
      expect(own).toMatchObject([
        { name: '__Host-isthmus', httpOnly: true, secure: true, sameSite: 'Lax', path: '/' },
      ]);
      expect(await page.evaluate('document.cookie')).not.toContain('__Host-');
      await page.getByRole('button', { name: 'Log out' }).click();
      expect(await page.title()).toBe('You are logged out');
      await expectUsable(page);
      expect(await page.goto(`${world.origin}/whoami`).then((reply) => reply?.json())).toBeNull();
      expect(problems).toEqual([]);
      await context.close();
    },
  );

  it('a form of another site does not log out, even with the right token', async () => {
    const world = await startLoginWorld();
    const context = await browser.context('desktop');
    const page = await context.newPage();
    await page.goto(`${world.origin}/login?organization=acme&returnTo=/login`);
    await page.getByLabel('Login name').fill('alice');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.waitForURL(`${world.origin}/login`);
    const token = await page.locator('input[name=formToken]').inputValue();
    // The same server under another name is another site with the same machine behind it.
    await page.goto(world.providers.globex.issuer.replace('127.0.0.1', 'localhost'));
    await page.setContent(
      `<form method="post" action="${world.origin}/logout"><input name="formToken" value="${token}"><button>Go</button></form>`,
    );
    // Its cookie stays at home (`Lax`), so that it comes from nobody; nobody logs anybody out.
    await Promise.all([
      page.waitForURL(`${world.origin}/logout`),
      page.getByRole('button').click(),
    ]);
    expect(await page.title()).toBe('This form is not valid any more');
    const answer = await page.goto(`${world.origin}/whoami`).then((reply) => reply?.json());
    expect(answer).toMatchObject({ displayName: 'Alice' });
    await context.close();
  });
});
