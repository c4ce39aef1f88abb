/** Alice: played, or whoever sits at the terminal. */
import { createInterface } from 'node:readline/promises';
import { PlayedBrowser } from './browser.ts';

/** What her assistant needs her for. */
export interface Person {
  /** Opens a page that waits for her by itself, such as a login. */
  open(url: string): Promise<void>;
  /** Opens a page that she was asked to open. Resolves when she has decided there. */
  visit(url: string): Promise<void>;
  /** Chooses one of `choices`. */
  decide(message: string, choices: readonly string[]): Promise<string>;
}

/** Says yes to everything; `on` hears the heading of the last page each time. */
export function playedPerson(on: (heading: string) => void): Person {
  const browser = new PlayedBrowser();
  const open = async (url: string): Promise<void> => on(await browser.open(url));
  return { open, visit: open, decide: async (_message, [first = '']) => first };
}

/**
 * Whoever sits at the terminal, with a browser of their own. `ready` resolves when everything that
 * comes before a question has been printed.
 */
export function personAtTerminal(ready: () => Promise<void>): Person {
  const ask = async (question: string): Promise<string> => {
    await ready();
    const terminal = createInterface({ input: process.stdin, output: process.stdout });
    const answer = await terminal.question(question);
    terminal.close();
    return answer.trim();
  };
  const page = (url: string): string => `\n    Open this page, and be alice:\n    ${url}\n`;
  return {
    open: async (url) => {
      await ready();
      console.log(page(url));
    },
    visit: async (url) => {
      await ask(`${page(url)}\n    Press Enter when you have decided there: `);
    },
    decide: (message, choices) => ask(`\n    ${message}\n    ${choices.join(' | ')}: `),
  };
}
