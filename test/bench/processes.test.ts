import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { Processes, cpuMs, freePorts } from '../../bench/processes.ts';

const CONTESTANT = fileURLToPath(new URL('../../bench/contestant.ts', import.meta.url));

describe('the processes of a run', () => {
  it('a peer is started, serves, and is gone with its output when the run ends', async () => {
    const processes = await Processes.create();
    const [port = 0] = await freePorts(1);
    const peer = await processes.start({
      name: 'peer',
      args: [CONTESTANT, 'echo-agent-message', '', String(port)],
      port,
    });
    const { body } = await request(`${peer.origin}/.well-known/agent-card.json`);
    expect(await body.json()).toMatchObject({ skills: [{ id: 'echo' }] });
    expect(cpuMs(peer.pid)).toSatisfy(isTimeOrUnknown);

    await processes.stop();
    expect(() => process.kill(peer.pid, 0)).toThrow('ESRCH');
    expect(existsSync(processes.directory)).toBe(false);
  });

  it('a process that ends before it serves is reported with what it said', async () => {
    const processes = await Processes.create();
    const [port = 0] = await freePorts(1);
    const args = [CONTESTANT, 'nobody', '', String(port)];
    await expect(processes.start({ name: 'nobody', args, port })).rejects.toThrow(
      /nobody ended:[^]*no contestant is called nobody/,
    );
    await processes.stop();
  });

  it('free ports are all different', async () => {
    const ports = await freePorts(12);
    expect(new Set(ports).size).toBe(12);
  });
});

/** Only Linux tells; a process that has served a request has used some time there. */
function isTimeOrUnknown(ms: number | undefined): boolean {
  return process.platform === 'linux' ? ms !== undefined && ms > 0 : ms === undefined;
}
