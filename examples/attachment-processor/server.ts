/**
 * Files by reference: URIs come in, a link goes out, and what the files hold is never in anything
 * that a model reads.
 */
import { McpServer, ResourceNotFoundError, ResourceTemplate } from '@modelcontextprotocol/server';
import type { CallToolResult } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { offerIn, serverExtension } from '../../src/borrower/borrower.ts';
import { Grantee, type GranteeOptions } from '../hosting/grantee.ts';
import type { CallContext } from '../hosting/lent-call.ts';
import { serveMcp, type HostOptions } from '../hosting/mcp-host.ts';
import { failure, reasonOf } from '../hosting/tool-result.ts';
import { LentReader, UnreadableError } from './lent-reader.ts';
import { Products } from './products.ts';
import { summaryOf, type NamedText, type Summary } from './summary.ts';

/** Starts it. */
export async function startAttachmentProcessor(options: HostOptions & GranteeOptions) {
  const grantee = new Grantee('Attachment processor', options);
  const products = new Products();
  return serveMcp(
    (origin) => {
      const server = new McpServer(
        { name: 'attachments', title: 'Attachment processor', version: '1.0.0' },
        { capabilities: { extensions: serverExtension(grantee.clientId(origin)) } },
      );
      registerTool(server, (uris, context) =>
        process(uris, { context, products, grantee, origin }),
      );
      registerProducts(server, products);
      return server;
    },
    { ...options, documents: (origin) => grantee.documents(origin) },
  );
}

function registerTool(
  server: McpServer,
  run: (uris: string[], context: CallContext) => Promise<CallToolResult>,
): void {
  server.registerTool(
    'process_attachments',
    {
      title: 'Summarize CSV files',
      description:
        'Reads CSV files by their URIs, with the tools that it is lent, and makes one CSV file of what numbers are in them. It returns a link to that file, and none of its content.',
      inputSchema: z.object({
        resources: z.array(z.string().max(2000)).min(1).max(20).describe('URIs of CSV files'),
      }),
    },
    ({ resources }, context) => run(resources, context),
  );
}

function registerProducts(server: McpServer, products: Products): void {
  // No list: who may read a product was told its URI.
  const template = new ResourceTemplate('summary://{id}/summary.csv', { list: undefined });
  server.registerResource(
    'summary',
    template,
    { title: 'A summary', mimeType: 'text/csv' },
    ({ href }) => {
      const text = products.get(href);
      if (text === undefined) throw new ResourceNotFoundError(href);
      return { contents: [{ uri: href, mimeType: 'text/csv', text }] };
    },
  );
}

interface Around {
  context: CallContext;
  products: Products;
  grantee: Grantee;
  origin: string;
}

async function process(uris: string[], around: Around): Promise<CallToolResult> {
  const { context, products, grantee, origin } = around;
  const { signal } = context.mcpReq;
  const files: NamedText[] = [];
  try {
    const offer = offerIn(context);
    if (offer === undefined) {
      return failure('Nothing was lent that could read these files. Lend a tool that does.');
    }
    await grantee.withLease(offer, { origin, signal }, async ({ client }) => {
      const { tools } = await client.listTools(undefined, { signal });
      const reader = new LentReader(client, tools, signal);
      for (const uri of uris) {
        const name = uri.split('/').at(-1) ?? uri;
        files.push({ name, text: await reader.read(uri) });
      }
    });
  } catch (error) {
    signal.throwIfAborted();
    // A tool's own words could quote the file that it was asked for.
    const why = error instanceof UnreadableError ? error.message : reasonOf(error);
    return failure(`File ${files.length + 1} of ${uris.length} could not be read: ${why}`);
  }
  const summary = summaryOf(files);
  return linkTo(products.keep(summary.csv), summary);
}

function linkTo(uri: string, { csv, ...counts }: Summary): CallToolResult {
  const { files, rows, columns } = counts;
  return {
    content: [
      { type: 'text', text: `${rows} rows of ${files} files, ${columns} columns with numbers.` },
      {
        type: 'resource_link',
        uri,
        name: 'summary.csv',
        mimeType: 'text/csv',
        size: Buffer.byteLength(csv),
      },
    ],
    structuredContent: { ...counts, uri },
  };
}
