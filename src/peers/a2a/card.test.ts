import { describe, expect, it } from 'vitest';
import { readCard } from './card.ts';

const rpc = { url: 'https://a.example/rpc', protocolBinding: 'JSONRPC', protocolVersion: '1.0' };
const rest = {
  url: 'https://a.example/rest',
  protocolBinding: 'HTTP+JSON',
  protocolVersion: '1.0',
};
const grpc = { url: 'https://a.example/grpc', protocolBinding: 'GRPC', protocolVersion: '1.0' };
const old = { ...rpc, url: 'https://a.example/old', protocolVersion: '0.3.0' };
const card = (supportedInterfaces: object[]) => ({ name: 'A', supportedInterfaces });

describe('the interface', () => {
  it('is the first that we speak, in the order of the card', () => {
    expect(readCard('p', card([grpc, rest, rpc])).chosen.url).toBe('https://a.example/rest');
    expect(readCard('p', card([rpc, rest])).chosen.url).toBe('https://a.example/rpc');
    expect(readCard('p', card([old, rpc])).chosen.url).toBe('https://a.example/old');
    expect(readCard('p', card([{ ...rpc, protocolVersion: '2.0' }, rest])).chosen).toEqual(rest);
  });

  it('may spell its binding in any case', () => {
    const { chosen } = readCard('p', card([{ ...rpc, protocolBinding: 'JsonRpc' }]));
    expect(chosen.protocolBinding).toBe('JSONRPC');
  });

  it('that nobody speaks is an error that lists what the card names', () => {
    expect(() => readCard('p', card([grpc]))).toThrow(/"p" names no interface .* only: GRPC 1\.0/);
  });
});

describe('a card of 0.3', () => {
  it('has one URL and others beside it, each once', () => {
    const { card: read, chosen } = readCard('p', {
      protocolVersion: '0.3.0',
      name: 'A',
      description: 'does',
      version: '7',
      url: 'https://a.example/rest',
      preferredTransport: 'HTTP+JSON',
      additionalInterfaces: [
        { url: 'https://a.example/rest', transport: 'HTTP+JSON' },
        { url: 'https://a.example/rpc', transport: 'JSONRPC' },
      ],
      supportsAuthenticatedExtendedCard: true,
      capabilities: { streaming: true },
      defaultInputModes: ['text/plain'],
      defaultOutputModes: ['text/plain'],
      skills: [{ id: 's', name: 'S', description: 'd', tags: ['t'], examples: ['e'] }],
    });
    expect(chosen).toEqual({ ...rest, protocolVersion: '0.3.0' });
    expect(read.supportedInterfaces).toHaveLength(2);
    expect(read.capabilities).toEqual({ streaming: true, extendedAgentCard: true });
    expect(read.skills).toEqual([
      { id: 's', name: 'S', description: 'd', tags: ['t'], examples: ['e'] },
    ]);
  });

  it('without a transport speaks JSON-RPC', () => {
    const { chosen } = readCard('p', { name: 'A', url: 'https://a.example/rpc' });
    expect(chosen).toEqual({ ...rpc, protocolVersion: '0.3' });
  });

  it('that has interfaces of 1.0 beside it is read as 1.0', () => {
    const both = { ...card([rpc]), url: 'https://a.example/old', protocolVersion: '0.3.0' };
    expect(readCard('p', both).chosen).toEqual(rpc);
  });

  it('of 0.2 is spoken to over JSON-RPC', () => {
    const older = { name: 'A', url: 'https://a.example/rpc', protocolVersion: '0.2.6' };
    expect(readCard('p', older).chosen).toEqual({ ...rpc, protocolVersion: '0.2.6' });
  });

  it('of a version before 0.2, which knew no messages, is refused', () => {
    const oldest = { name: 'A', url: 'https://a.example/rpc', protocolVersion: '0.1.0' };
    expect(() => readCard('p', oldest)).toThrow(/only: JSONRPC 0\.1\.0/);
  });
});
