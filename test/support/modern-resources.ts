import {
  acceptedContent,
  completable,
  inputRequired,
  ResourceTemplate,
} from '@modelcontextprotocol/server';
import type { McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { PeerContent } from './peer-content.ts';
import { BINARY, PNG } from './sample-media.ts';

/** Text that changes, a blob, and a template with completion. */
export function registerModernResources(server: McpServer, content: PeerContent): void {
  for (const [uri, note] of content.notes) {
    server.registerResource(
      uri,
      uri,
      { title: `Note ${uri}`, mimeType: 'text/plain', annotations: { audience: ['user'] } },
      () => ({ contents: [{ uri, mimeType: 'text/plain', text: note }] }),
    );
  }
  server.registerResource(
    'blob',
    'test://blob',
    { title: 'Sixteen bytes', mimeType: 'application/octet-stream', size: 16 },
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

/** Prompts with and without arguments, with media, and one that asks first. */
export function registerModernPrompts(server: McpServer, content: PeerContent): void {
  const languages = ['python', 'pascal', 'perl'];
  server.registerPrompt(
    'review',
    {
      title: 'Code review',
      description: 'Asks for a review',
      argsSchema: z.object({
        language: completable(z.string().describe('Programming language'), (value) =>
          languages.filter((language) => language.startsWith(value)),
        ),
        focus: z.string().optional().describe('What to look at'),
      }),
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
  server.registerPrompt('ask_first', { description: 'Needs an answer first' }, (ctx) => {
    const topic = acceptedContent(ctx.mcpReq.inputResponses, 'topic')?.topic;
    if (typeof topic === 'string') {
      return { messages: [{ role: 'user', content: { type: 'text', text: `About ${topic}` } }] };
    }
    return inputRequired({
      inputRequests: {
        topic: inputRequired.elicit({
          message: 'About what?',
          requestedSchema: {
            type: 'object',
            properties: { topic: { type: 'string' } },
            required: ['topic'],
          },
        }),
      },
    });
  });
  for (const name of content.prompts) {
    server.registerPrompt(name, { description: 'Comes and goes' }, () => ({
      messages: [{ role: 'user', content: { type: 'text', text: name } }],
    }));
  }
}
