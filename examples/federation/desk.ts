/**
 * What is on Alice's computer, as a stdio MCP server: a folder of hers, and her mail. It listens
 * nowhere: `node desk.ts DIR`.
 */
import { mkdir, readFile, realpath, writeFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';
import { tell } from './tell.ts';

const dir = await realpath(process.argv[2] ?? '.');
const mail = { to: z.string(), subject: z.string(), text: z.string() };

serveStdio(() => {
  const server = new McpServer({ name: 'desk', version: '1.0.0' });
  server.registerTool(
    'read_file',
    { description: 'Reads a text file of mine', inputSchema: z.object({ path: z.string() }) },
    async ({ path }) => {
      const file = await realpath(join(dir, path));
      if (!file.startsWith(dir + sep)) throw new Error('That is not in the folder.');
      const text = await readFile(file, 'utf8');
      tell({ event: 'desk.read' });
      return { content: [{ type: 'text', text }] };
    },
  );
  server.registerTool(
    'send_mail',
    { description: 'Sends a mail in my name', inputSchema: z.object(mail) },
    async ({ to, subject, text }) => {
      await mkdir(join(dir, 'outbox'), { recursive: true });
      const file = join(dir, 'outbox', 'mail.txt');
      await writeFile(file, `To: ${to}\nSubject: ${subject}\n\n${text}\n`, { flag: 'wx' });
      tell({ event: 'desk.sent' });
      return { content: [{ type: 'text', text: 'Sent.' }] };
    },
  );
  return server;
});
