/** The servers that callers lend over reverse channels: peers of their owners while they last. */
import type { Config } from './config/schema.ts';
import { createMintId, pooledRandomBytes } from './model/ids.ts';
import type { EventLog } from './observe/events.ts';
import { approved } from './peers/approved-peer.ts';
import { createChannelPeer } from './peers/mcp/peer.ts';
import { measured } from './peers/measured.ts';
import type { AuditLog } from './ports/audit.ts';
import type { ChannelPeer } from './ports/channel.ts';
import type { PeerDefinitions } from './ports/definitions.ts';
import { ReverseChannels } from './switchboard/reverse-channels.ts';
import { createTimeBudget } from './time-budget.ts';
import { SchemaValidator } from './translate/json-schema.ts';

/** What channels need. */
export interface ChannelParts {
  readonly config: () => Config;
  readonly events: EventLog;
  readonly audit: AuditLog;
  readonly definitions: () => {
    of(id: string, how: { perCaller: boolean }): PeerDefinitions;
    forget(id: string): Promise<void>;
  };
  /** Hears that an opened or closed channel could not be recorded. */
  readonly report: (error: unknown) => void;
}

/** The channels; none is open yet. */
export function openChannels(parts: ChannelParts): ReverseChannels {
  const { events, audit, report } = parts;
  const record = (event: 'channel.opened' | 'channel.closed', peer: string, owner: string) => {
    events.emit({ event, peer });
    audit.append({ kind: event, actor: owner, owner, peer, facts: {} }).catch(report);
  };
  return new ReverseChannels({
    makePeer: channelPeers(parts),
    onOpened: ({ id }, owner) => record('channel.opened', id, owner),
    onClosed: ({ id }, owner) => record('channel.closed', id, owner),
  });
}

function channelPeers({
  config,
  events,
  definitions,
}: Pick<ChannelParts, 'config' | 'events' | 'definitions'>): (id: string) => ChannelPeer {
  const validator = new SchemaValidator({ within: createTimeBudget() });
  const mintId = createMintId(pooledRandomBytes());
  return (id) => {
    const { peerConnect: connectMs, peerTimeout: callMs } = config().limits;
    const timeouts = { requestMs: callMs, connectMs, idleMs: callMs };
    const made = createChannelPeer({ id, clock: Date.now, mintId, validator, timeouts });
    const peer = measured(made.peer, events);
    return {
      ...made,
      // What it says of itself is cleaned like anybody's, and remembered for as long as it is here.
      peer: approved(peer, { definitions: definitions().of(id, { perCaller: false }) }),
      close: async () => {
        await made.close();
        await definitions().forget(id);
      },
    };
  };
}
