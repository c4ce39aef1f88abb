/** How the agent presents itself. Clients read this before anything else. */
import type { AgentCard, AgentSkill } from '@a2a-js/sdk';

/** Under this extension a question carries its JSON Schema, so that a client can show a form. */
export const FORM_EXTENSION = 'urn:isthmus:ext:tool-call:v1';

/** The agent card for an agent that is reachable at `origin`. */
export function travelCard(origin: string): AgentCard {
  return {
    name: 'Travel agent',
    description: 'Plans and books small trips',
    version: '1.0.0',
    provider: { organization: 'Example Travel', url: 'https://travel.example' },
    supportedInterfaces: [
      { url: `${origin}/a2a`, protocolBinding: 'JSONRPC', tenant: '', protocolVersion: '1.0' },
      { url: `${origin}/rest`, protocolBinding: 'HTTP+JSON', tenant: '', protocolVersion: '1.0' },
      { url: `${origin}/a2a`, protocolBinding: 'JSONRPC', tenant: '', protocolVersion: '0.3' },
    ],
    capabilities: {
      streaming: true,
      pushNotifications: false,
      extensions: [
        {
          uri: FORM_EXTENSION,
          description: 'Questions carry a JSON Schema',
          required: false,
          params: undefined,
        },
      ],
    },
    defaultInputModes: ['text/plain', 'application/json'],
    defaultOutputModes: ['text/plain', 'application/json'],
    skills: [
      skill('plan_trip', 'Plan a trip', 'Plans a trip day by day; asks for the date if need be', [
        'Plan 3 days in Lisbon from 2027-05-02',
        'Plan 2 days in Kyoto',
      ]),
      skill('book', 'Book a trip', 'Books a trip once you have authorized it', [
        'Book 2 days in Oslo from 2027-06-20',
      ]),
      skill('quick_lookup', 'Look a city up', 'Time zone and currency of a city, at once', [
        'Which currency do they use in Oslo?',
      ]),
    ],
    securitySchemes: {},
    securityRequirements: [],
    signatures: [],
  };
}

function skill(id: string, name: string, description: string, examples: string[]): AgentSkill {
  return {
    id,
    name,
    description,
    examples,
    tags: ['travel'],
    inputModes: [],
    outputModes: [],
    securityRequirements: [],
  };
}
