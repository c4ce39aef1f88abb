/**
 * The one tool that stands for a whole agent at the endpoint of all peers: a message, and which
 * skill it is for, if the caller wants to say so. Arguments and result are those of a skill tool.
 */
import type { AgentCard } from '../../model/a2a.ts';
import { isObject } from '../../model/json.ts';
import type { Json, JsonObject } from '../../model/json.ts';
import type { Tool } from '../../model/mcp.ts';
import { plainText, shortened } from '../../translate/plain-text.ts';
import { toolsFromCard } from '../../translate/skills.ts';
import { askName } from '../../model/qualified-names.ts';

/** How much of an agent's words a model reads before it has chosen the agent. */
const mostSkills = 20;
const mostAbout = 600;
const mostPerSkill = 160;

/** The tool of an agent. */
export function askToolFrom(peerId: string, card: AgentCard): Tool {
  const [tool] = toolsFromCard(card);
  const title = plainText(card.name) || peerId;
  return {
    name: askName(peerId),
    title: shortened(`Ask ${title}`, 100),
    description: described(title, card),
    inputSchema: withSkill(tool?.inputSchema ?? {}, card),
    ...(tool?.outputSchema === undefined ? {} : { outputSchema: tool.outputSchema }),
    annotations: { openWorldHint: true },
    _meta: { 'isthmus/peer': peerId },
  };
}

function described(title: string, card: AgentCard): string {
  const skills = card.skills.slice(0, mostSkills).map(({ id, name, description }) => {
    const words = shortened(plainText(description || name), mostPerSkill);
    return `- ${plainText(id)}: ${words}`;
  });
  const more = card.skills.length - skills.length;
  if (more > 0) skills.push(`- and ${more} more`);
  return [
    `Sends a message to the agent "${shortened(title, 100)}".`,
    shortened(plainText(card.description), mostAbout),
    skills.length === 0 ? '' : `Its skills:\n${skills.join('\n')}`,
  ]
    .filter((line) => line !== '')
    .join('\n\n');
}

function withSkill(schema: JsonObject, card: AgentCard): JsonObject {
  const ids = [...new Set(card.skills.map(({ id }) => id))];
  if (ids.length === 0) return schema;
  const properties: { [name: string]: Json } = isObject(schema['properties'])
    ? schema['properties']
    : {};
  const skill: JsonObject = {
    type: 'string',
    enum: ids,
    description: 'The skill that the message is for. Leave it out to let the agent decide.',
  };
  return { ...schema, properties: { ...properties, skill } };
}
