/** How the agent presents itself. */
import type { AgentCard } from '@a2a-js/sdk';
import { agentExtension } from '../../src/borrower/borrower.ts';

/** The agent card for an agent at `origin`, which redeems what it is lent as `clientId`. */
export function researchCard(origin: string, clientId: string): AgentCard {
  return {
    name: 'Research agent',
    description: 'Answers questions with the search and memory tools that it is lent',
    version: '1.0.0',
    provider: { organization: 'Example Research', url: 'https://research.example' },
    supportedInterfaces: [
      { url: `${origin}/a2a`, protocolBinding: 'JSONRPC', tenant: '', protocolVersion: '1.0' },
    ],
    capabilities: {
      streaming: true,
      pushNotifications: false,
      extensions: [agentExtension(clientId)],
    },
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain', 'application/json'],
    skills: [
      {
        id: 'research',
        name: 'Research a question',
        description: 'Searches, reads, remembers what it found, and answers with its sources',
        examples: ['When did the first Tacoma Narrows Bridge collapse?'],
        tags: ['research'],
        inputModes: [],
        outputModes: [],
        securityRequirements: [],
      },
    ],
    securitySchemes: {},
    securityRequirements: [],
    signatures: [],
  };
}
