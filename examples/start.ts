/** Starts an example by its name: `npm run example -- research-agent --port 41304`. */
import { existsSync, readdirSync } from 'node:fs';

const here = new URL('./', import.meta.url);
const main = (name: string) => new URL(`./${name}/main.ts`, here);
const names = readdirSync(here).filter((name) => existsSync(main(name)));
const [, , name = '', ...options] = process.argv;

if (names.includes(name)) {
  process.argv = [...process.argv.slice(0, 2), ...options];
  await import(main(name).href);
} else {
  console.error(`Which one? npm run example -- ${names.join(' | ')}`);
  process.exitCode = 2;
}
