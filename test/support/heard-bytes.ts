import type { Server } from 'node:http';

/** Every byte that reaches a server from now on, as text. */
export function heardBytes(server: Server): () => string {
  const chunks: Buffer[] = [];
  server.on('connection', (socket) => {
    socket.on('data', (chunk: Buffer) => void chunks.push(chunk));
  });
  return () => Buffer.concat(chunks).toString('latin1');
}
