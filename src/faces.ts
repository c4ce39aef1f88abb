/** What clients see: both faces over one engine, with the bounds of the configuration. */
import { createA2aFace, type A2aFace, type A2aFaceOptions } from './a2a/face.ts';
import { callerBounds } from './caller-limits.ts';
import type { Config } from './config/schema.ts';
import type { Identity } from './identity.ts';
import { createMcpFace, type McpFace, type McpFaceOptions } from './mcp/face.ts';
import { OwnerCap } from './model/owner-cap.ts';
import type { EventLog } from './observe/events.ts';
import type { Logger } from './observe/log.ts';
import type { Metrics } from './observe/metrics.ts';
import type { Publication } from './publication.ts';
import { createTimeBudget } from './time-budget.ts';
import { SchemaValidator } from './translate/json-schema.ts';

const keepAliveMs = 15_000;
const stallMs = 30_000;
const maxSubscriptions = 1024;
const pollIntervalMs = 1000;

type FaceParts = Omit<
  McpFaceOptions & A2aFaceOptions,
  'limits' | 'log' | 'schemas' | 'organization' | 'challenge' | 'streams' | 'origins'
>;

/** Builds both. */
export function createFaces(
  config: Config,
  services: FaceParts,
  around: {
    publication: Publication;
    identity: Identity;
    events: EventLog;
    logger: Logger;
    metrics: Metrics;
  },
): { mcp: McpFace; a2a: A2aFace } {
  const { publication, identity, events, logger, metrics } = around;
  const { access } = identity;
  const { agents, cards, aggregate } = publication;
  const { body, syncCall, streamQueue, artifactInline, sessionIdle, sessions } = config.limits;
  const limits = {
    bodyBytes: body,
    syncCallMs: syncCall,
    streamQueueBytes: streamQueue,
    keepAliveMs,
  };
  const logFor = (face: 'mcp' | 'a2a') => ({
    streamOpened: () => metrics.streamOpened(face),
    readerStalled: (queued: number) => events.emit({ event: 'stream.closed_slow', face, queued }),
    fault: (error: unknown, { peer, method = '' }: { peer: string; method?: string }) =>
      events.emit({ event: 'internal.error', where: `${face} ${peer} ${method}`.trim(), error }),
    event: (event: string, facts: Record<string, unknown>) =>
      logger.info({ event, ...facts }, event),
  });
  const { streams: mostStreams, sessions: maxSessionsPerOwner } = callerBounds(config);
  const streams = new OwnerCap(
    mostStreams,
    `You have ${mostStreams} streams open. Close one of them first.`,
  );
  return {
    mcp: createMcpFace({
      ...services,
      streams,
      origins: config.gateway,
      challenge: (endpoint, scopes) => access.challenge('mcp', endpoint, scopes),
      aggregate: { ...aggregate, toolThreshold: config.limits.aggregateTools },
      schemas: new SchemaValidator({ within: createTimeBudget() }),
      limits: {
        ...limits,
        inlineBytes: artifactInline,
        sessionIdleMs: sessionIdle,
        maxSessions: sessions,
        maxSessionsPerOwner,
        maxSubscriptions,
        pollIntervalMs,
      },
      log: logFor('mcp'),
    }),
    a2a: createA2aFace({
      ...services,
      streams,
      challenge: (peerId, scopes) => access.challenge('a2a', peerId, scopes),
      peers: agents,
      cards,
      organization: config.gateway.organization,
      limits: { ...limits, stallMs },
      log: logFor('a2a'),
    }),
  };
}
