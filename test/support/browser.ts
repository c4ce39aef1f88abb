/** The system's own Chromium, headless, for the pages that people see. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium, type Browser, type BrowserContext } from 'playwright-core';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** The sizes of window that pages are tested at. */
export const windows = {
  phone: { width: 390, height: 844 },
  desktop: { width: 1280, height: 800 },
} as const;

/** A running browser. */
export interface TestBrowser {
  readonly browser: Browser;
  /** A fresh profile in a window of this size. */
  context(size: keyof typeof windows): Promise<BrowserContext>;
  close(): Promise<void>;
}

/**
 * The browser's path; undefined when there is none. Continuous integration must have one: there it
 * throws.
 */
export function findBrowser(): string | undefined {
  const found = (process.env['PATH'] ?? '')
    .split(delimiter)
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find(isExecutable);
  if (found !== undefined) return found;
  const problem = `No browser was found on PATH (${names.join(', ')}): install Chromium, as README says.`;
  if (process.env['CI'] !== undefined) throw new Error(problem);
  process.stderr.write(`SKIPPED: the tests in a browser. ${problem}\n`);
  return undefined;
}

/** Starts the browser. For `describe.skipIf(findBrowser() === undefined)`. */
export async function openBrowser(): Promise<TestBrowser> {
  const executablePath = findBrowser();
  if (executablePath === undefined) throw new Error('There is no browser.');
  const browser = await chromium.launch({
    executablePath,
    headless: true,
    args: [
      '--disable-dev-shm-usage',
      // Its sandbox does not start as root.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    ],
  });
  return {
    browser,
    context: (size) =>
      browser.newContext({
        viewport: windows[size],
        ...(size === 'phone' && { isMobile: true, hasTouch: true, deviceScaleFactor: 2 }),
      }),
    close: () => browser.close(),
  };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
