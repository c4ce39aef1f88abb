/**
 * Which era a server lives in. It is asked in modern words first; what answers with anything but a
 * modern message is a legacy server.
 *
 * Spec: MCP 2026-07-28 basic/versioning; basic/transports/streamable-http "Backward Compatibility"
 */
import { GatewayError } from '../../model/errors.ts';
import { isObject, type JsonObject } from '../../model/json.ts';
import { legacyRevisions, modernRevision, type RpcError } from '../../model/mcp.ts';
import type { PeerContext } from '../../ports/peer.ts';
import type { ServerDescription } from './conversation.ts';
import { ask } from './exchange.ts';
import { offProtocol, rpcFailed } from './faults.ts';
import { modernHeaders, modernRequest, type DialectParts } from './modern-dialect.ts';

/** The answer to the probe. */
export type Era =
  { kind: 'modern'; description: ServerDescription } | { kind: 'legacy'; description?: never };

/** Revisions whose `initialize` we understand, newest first. */
export const initializeRevisions: readonly string[] = [
  ...legacyRevisions,
  '2025-03-26',
  '2024-11-05',
];

const unsupportedVersion = -32022;

/** Asks the server. Throws GatewayError when it cannot be reached or refuses us. */
export async function probeEra(
  parts: DialectParts,
  context: PeerContext,
  silenceMs: number,
): Promise<Era> {
  const { wire, requestId, clientInfo } = parts;
  const method = 'server/discover';
  try {
    const { outcome } = await ask(
      wire,
      modernRequest(requestId(), method, {}, context, { clientInfo }),
      {
        headers: modernHeaders(method, {}, context),
        signal: context.signal,
        stage: 'connect',
        silenceMs,
      },
    );
    if ('error' in outcome) return eraOfError(parts, outcome.error);
    const description = descriptionOf(outcome.result);
    return description === undefined ? { kind: 'legacy' } : { kind: 'modern', description };
  } catch (error) {
    // An HTTP status without an MCP message, or an answer in another shape, is no modern server.
    if (error instanceof GatewayError && error.code === 'peer-protocol') return { kind: 'legacy' };
    throw error;
  }
}

function eraOfError(parts: DialectParts, error: RpcError): Era {
  const { peerId } = parts.wire;
  if (error.code === unsupportedVersion) {
    const supported = isObject(error.data) ? error.data['supported'] : undefined;
    const offered: unknown[] = Array.isArray(supported) ? supported : [];
    if (initializeRevisions.some((revision) => offered.includes(revision))) {
      return { kind: 'legacy' };
    }
    throw offProtocol(peerId, 'connect', 'it speaks no protocol revision that the gateway knows');
  }
  // Spec: ibid.: header mismatch and missing capability are errors of a modern server too.
  if (error.code === -32020 || error.code === -32021) throw rpcFailed(peerId, error);
  return { kind: 'legacy' };
}

/** A `server/discover` result, or `undefined` when it is none that we can talk to. */
export function descriptionOf(result: JsonObject): ServerDescription | undefined {
  const versions = result['supportedVersions'];
  if (!Array.isArray(versions) || !versions.includes(modernRevision)) return undefined;
  const meta = isObject(result['_meta']) ? result['_meta'] : {};
  const info = meta['io.modelcontextprotocol/serverInfo'] ?? result['serverInfo'];
  const { instructions, ttlMs, capabilities } = result;
  return {
    serverInfo: isObject(info) ? info : {},
    capabilities: isObject(capabilities) ? capabilities : {},
    revision: modernRevision,
    ...(typeof instructions === 'string' && { instructions }),
    ...(typeof ttlMs === 'number' && { ttlMs }),
  };
}
