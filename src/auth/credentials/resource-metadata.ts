/**
 * What a peer that refuses a token says about where tokens come from. It is compared with what the
 * operator pinned, and never followed elsewhere.
 *
 * Spec: RFC 9728 §3.3, §5.1; MCP 2026-07-28 basic/authorization "Authorization Server Location"
 */
import { z } from 'zod';
import { GatewayError } from '../../model/errors.ts';
import type { Clock } from '../../model/ids.ts';
import { challengeParameter, type Challenge } from './challenges.ts';

/** What the comparison needs. */
export interface ResourceMetadataOptions {
  readonly peerId: string;
  /** What tokens are asked for. */
  readonly resource: string;
  /** The pinned issuer. */
  readonly issuer: string;
  /** The guarded way out. */
  readonly fetch: typeof fetch;
  readonly clock: Clock;
}

/** Throws GatewayError `peer-refused` when the peer's metadata contradicts the configuration. */
export type ResourceMetadataCheck = (challenges: readonly Challenge[]) => Promise<void>;

const timeoutMs = 10_000;
const freshMs = 60_000;

const documentShape = z.object({
  resource: z.string(),
  authorization_servers: z.array(z.string()).optional(),
});

/** Builds the check. A document is read at most once a minute. */
export function createResourceMetadataCheck(
  options: ResourceMetadataOptions,
): ResourceMetadataCheck {
  const { clock } = options;
  let last: { url: string; until: number; problem: Promise<string | undefined> } | undefined;
  return async (challenges) => {
    const url = challengeParameter(challenges, 'resource_metadata');
    if (url === undefined) return;
    if (last?.url !== url || clock() >= last.until) {
      last = { url, until: clock() + freshMs, problem: problemAt(url, options) };
    }
    const problem = await last.problem;
    if (problem === undefined) return;
    throw new GatewayError(
      'peer-refused',
      `"${options.peerId}" refused the gateway's token, and ${problem}`,
      { facts: { peer: options.peerId, stage: 'token', status: 401 } },
    );
  };
}

/** What is wrong with the metadata at a URL, if anything is. What cannot be read says nothing. */
async function problemAt(
  text: string,
  options: ResourceMetadataOptions,
): Promise<string | undefined> {
  const { resource, issuer } = options;
  const url = URL.parse(text);
  if (url === null || url.origin !== URL.parse(resource)?.origin) {
    return "its metadata is said to be at another origin than the peer, where it is not read. The gateway's operator has to check the peer's URL and credentials.resource.";
  }
  const found = await readDocument(url, options);
  if (found === undefined) return undefined;
  // Spec: RFC 9728 §3.3: identical, or the document must not be used
  if (!isSameUrl(found.resource, resource)) {
    return "its metadata is about another resource than tokens are asked for. The gateway's operator has to set credentials.resource to what the peer calls itself.";
  }
  const servers = found.authorization_servers;
  if (servers === undefined || servers.some((one) => isSameUrl(one, issuer))) return undefined;
  return "its metadata does not name the authorization server that is configured for it. It is not followed to another one: the gateway's operator has to check credentials.issuer.";
}

async function readDocument(
  url: URL,
  options: Pick<ResourceMetadataOptions, 'fetch'>,
): Promise<z.output<typeof documentShape> | undefined> {
  try {
    const response = await options.fetch(url.href, {
      headers: { accept: 'application/json' },
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (response.status === 200) return documentShape.safeParse(await response.json()).data;
    await response.body?.cancel();
  } catch {
    // The pinned issuer counts, with or without this document.
  }
  return undefined;
}

/** SDKs publish issuers with a slash behind the origin that they do not have. */
function isSameUrl(one: string, other: string): boolean {
  return one === other || (URL.canParse(one) && URL.parse(one)?.href === URL.parse(other)?.href);
}
