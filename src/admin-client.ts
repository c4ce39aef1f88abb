/** Asks the admin API of a gateway that runs on this machine. */
import { request } from 'node:http';
import { readAdminToken } from './auth/admin-token.ts';
import type { Config } from './config/schema.ts';

/** Adds a peer to the gateway of a configuration. Rejects with what the gateway said against it. */
export function addPeerOver(config: Config): (entry: object) => Promise<void> {
  const { host, port } = config.gateway.listen;
  return async (entry) => {
    const token = readAdminToken(config.keys.dir);
    if (token === undefined) {
      throw new Error(`there is no admin-token in ${config.keys.dir}: no gateway has run there`);
    }
    const { status, body } = await post({ host, port, token }, '/admin/peers', entry);
    if (status >= 200 && status < 300) return;
    throw new Error(problemText(body) ?? `the gateway answered with HTTP ${status}`);
  };
}

const patienceMs = 30_000;

function post(
  { token, ...at }: { host: string; port: number; token: string },
  path: string,
  content: object,
): Promise<{ status: number; body: string }> {
  const text = JSON.stringify(content);
  return new Promise((resolve, reject) => {
    const req = request({
      ...at,
      path,
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
      },
      signal: AbortSignal.timeout(patienceMs),
    });
    req.on('error', (cause) =>
      reject(new Error(`no gateway answers at ${at.host}:${at.port}. Start it first.`, { cause })),
    );
    req.on('response', (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('error', reject);
      res.on('end', () =>
        resolve({ status: res.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    req.end(text);
  });
}

/** The words of a problem document. Spec: RFC 9457 §3.1 */
function problemText(body: string): string | undefined {
  try {
    const { title, detail, mistakes } = JSON.parse(body) as {
      title?: string;
      detail?: string;
      mistakes?: { path: string; message: string }[];
    };
    const wrong = (mistakes ?? []).map(({ path, message }) => `${path}: ${message}`);
    return [detail ?? title, ...wrong].filter((text) => text !== undefined).join('; ') || undefined;
  } catch {
    return undefined;
  }
}
