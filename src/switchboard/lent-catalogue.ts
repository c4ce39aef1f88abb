/**
 * The definitions of lent tools: those of their peers, under the names that they are lent by. What a
 * peer that is away has is not known now; its tools are lent all the same.
 */
import { createHash } from 'node:crypto';
import type { JsonObject } from '../model/json.ts';
import { modernRevision } from '../model/mcp.ts';
import type { Principal } from '../model/principal.ts';
import type { Lease, LentTool } from '../ports/leases.ts';
import type { Catalogue, Peer, ToolPeer } from '../ports/peer.ts';
import { skillOfTool, toolsFromCard } from '../translate/skills.ts';

/** The word by which a server's resources are lent: `files/read_resource`. */
export const readResource = 'read_resource';

/** Everything that a peer can be asked to do, by its own names. */
export async function toolsOf(
  peer: Peer,
  context: { principal: Principal; signal: AbortSignal },
): Promise<JsonObject[]> {
  if (peer.protocol === 'a2a') {
    const card = await peer.card({ signal: context.signal });
    return toolsFromCard(card).map((tool) => {
      // What a skill's result has beside its content leads to a task that is not the borrower's.
      const { outputSchema: _structure, ...rest } = tool;
      const skill = skillOfTool(card, tool.name);
      const own = typeof skill === 'object' ? skill.id : tool.name;
      return { ...rest, name: own };
    });
  }
  const { tools, resources, resourceTemplates } = await peer.catalogue(context);
  if (resources.length === 0 && resourceTemplates.length === 0) return tools;
  const isTaken = tools.some(({ name }) => name === readResource);
  return isTaken ? tools : [...tools, readResourceTool(peer)];
}

/** A catalogue, and what it was made of. */
export interface MadeCatalogue {
  readonly lent: readonly LentTool[];
  /** By peer; undefined where one cannot be asked. */
  readonly offered: readonly (readonly JsonObject[] | undefined)[];
  readonly catalogue: Catalogue;
}

/** The catalogue of a callback endpoint; `before` again where nothing that it was made of differs. */
export async function catalogueOf(
  before: MadeCatalogue | undefined,
  { tools: lent }: Lease,
  peerAt: (id: string) => Peer | undefined,
  context: { principal: Principal; signal: AbortSignal },
): Promise<MadeCatalogue> {
  const ids = [...new Set(lent.map(({ peer }) => peer))];
  const offered = await Promise.all(
    ids.map(async (id) => {
      const peer = peerAt(id);
      return peer && toolsOf(peer, context).catch(() => undefined);
    }),
  );
  const isSame =
    before?.lent === lent && offered.every((tools, index) => tools === before.offered[index]);
  if (isSame) return before;
  const byPeer = new Map(ids.map((id, index) => [id, offered[index]]));
  const tools = lent.flatMap((one) => shownTool(one, byPeer.get(one.peer)));
  return { lent, offered, catalogue: shown(tools) };
}

function shown(tools: JsonObject[]): Catalogue {
  return {
    serverInfo: { name: 'lent-tools', title: 'Lent tools', version: '1' },
    instructions: 'Tools that are lent for one task. They are gone when it ends.',
    capabilities: { tools: {} },
    revision: modernRevision,
    tools,
    prompts: [],
    resources: [],
    resourceTemplates: [],
    // Whoever calls a tool does not ask for it.
    get version() {
      return createHash('sha256').update(JSON.stringify(tools)).digest('base64url').slice(0, 27);
    },
  };
}

function shownTool(
  { name, own }: LentTool,
  tools: readonly JsonObject[] | undefined,
): JsonObject[] {
  if (tools === undefined) {
    const description = 'This tool is away at the moment.';
    return [{ name, description, inputSchema: { type: 'object' } }];
  }
  const tool = tools.find((candidate) => candidate['name'] === own);
  return tool === undefined ? [] : [{ ...tool, name }];
}

function readResourceTool(peer: ToolPeer): JsonObject {
  return {
    name: readResource,
    title: `Read a resource of ${peer.id}`,
    description: `Reads a resource of the server "${peer.id}" by its URI.`,
    inputSchema: {
      type: 'object',
      properties: { uri: { type: 'string', description: 'The URI of the resource.' } },
      required: ['uri'],
      additionalProperties: false,
    },
    annotations: { readOnlyHint: true },
  };
}
