/** `@modelcontextprotocol/server-everything` as it is published, on a free port of loopback. */
import { fileURLToPath } from 'node:url';
import { freePort, heard, startChild } from '../faults/child.ts';

/** A server that is to be found at `url`. */
export interface EverythingProcess {
  readonly url: string;
  close(): Promise<void>;
}

/** Starts it in Streamable HTTP mode; tries another port when somebody was faster. */
export async function startEverythingProcess(attempts = 3): Promise<EverythingProcess> {
  const program = fileURLToPath(
    import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'),
  );
  const port = await freePort();
  const child = startChild(program, ['streamableHttp'], { PORT: String(port) });
  try {
    await heard(child, /listening on port/);
  } catch (error) {
    await child.end('SIGKILL');
    if (attempts <= 1) throw error;
    return startEverythingProcess(attempts - 1);
  }
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    close: async () => void (await child.end('SIGKILL')),
  };
}
