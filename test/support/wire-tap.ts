/** A wire to a port of this machine: passes every byte on, both ways, and keeps them. */
import { connect, createServer, type AddressInfo } from 'node:net';

/** What went over one connection, as text (latin1). */
export interface TappedConnection {
  sent(): string;
  answered(): string;
}

/** A wire. */
export interface WireTap {
  readonly origin: string;
  readonly connections: readonly TappedConnection[];
  close(): Promise<void>;
}

/** Starts it on a free port of 127.0.0.1. */
export async function startWireTap(port: number): Promise<WireTap> {
  const connections: TappedConnection[] = [];
  const server = createServer((socket) => {
    const sent: Buffer[] = [];
    const answered: Buffer[] = [];
    connections.push({ sent: () => textOf(sent), answered: () => textOf(answered) });
    const onward = connect(port, '127.0.0.1');
    socket.on('data', (chunk: Buffer) => void sent.push(chunk));
    onward.on('data', (chunk: Buffer) => void answered.push(chunk));
    socket.pipe(onward).pipe(socket);
    for (const end of [socket, onward]) {
      end.on('error', () => {
        socket.destroy();
        onward.destroy();
      });
    }
    socket.on('close', () => onward.destroy());
    onward.on('close', () => socket.destroy());
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections,
    close: () => new Promise((resolve) => void server.close(() => resolve())),
  };
}

/** As it was, and once more without the marks of chunks, which could cut a word in two. */
function textOf(chunks: readonly Buffer[]): string {
  const text = Buffer.concat(chunks).toString('latin1');
  return `${text}\n${text.replace(/\r\n[0-9a-f]{1,8}\r\n/gi, '')}`;
}
