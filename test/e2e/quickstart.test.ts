/** What the README tells a newcomer to do: start the quickstart, then run its two commands. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, heard, startChild, type Child } from '../faults/child.ts';

let dir: string;
let child: Child;
let origin: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-quickstart-'));
  const [port, travel, notes] = await Promise.all([freePort(), freePort(), freePort()]);
  const ports = ['--port', `${port}`, '--travel-port', `${travel}`, '--notes-port', `${notes}`];
  child = startChild('deploy/quickstart.ts', ports, {}, dir);
  await heard(child, /Ctrl-C stops them all/);
  origin = `http://127.0.0.1:${port}`;
});

afterAll(async () => {
  await child.end('SIGTERM');
  rmSync(dir, { recursive: true, force: true });
});

/** The commands that the quickstart has printed, run as curl would. */
async function printed(part: string): Promise<unknown> {
  const command = child
    .output()
    .split(/\n\n/)
    .find((block) => block.trimStart().startsWith('curl') && block.includes(part));
  if (command === undefined) throw new Error(`no command for ${part}:\n${child.output()}`);
  const url = /https?:\/\/[^\s'\\]+/.exec(command)?.[0] ?? '';
  const headers = [...command.matchAll(/-H '([^:]+): ([^']*)'/g)].map(
    ([, name = '', value = '']): [string, string] => [name, value],
  );
  const body = /-d '([^']*)'/.exec(command)?.[1] ?? '';
  const response = await fetch(url, { method: 'POST', headers, body });
  return response.json();
}

describe('the quickstart', () => {
  it('shows an agent called as a tool', async () => {
    expect(await printed('/mcp/travel')).toMatchObject({
      result: {
        resultType: 'complete',
        content: [{ type: 'text', text: 'Oslo: time zone Europe/Oslo, currency NOK.' }],
      },
    });
  });

  it('shows a tool called as an agent', async () => {
    expect(await printed('/a2a/notes')).toMatchObject({
      result: {
        task: {
          status: { state: 'TASK_STATE_COMPLETED' },
          artifacts: [{ parts: [{ data: { notes: [{ id: 'packing' }] } }] }],
        },
      },
    });
  });

  it('is ready, and stops with everything that it started', async () => {
    expect((await fetch(`${origin}/readyz`)).status).toBe(200);
    const pids = /Processes: (.*)\. Ctrl-C/.exec(child.output())?.[1]?.match(/\d+/g) ?? [];
    expect(pids).toHaveLength(3);
    expect(await child.end('SIGTERM')).toBe(0);
    for (const pid of pids) expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH');
  });
});
