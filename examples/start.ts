/**
 * Starts examples by their names: `npm run example -- search-server memory-server research-agent`.
 * Options come last: `npm run example -- research-agent --port 41304`.
 */
import { existsSync, readdirSync } from 'node:fs';

const here = new URL('./', import.meta.url);
const main = (name: string) => new URL(`./${name}/main.ts`, here);
const names = readdirSync(here).filter((name) => existsSync(main(name)));
const [program = '', script = '', ...given] = process.argv;
const end = given.findIndex((word) => word.startsWith('-'));
const chosen = end === -1 ? given : given.slice(0, end);

if (chosen.length === 0 || !chosen.every((name) => names.includes(name))) {
  console.error(`Which? npm run example -- NAME…, of ${names.join(', ')}`);
  process.exitCode = 2;
} else {
  process.argv = [program, script, ...given.slice(chosen.length)];
  for (const name of chosen) await import(main(name).href);
}
