/** SECURITY row 7: nothing that a peer names leads the gateway to itself. */
import { expect, it } from 'vitest';
import { startWebsite } from '../discovery/website.ts';
import { RawA2a, say } from '../faces/a2a-raw.ts';
import { freePort } from '../faults/child.ts';
import { startGatewayProcess } from '../faults/gateway-process.ts';
import { closing } from './world.ts';

const interfaceAt = (url: string) => ({
  url,
  protocolBinding: 'JSONRPC',
  protocolVersion: '1.0',
});

it('a card that names the gateway as its interface is not called in a circle', async () => {
  const port = await freePort();
  const site = closing(
    await startWebsite(
      Object.fromEntries(
        ['127.0.0.1', 'localhost', '[::1]', '0.0.0.0', '127.0.0.9'].map((host, n) => [
          `/card-${n}.json`,
          {
            name: `Loop ${n}`,
            description: 'Calls back',
            version: '1',
            supportedInterfaces: [interfaceAt(`http://${host}:${port}/a2a/loop-${n}`)],
            capabilities: {},
            defaultInputModes: ['text/plain'],
            defaultOutputModes: ['text/plain'],
            skills: [{ id: 's', name: 'S', description: 'd', tags: ['t'] }],
          },
        ]),
      ),
    ),
  );
  const peers = [0, 1, 2, 3, 4].map((n) => ({
    id: `loop-${n}`,
    a2a: `${site.url}/card-${n}.json`,
  }));
  peers.push({ id: 'loop-5', a2a: `http://127.0.0.1:${port}/a2a/loop-0` });
  const gateway = closing(await startGatewayProcess({ peers, port }));
  for (const { id } of peers) {
    const raw = new RawA2a(gateway.a2a(id));
    const { body } = await raw.rpc('SendMessage', say('hello'));
    const said = JSON.stringify(body);
    expect([id, said]).toEqual([id, expect.stringMatching(/egress rules|not reach|itself|refus/i)]);
  }
  const lines = gateway.log().filter(({ event }) => event === 'egress.refused');
  expect(lines.some(({ reason }) => reason === 'self')).toBe(true);
  expect(gateway.log().filter(({ event }) => event === 'task.created').length).toBeLessThan(10);
});
