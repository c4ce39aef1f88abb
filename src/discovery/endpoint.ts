/**
 * Serves the published documents: `/.well-known/mcp.json`, `ai-catalog.json` and `jwks.json`, the
 * Server Cards, and the registry's read API. No caller is asked who it is.
 *
 * Spec: MCP Server Cards, discovery; AI Catalog 1.0, "Discovery"; MCP Registry API v0.1
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { aiCatalogPath } from './ai-catalog.ts';
import { DiscoveryDocuments, mcpJsonPath } from './documents.ts';
import type { DocumentOptions } from './documents.ts';
import { answeredByMethod, sendDocument, sendError, tagged } from './http-document.ts';
import type { HttpDocument } from './http-document.ts';
import { registryPath } from './registry.ts';

/** What the endpoint is made of. */
export interface DiscoveryEndpointOptions extends DocumentOptions {
  /** The key set that signatures of this gateway are verified with, as JSON; none without it. */
  readonly jwks?: () => string | Promise<string>;
  /** How long the first readers wait for peers that nobody has looked at yet (ms); 1000 when absent. */
  readonly settleMs?: number;
}

/** Spec: RFC 7517 §8.5.2 */
const jwksType = 'application/jwk-set+json';

const jwksPath = '/.well-known/jwks.json';
const gatewayCardPath = '/mcp/server-card';
const peerCardPath = /^\/mcp\/([a-z0-9-]{1,63})\/server-card$/;

/** See the file comment. */
export class DiscoveryEndpoint {
  readonly #options: DiscoveryEndpointOptions;
  readonly #documents: DiscoveryDocuments;
  #settled = false;

  constructor(options: DiscoveryEndpointOptions) {
    this.#options = options;
    this.#documents = new DiscoveryDocuments(options);
  }

  /** Whether a path, without its query, is one of the endpoint's. */
  serves(path: string): boolean {
    return (
      path === mcpJsonPath ||
      path === aiCatalogPath ||
      path === gatewayCardPath ||
      (path === jwksPath && this.#options.jwks !== undefined) ||
      path === registryPath ||
      path.startsWith(`${registryPath}/`) ||
      peerCardPath.test(path)
    );
  }

  /** Answers a request for a path without its query. False: not answered, it is not ours. */
  async handle(req: IncomingMessage, res: ServerResponse, path: string): Promise<boolean> {
    if (!this.serves(path)) return false;
    if (answeredByMethod(req, res)) return true;
    await this.#settle();
    if (path === registryPath || path.startsWith(`${registryPath}/`)) {
      this.#sendRegistry(req, res, path);
      return true;
    }
    const document = await this.#find(path);
    if (document === undefined) sendError(req, res, { status: 404, error: 'Server not found' });
    else sendDocument(req, res, document);
    return true;
  }

  async #find(path: string): Promise<HttpDocument | undefined> {
    if (path === mcpJsonPath) return this.#documents.mcpJson();
    if (path === aiCatalogPath) return this.#documents.aiCatalog();
    if (path === gatewayCardPath) return this.#documents.serverCard();
    if (path === jwksPath) {
      const jwks = await this.#options.jwks?.();
      return jwks === undefined ? undefined : { ...tagged(jwks), contentType: jwksType };
    }
    const peerId = peerCardPath.exec(path)?.[1];
    return peerId === undefined ? undefined : this.#documents.serverCard(peerId);
  }

  #sendRegistry(req: IncomingMessage, res: ServerResponse, path: string): void {
    const query = /\?([^#]*)/.exec(req.url ?? '')?.[1] ?? '';
    const answer = this.#documents.registry().answer(path, new URLSearchParams(query));
    if ('error' in answer) sendError(req, res, answer);
    else sendDocument(req, res, this.#documents.json(answer.body));
  }

  /** Only at the start: afterwards a peer that comes is shown as soon as it was looked at. */
  async #settle(): Promise<void> {
    if (this.#settled) return;
    await this.#options.directory.settled(this.#options.settleMs ?? 1000);
    this.#settled = true;
  }
}
