/**
 * Which era a server lives in. It is asked in modern words first; what answers with anything but a
 * modern message is a legacy server.
 *
 * Spec: MCP 2026-07-28 basic/versioning; basic/transports/streamable-http "Backward Compatibility"
 */
import { GatewayError } from '../../model/errors.ts';
import { isObject, type JsonObject } from '../../model/json.ts';
import {
  legacyRevisions,
  modernRevision,
  type RpcError,
  type RpcOutcome,
} from '../../model/mcp.ts';
import type { PeerContext } from '../../ports/peer.ts';
import type { ServerDescription } from './conversation.ts';
import { offProtocol, rpcFailed } from './faults.ts';
import { modernHeaders, modernRequest, type DialectParts } from './modern-dialect.ts';
import { ask } from './wire.ts';

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
  const probe = () =>
    ask(wire, modernRequest(requestId(), method, {}, context, { clientInfo }), {
      headers: modernHeaders(method, {}, context),
      principal: context.principal,
      signal: context.signal,
      stage: 'connect',
      silenceMs,
    });
  let outcome: RpcOutcome;
  try {
    ({ outcome } = await probe());
    if ('error' in outcome && offersOurs(outcome.error)) ({ outcome } = await probe());
  } catch (error) {
    // An HTTP status without an MCP message, or an answer in another shape, is no modern server.
    if (error instanceof GatewayError && error.code === 'peer-protocol') return { kind: 'legacy' };
    // Spec: ibid., basic/transports/stdio: a server that says nothing to it may know no such request.
    const isSilent = error instanceof GatewayError && error.code === 'peer-timeout';
    if (isSilent && wire.isShared) return { kind: 'legacy' };
    throw error;
  }
  if ('error' in outcome) return eraOfError(wire.peerId, outcome.error);
  const description = descriptionOf(outcome.result);
  return description === undefined ? { kind: 'legacy' } : { kind: 'modern', description };
}

/** The revisions that a server names when it refuses one. */
function offeredBy(error: RpcError): unknown[] {
  const supported = isObject(error.data) ? error.data['supported'] : undefined;
  return Array.isArray(supported) ? supported : [];
}

/** Whether a server refuses a revision and names ours: then it is asked in it once more. */
function offersOurs(error: RpcError): boolean {
  return error.code === unsupportedVersion && offeredBy(error).includes(modernRevision);
}

function eraOfError(peerId: string, error: RpcError): Era {
  if (error.code === unsupportedVersion) {
    const offered = offeredBy(error);
    const legacy = initializeRevisions.some((revision) => offered.includes(revision));
    if (legacy && !offersOurs(error)) return { kind: 'legacy' };
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
