/** The parts of the endpoint of all peers, built once. */
import { defaultToolThreshold } from '../../discovery/aggregate-names.ts';
import type { PeerDirectory } from '../../discovery/listing.ts';
import type { JsonObject } from '../../model/json.ts';
import type { PeerRegistry } from '../../ports/peer.ts';
import type { AgentTools } from '../agent-tools.ts';
import type { FaceServices } from '../call-context.ts';
import type { AllPeers } from '../endpoint.ts';
import { AggregateCatalogue } from './catalogue.ts';
import type { AllOffers } from './catalogue.ts';
import { OfferChanges } from './changes.ts';
import { TaskPeers } from './task-peers.ts';

/** What the endpoint of all peers is built from. */
export interface AggregateOptions {
  /** The peers that are served here: those that the caller may know of. */
  peers: PeerRegistry;
  /** Their descriptions. */
  directory: PeerDirectory;
  /** How the gateway introduces itself; the same as in its server card. */
  serverInfo: { name: string; version: string; title?: string };
  /** With more tools of peers than this, only the search is listed. 100 when absent. */
  toolThreshold?: number;
}

/** See the file comment. */
export interface Aggregate {
  readonly endpoint: AllPeers;
  readonly peers: PeerRegistry;
  readonly catalogue: AggregateCatalogue;
  readonly changes: OfferChanges;
  readonly taskPeers: TaskPeers;
  /** Whether there are too many tools to list. */
  isSearchOnly(offers: AllOffers): boolean;
}

const instructions = [
  'The tools of several servers and agents at one place: ask_<agent> sends a message to an agent,',
  '<server>__<tool> is a tool of a server. find_tools searches all of them, and call_tool calls',
  'what was found, also where it is not listed. A result with a taskId is continued with get_task,',
  'answer_task and cancel_task.',
].join(' ');

/** Builds the parts. */
export function createAggregate(
  options: AggregateOptions,
  services: Pick<FaceServices, 'tasks'> & { agentTools: AgentTools },
): Aggregate {
  const { peers } = options;
  const threshold = options.toolThreshold ?? defaultToolThreshold;
  const catalogue = new AggregateCatalogue(options.directory, services.agentTools);
  const isSearchOnly = ({ tools }: AllOffers): boolean => tools.size > threshold;
  return {
    endpoint: { id: '', protocol: 'all', serverInfo: infoOf(options), instructions },
    peers,
    catalogue,
    changes: new OfferChanges(catalogue, (offers) =>
      isSearchOnly(offers) ? 'search only' : offers.mark,
    ),
    taskPeers: new TaskPeers({ ...services, peers }),
    isSearchOnly,
  };
}

function infoOf({ serverInfo }: AggregateOptions): JsonObject {
  const { name, version, title } = serverInfo;
  return { name, version, ...(title === undefined ? {} : { title }) };
}
