import { completable } from '@modelcontextprotocol/sdk/server/completable.js';
import { ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { z } from 'zod';
import type { Notes } from './peer-content.ts';
import { BINARY, PNG } from './sample-media.ts';

/** The resources of the modern server, with the same URIs. */
export function registerLegacyResources(server: McpServer, notes: Notes): void {
  server.registerResource(
    'notes',
    new ResourceTemplate('test://notes/{name}', {
      list: () => ({
        resources: [...notes.keys()].map((uri) => ({
          uri,
          name: uri,
          title: `Note ${uri}`,
          mimeType: 'text/plain',
        })),
      }),
    }),
    { title: 'A note', mimeType: 'text/plain' },
    (uri) => {
      const text = notes.get(uri.href);
      return {
        contents: text === undefined ? [] : [{ uri: uri.href, mimeType: 'text/plain', text }],
      };
    },
  );
  server.registerResource(
    'blob',
    'test://blob',
    { title: 'Sixteen bytes', mimeType: 'application/octet-stream' },
    (uri) => ({
      contents: [{ uri: uri.href, mimeType: 'application/octet-stream', blob: BINARY }],
    }),
  );
  const cities = ['berlin', 'bern', 'lisbon'];
  server.registerResource(
    'city',
    new ResourceTemplate('test://cities/{city}', {
      list: undefined,
      complete: { city: (value) => cities.filter((city) => city.startsWith(value)) },
    }),
    { title: 'A city', mimeType: 'application/json' },
    (uri, { city }) => ({
      contents: [{ uri: uri.href, mimeType: 'application/json', text: JSON.stringify({ city }) }],
    }),
  );
}

/** The prompts of the modern server that need no answer. */
export function registerLegacyPrompts(server: McpServer): void {
  const languages = ['python', 'pascal', 'perl'];
  server.registerPrompt(
    'review',
    {
      title: 'Code review',
      description: 'Asks for a review',
      argsSchema: {
        language: completable(z.string().describe('Programming language'), (value) =>
          languages.filter((language) => language.startsWith(String(value))),
        ),
        focus: z.string().optional().describe('What to look at'),
      },
    },
    ({ language, focus }) => ({
      description: 'A review',
      messages: [
        {
          role: 'user',
          content: { type: 'text', text: `Review this ${language} for ${focus ?? 'anything'}` },
        },
      ],
    }),
  );
  server.registerPrompt('illustrated', { description: 'Text, image and a resource' }, () => ({
    messages: [
      { role: 'user', content: { type: 'image', data: PNG, mimeType: 'image/png' } },
      {
        role: 'user',
        content: {
          type: 'resource',
          resource: { uri: 'test://inline/text', mimeType: 'text/plain', text: 'Inline' },
        },
      },
      { role: 'assistant', content: { type: 'text', text: 'I see' } },
    ],
  }));
}
