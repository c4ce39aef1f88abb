import { Agent } from 'undici';
import { guardedConnector, resolveWithSystem, type ResolveHost } from './egress/connector.ts';
import {
  defaultEgressLimits,
  send,
  type EgressLimits,
  type EgressReply,
  type EgressRequest,
  type RequestLimits,
  type Route,
} from './egress/exchange.ts';
import { fetchOver } from './egress/fetch.ts';
import { createEgressPolicy, type EgressRules } from './egress/policy.ts';
import { EgressRefusedError } from './egress/refused.ts';

/** What `createEgress` needs. */
export interface EgressOptions extends EgressRules {
  readonly limits?: Partial<EgressLimits>;
  /** Idle time after which a kept connection is closed; default 10 s. */
  readonly keepAliveMs?: number;
  /** Connections to one origin; default 1,024. */
  readonly connectionsPerOrigin?: number;
  /** Whether a URL leads to this gateway itself, where nothing may go. */
  readonly isOwn?: (url: URL) => boolean;
  /** Replaces the system's resolver. */
  readonly resolve?: ResolveHost;
  /** Hears of every refusal. */
  readonly onRefused?: (error: EgressRefusedError) => void;
}

/** The guarded client: the only way out of the gateway. */
export interface Egress {
  /**
   * WHATWG `fetch` for libraries. Differs in what it refuses: redirects, targets outside the
   * policy, compressed replies. Rejects with `EgressRefusedError` or `GatewayError`
   * (`peer-unavailable`, `peer-timeout`, `peer-protocol`), or the signal's own reason.
   */
  readonly fetch: typeof fetch;
  /** The same guard with a fraction of the cost: no WHATWG objects. */
  request(target: string | URL, request?: EgressRequest): Promise<EgressReply>;
  /** The same client and connections under other limits. */
  withLimits(limits: RequestLimits): Pick<Egress, 'fetch' | 'request'>;
  /** Checks a URL without a request; throws `EgressRefusedError`. */
  check(target: string | URL): void;
  /** Puts new rules in force; requests that are under way end under the old ones. */
  reconfigure(rules: EgressRules): void;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** Builds the guarded client. Throws a `TypeError` when an entry of `allow` cannot be read. */
export function createEgress(options: EgressOptions): Egress {
  const limits: EgressLimits = { ...defaultEgressLimits, ...options.limits };
  let route = openRoute(options, options, limits);

  const bind = (over: RequestLimits): Pick<Egress, 'fetch' | 'request'> => {
    const bound = { ...limits, ...over };
    const request: Egress['request'] = async (target, init = {}) => {
      try {
        return await send(route, target, init, limitsOf(init, bound));
      } catch (error) {
        if (error instanceof EgressRefusedError) options.onRefused?.(error);
        throw error;
      }
    };
    return { request, fetch: fetchOver(request) };
  };

  return {
    ...bind({}),
    withLimits: bind,
    check: (target) => void route.policy.checkUrl(target),
    reconfigure(rules) {
      const previous = route;
      route = openRoute(rules, options, limits);
      void previous.agent.close();
    },
    close: () => route.agent.destroy(),
  };
}

function openRoute(rules: EgressRules, options: EgressOptions, limits: EgressLimits): Route {
  const policy = createEgressPolicy(rules, options.isOwn);
  const connect = guardedConnector(policy, {
    resolve: options.resolve ?? resolveWithSystem,
    connectTimeoutMs: limits.connectTimeoutMs,
  });
  const agent = new Agent({
    connect,
    connections: options.connectionsPerOrigin ?? 1024,
    pipelining: 1,
    keepAliveTimeout: options.keepAliveMs ?? 10_000,
  });
  return { policy, agent };
}

/** The limits of one request. */
function limitsOf(init: EgressRequest, bound: EgressLimits): EgressLimits {
  const {
    headersTimeoutMs = bound.headersTimeoutMs,
    bodyTimeoutMs = bound.bodyTimeoutMs,
    streamIdleTimeoutMs = bound.streamIdleTimeoutMs,
    maxResponseBytes = bound.maxResponseBytes,
  } = init;
  const { connectTimeoutMs } = bound;
  return {
    connectTimeoutMs,
    headersTimeoutMs,
    bodyTimeoutMs,
    streamIdleTimeoutMs,
    maxResponseBytes,
  };
}
