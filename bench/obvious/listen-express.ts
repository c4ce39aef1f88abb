import type { Express } from 'express';
import type { Listening } from '../json-http.ts';

/** Serves an Express application on 127.0.0.1; port 0 takes a free one. */
export function listenExpress(app: Express, port: number): Promise<Listening> {
  return new Promise((resolve, reject) => {
    const server = app.listen(port, '127.0.0.1', (error) => {
      if (error !== undefined) {
        reject(error);
        return;
      }
      const address = server.address();
      const bound = typeof address === 'object' && address !== null ? address.port : port;
      resolve({
        origin: `http://127.0.0.1:${bound}`,
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            server.closeAllConnections();
          }),
      });
    });
  });
}
