/** The parts of the endpoint of all peers: for each set of peers that callers may see, once. */
import { LRUCache } from 'lru-cache';
import { defaultToolThreshold } from '../../model/qualified-names.ts';
import type { PermittedFor, PermittedPeers } from '../../discovery/permitted-peers.ts';
import type { JsonObject } from '../../model/json.ts';
import type { Principal } from '../../model/principal.ts';
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
  /** The peers that a caller may know of, and their descriptions. */
  permitted: PermittedFor;
  /** How the gateway introduces itself; the same as in its server card. */
  serverInfo: { name: string; version: string; title?: string };
  /** With more tools of peers than this, only the search is listed. 100 when absent. */
  toolThreshold?: number;
}

/** All peers as one server. */
export interface Aggregate {
  readonly endpoint: AllPeers;
  /** The parts for what a caller may see; the same object for callers that see the same. */
  viewOf(principal: Principal): AggregateView;
}

/** The parts over one set of peers. */
export interface AggregateView {
  readonly peers: PeerRegistry;
  readonly catalogue: AggregateCatalogue;
  readonly changes: OfferChanges;
  readonly taskPeers: TaskPeers;
  /** Whether there are too many tools to list. */
  isSearchOnly(offers: AllOffers): boolean;
}

/** How many sets of peers are kept ready. */
const mostViews = 64;

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
  const views = new LRUCache<string, AggregateView>({ max: mostViews });
  return {
    endpoint: { id: '', protocol: 'all', serverInfo: infoOf(options), instructions },
    viewOf(principal) {
      const permitted = options.permitted(principal);
      const known = views.get(permitted.key);
      if (known?.peers === permitted.peers) return known;
      const view = viewOver(permitted, options, services);
      views.set(permitted.key, view);
      return view;
    },
  };
}

function viewOver(
  { peers, directory }: PermittedPeers,
  { toolThreshold = defaultToolThreshold }: AggregateOptions,
  services: Pick<FaceServices, 'tasks'> & { agentTools: AgentTools },
): AggregateView {
  const catalogue = new AggregateCatalogue(directory, services.agentTools);
  const isSearchOnly = ({ tools }: AllOffers): boolean => tools.size > toolThreshold;
  return {
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
