/** `isthmus policy explain` as an operator runs it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { startChild } from '../faults/child.ts';

const dir = mkdtempSync(join(tmpdir(), 'isthmus-policy-'));
const file = join(dir, 'isthmus.yaml');
writeFileSync(
  file,
  `peers: [{ id: travel, mcp: { url: "https://travel.example/mcp" } }]
lending: [{ to: travel, tools: [files/*] }]
`,
);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function explain(...args: string[]): Promise<{ code: unknown; output: string }> {
  const child = startChild('src/cli.ts', ['policy', 'explain', '--config', file, ...args]);
  return { code: await child.ended, output: child.output() };
}

it('the exit status is the decision', async () => {
  const asked = ['--from', 'anonymous', '--to', 'travel', '--tool'];
  const allowed = await explain(...asked, 'files/read_file');
  expect(allowed.output).toContain('Lend     allowed: files/read_file to travel, by lending[0]');
  expect(allowed.code).toBe(0);
  const refused = await explain(...asked, 'mail/send', '--json');
  expect(JSON.parse(refused.output)).toMatchObject({
    call: { allowed: true },
    lend: { allowed: false, near: [{ rule: 'lending[0]', member: 'tools' }] },
  });
  expect(refused.code).toBe(1);
  expect((await explain(...asked.slice(2), 'mail/send')).code).toBe(2);
});
