/**
 * A third party: a calendar in which people have accounts, with its own authorization server and an
 * MCP server at `/mcp`. Everybody may see what it can do; doing it takes a token of the person.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { z } from 'zod';
import { createAuthorizationServer } from './authorization-server.ts';
import { tell } from './tell.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    gateway: { type: 'string', default: '' },
    person: { type: 'string', multiple: true, default: [] },
  },
});
const origin = `http://127.0.0.1:${values.port}`;
const resource = `${origin}/mcp`;
const authorize = createAuthorizationServer({
  issuer: origin,
  gateway: values.gateway,
  redirectUri: `${values.gateway}/connect/callback/calendar`,
  people: values.person,
  resources: { [resource]: 'calendar.write' },
  asks: true,
});
const keys = createRemoteJWKSet(new URL(`${origin}/jwks`));
const events = new Map<string, string[]>();

/** The calendar of one person, or of nobody yet. */
function calendarOf(who: string | undefined): McpServer {
  const server = new McpServer({ name: 'calendar', title: 'Example Calendar', version: '1.0.0' });
  server.registerTool(
    'add_event',
    {
      title: 'Add an event',
      description: 'Enters an event into your calendar',
      inputSchema: z.object({ title: z.string(), day: z.string() }),
    },
    ({ title, day }) => {
      if (who === undefined) throw new Error('Nobody is logged in.');
      const all = [...(events.get(who) ?? []), `${day} ${title}`];
      events.set(who, all);
      tell({ event: 'calendar.added', who, count: all.length });
      return { content: [{ type: 'text', text: `${title} is in ${who}'s calendar on ${day}.` }] };
    },
  );
  return server;
}

/** Who a token is for; undefined when it does not count. Spec: RFC 9068 §4 */
async function personOf({ headers }: IncomingMessage): Promise<string | undefined> {
  const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '';
  const wanted = { issuer: origin, audience: resource, typ: 'at+jwt' };
  const verified = await jwtVerify(token, keys, wanted).catch(() => undefined);
  const { sub, scope } = verified?.payload ?? {};
  return String(scope).split(' ').includes('calendar.write') ? sub : undefined;
}

async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const body: unknown = req.method === 'POST' ? JSON.parse(await text(req)) : undefined;
  const who = await personOf(req);
  const { method } = (body ?? {}) as { method?: unknown };
  if (method === 'tools/call' && who === undefined) {
    res.writeHead(401, { 'www-authenticate': 'Bearer scope="calendar.write"' }).end();
    return;
  }
  const handler = createMcpHandler(() => calendarOf(who), { legacy: 'reject' });
  await toNodeHandler(handler)(req, res, body);
}

createServer((req, res) => {
  if (req.url !== '/mcp') return authorize(req, res);
  serve(req, res).catch(() => res.destroy());
}).listen(Number(values.port), '127.0.0.1');
