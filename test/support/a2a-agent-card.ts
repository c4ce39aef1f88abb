/** The agent card of the scriptable agent, in the shapes of A2A 1.0 and 0.3. */
import type { AgentCard, AgentInterface, AgentSkill } from '@a2a-js/sdk';

/** The extension under which MCP requests and answers travel as data parts. */
export const TOOL_CALL_EXTENSION = 'urn:isthmus:ext:tool-call:v1';

export type A2aVersion = '1.0' | '0.3';
export type A2aBinding = 'JSONRPC' | 'HTTP+JSON';

/** Where each binding is mounted, below the agent's origin. */
export const BINDING_PATH: Record<A2aBinding, string> = {
  JSONRPC: '/a2a/jsonrpc',
  'HTTP+JSON': '/a2a/rest',
};

const SKILLS: readonly (readonly [id: string, description: string, ...examples: string[]])[] = [
  [
    'echo',
    'Says the same thing back, as a direct message',
    'echo hello there',
    'echo good morning',
  ],
  ['task', 'A task that is completed at once, with a text artifact', 'task hello'],
  ['slow', 'Works for the given milliseconds, with status updates on the way', 'slow 500'],
  ['stream', 'An artifact in the given number of chunks', 'stream 4'],
  ['big', 'A text artifact of the given number of bytes', 'big 100000'],
  ['binary', 'An artifact with an image, audio, other bytes, a URL and data', 'binary'],
  ['ask', 'Asks one question in prose, then uses the answer', 'ask'],
  ['ask2', 'Asks two questions, one after the other', 'ask2'],
  ['form', 'Asks with a JSON Schema in a data part', 'form'],
  ['auth', 'Wants the user to authorize at a URL', 'auth'],
  ['auth-two-urls', 'Wants authorization and names two URLs', 'auth-two-urls'],
  ['fail', 'Fails with a reason', 'fail no fuel'],
  ['reject', 'Rejects the request with a reason', 'reject not my job'],
  ['throw', 'Breaks in the middle', 'throw'],
  ['cancelable', 'Works until it is canceled', 'cancelable'],
  [
    'uncancelable',
    'Works for the given milliseconds and refuses to be canceled',
    'uncancelable 500',
  ],
  ['context', 'Returns the ids that it received', 'context'],
  ['files', 'Reports the file parts that it received', 'files'],
];

/** All skills of the scriptable agent. */
export function scriptedSkills(): AgentSkill[] {
  return SKILLS.map(([id, description, ...examples]) => ({
    id,
    name: id,
    description,
    tags: ['test'],
    examples,
    inputModes: [],
    outputModes: [],
    securityRequirements: [],
  }));
}

/** What the card depends on. */
export interface CardInput {
  origin: string;
  versions: readonly A2aVersion[];
  bindings: readonly A2aBinding[];
}

/** The card in the SDK's types, which the SDK writes in the 1.0 shape. */
export function scriptedCard(input: CardInput, overrides: Partial<AgentCard> = {}): AgentCard {
  const supportedInterfaces: AgentInterface[] = input.versions.flatMap((protocolVersion) =>
    input.bindings.map((protocolBinding) => ({
      url: `${input.origin}${BINDING_PATH[protocolBinding]}`,
      protocolBinding,
      tenant: '',
      protocolVersion,
    })),
  );
  return {
    name: 'Scripted agent',
    description: 'Does what the first word of the message says',
    supportedInterfaces,
    provider: { organization: 'Tests', url: 'https://tests.example' },
    version: '1.0.0',
    documentationUrl: undefined,
    capabilities: {
      streaming: true,
      pushNotifications: false,
      extendedAgentCard: false,
      extensions: [
        {
          uri: TOOL_CALL_EXTENSION,
          description: 'Questions carry their schema',
          required: false,
          params: undefined,
        },
      ],
    },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: ['text/plain', 'application/json'],
    defaultOutputModes: ['text/plain', 'application/json'],
    skills: scriptedSkills(),
    signatures: [],
    iconUrl: undefined,
    ...overrides,
  };
}

/**
 * The same card as an agent that knows only 0.3 writes it: one `url`, a preferred transport and no
 * `supportedInterfaces`. Spec: A2A 0.3 §5.5.
 */
export function legacyCardJson(card: AgentCard): Record<string, unknown> {
  const interfaces = card.supportedInterfaces.filter((one) => one.protocolVersion === '0.3');
  const [first, ...others] = interfaces;
  if (!first) throw new Error('a 0.3 card needs a 0.3 interface');
  return {
    protocolVersion: '0.3.0',
    name: card.name,
    description: card.description,
    url: first.url,
    preferredTransport: first.protocolBinding,
    additionalInterfaces: [first, ...others].map((one) => ({
      url: one.url,
      transport: one.protocolBinding,
    })),
    version: card.version,
    provider: card.provider,
    capabilities: {
      streaming: card.capabilities?.streaming ?? false,
      pushNotifications: card.capabilities?.pushNotifications ?? false,
      extensions: card.capabilities?.extensions ?? [],
    },
    defaultInputModes: card.defaultInputModes,
    defaultOutputModes: card.defaultOutputModes,
    skills: card.skills.map(({ id, name, description, tags, examples }) => ({
      id,
      name,
      description,
      tags,
      examples,
    })),
  };
}
