/**
 * Asking for documents and keeping a record of it. Nothing identifies the gateway: no credentials,
 * no cookies. Every address passes the same checks, whoever named it.
 */
import { GatewayError } from '../../model/errors.ts';
import type { Clock } from '../../model/ids.ts';
import { readJsonDocument } from '../../translate/json-document.ts';
import { defaultResolveLimits, shown, urlProblem } from './candidate.ts';
import type { ResolveLimits, Step } from './candidate.ts';
import { essence } from './document-kind.ts';
import { linksOf } from './link-header.ts';
import type { HeaderLink } from './link-header.ts';

/** What looking needs. */
export interface ResolveDeps {
  /** The guarded way out. */
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly limits?: Partial<ResolveLimits>;
  readonly signal?: AbortSignal;
}

/** A step that is still being written. */
export type OpenStep = { -readonly [K in keyof Step]: Step[K] };

/** What a URL answered. */
export interface Answer {
  readonly url: URL;
  readonly step: OpenStep;
  /** The JSON of a good reply. */
  readonly document?: { readonly value: unknown; readonly raw: string; readonly mediaType: string };
  readonly links: readonly HeaderLink[];
  /** No connection, or none allowed: its neighbours would answer no better. */
  readonly unreachable: boolean;
  /** Whether this is how the endpoint of a protocol answers a GET. */
  readonly looksLikeEndpoint: boolean;
}

type Body = { text: string } | { problem: string };

/** Every kind of document that is understood. */
export const acceptedTypes =
  'application/json, application/a2a-agent-card+json, application/mcp-server-card+json, application/ai-catalog+json';

/** One search, its record and what it may still cost. */
export class Inquiry {
  readonly limits: ResolveLimits;
  readonly steps: OpenStep[] = [];
  readonly #deps: ResolveDeps;
  readonly #asked = new Set<string>();
  readonly #startedAt: number;
  #requests = 0;

  constructor(deps: ResolveDeps) {
    this.#deps = deps;
    this.limits = { ...defaultResolveLimits, ...deps.limits };
    this.#startedAt = deps.clock();
  }

  /** Why nothing more may be asked; undefined while there is room. */
  get spent(): string | undefined {
    const { requests, totalMs } = this.limits;
    if (this.#requests >= requests) return `no more than ${requests} documents are asked for`;
    const left = this.#startedAt + totalMs - this.#deps.clock();
    return left > 0 ? undefined : `looking ends after ${totalMs} ms`;
  }

  /** Records something that was seen without a request of its own. */
  note(asked: string, why: string, said: Pick<Step, 'outcome' | 'found'>): OpenStep {
    const step: OpenStep = { asked, why, ms: 0, ...said };
    this.steps.push(step);
    return step;
  }

  /** Asks for a document. Undefined when it has been asked for already. */
  async ask(url: URL, why: string, accept = acceptedTypes): Promise<Answer | undefined> {
    const target = new URL(url);
    target.hash = '';
    const problem = urlProblem(target);
    if (problem !== undefined) return this.#refuse(target, why, `not asked: its URL ${problem}`);
    if (this.#asked.has(target.href)) return undefined;
    const { spent } = this;
    if (spent !== undefined) return this.#refuse(target, why, `not asked: ${spent}`);
    this.#asked.add(target.href);
    this.#requests += 1;
    const startedAt = this.#deps.clock();
    const step = this.note(target.href, why, { outcome: 'nothing', found: '' });
    const answer = await this.#exchange(target, step, accept);
    step.ms = Math.max(0, this.#deps.clock() - startedAt);
    return answer;
  }

  #refuse(url: URL, why: string, found: string): Answer {
    const step = this.note(shown(url.href, 300), why, { outcome: 'refused', found });
    return { url, step, links: [], unreachable: true, looksLikeEndpoint: false };
  }

  async #exchange(url: URL, step: OpenStep, accept: string): Promise<Answer> {
    const nothing = { url, step, links: [], unreachable: false, looksLikeEndpoint: false };
    const overdue = new AbortController();
    const left = this.#startedAt + this.limits.totalMs - this.#deps.clock();
    const ms = Math.min(this.limits.requestMs, Math.max(1, left));
    const timer = setTimeout(() => overdue.abort(), ms);
    const leave = (): void => overdue.abort();
    this.#deps.signal?.addEventListener('abort', leave, { once: true });
    try {
      this.#deps.signal?.throwIfAborted();
      const response = await this.#deps.fetch(url, {
        // As the connector asks: hosts of several versions answer in the one that is named.
        headers: { accept, 'a2a-version': '1.0' },
        redirect: 'manual',
        credentials: 'omit',
        signal: overdue.signal,
      });
      return await this.#answer(response, nothing);
    } catch (error) {
      this.#deps.signal?.throwIfAborted();
      step.outcome = 'refused';
      step.found = overdue.signal.aborted ? `no answer within ${ms} ms` : failureText(error);
      return { ...nothing, unreachable: isUnreachable(error) };
    } finally {
      clearTimeout(timer);
      this.#deps.signal?.removeEventListener('abort', leave);
    }
  }

  async #answer(response: Response, nothing: Answer): Promise<Answer> {
    const { status, headers } = response;
    const { step } = nothing;
    const links = linksOf(headers.get('link'));
    const mediaType = headers.get('content-type') ?? '';
    const looksLikeEndpoint = isEndpointReply(status, headers);
    const refused = replyProblem(status, mediaType, headers.get('location'));
    if (refused !== undefined) {
      await response.body?.cancel().catch(() => undefined);
      step.outcome = status === 404 || status === 410 ? 'nothing' : 'refused';
      step.found = refused;
      return { ...nothing, links, looksLikeEndpoint };
    }
    const body = await limitedText(response, this.limits.documentBytes);
    const document = 'text' in body ? readJsonDocument(body.text) : undefined;
    if (!('text' in body) || document === undefined || !document.ok) {
      step.outcome = 'refused';
      const type = mediaType === '' ? 'no content type' : shown(mediaType, 60);
      const flaw = document?.ok === false ? `a document that ${document.problem} (${type})` : '';
      step.found = 'problem' in body ? body.problem : flaw;
      return { ...nothing, links };
    }
    step.outcome = 'read';
    return {
      ...nothing,
      links,
      looksLikeEndpoint,
      document: { value: document.value, raw: body.text, mediaType },
    };
  }
}

/** What speaks against reading the body of a reply. */
function replyProblem(
  status: number,
  mediaType: string,
  location: string | null,
): string | undefined {
  if (status >= 300 && status < 400) {
    const where = location === null ? '' : ` to ${shown(location, 300)}`;
    return `a redirect${where} (${status}); redirects are not followed: ask there yourself if you trust it`;
  }
  if (status === 404 || status === 410) return `nothing (${status})`;
  if (status === 401 || status === 403) {
    return `a refusal (${status}): it wants credentials, and looking for peers sends none`;
  }
  if (status < 200 || status > 299) return `HTTP status ${status}`;
  const type = essence(mediaType);
  if (type === 'text/html' || type === 'application/xhtml+xml') {
    return 'a web page: give the URL of a card or an endpoint, or the origin alone';
  }
  if (type === 'text/event-stream') return 'an event stream, not a document';
  if (/^(image|audio|video|font|multipart)\//.test(type)) return `no document (${type})`;
  return undefined;
}

/** Spec: MCP 2025-11-25 basic/transports: a GET is an event stream or 405; 400 without a session. */
function isEndpointReply(status: number, headers: Headers): boolean {
  if (essence(headers.get('content-type') ?? '') === 'text/event-stream') return true;
  if (headers.has('mcp-session-id')) return true;
  const challenge = headers.get('www-authenticate') ?? '';
  return [400, 405, 406].includes(status) || (status === 401 && challenge !== '');
}

async function limitedText(response: Response, max: number): Promise<Body> {
  const problem = `more than ${max} bytes, which is too much for a document of this kind`;
  const announced = Number(response.headers.get('content-length') ?? 0);
  if (announced > max) {
    await response.body?.cancel().catch(() => undefined);
    return { problem };
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  const body: AsyncIterable<Uint8Array> | null = response.body;
  for await (const chunk of body ?? []) {
    size += chunk.length;
    // Leaving the loop closes the stream, and with it the connection.
    if (size > max) return { problem };
    chunks.push(chunk);
  }
  return { text: Buffer.concat(chunks).toString('utf8') };
}

/** Errors of the guarded client are written for people; of others only the code is shown. */
function failureText(error: unknown): string {
  if (error instanceof GatewayError) {
    const { maxBytes } = error.facts;
    if (maxBytes !== undefined) return `a reply that is too large: ${shown(error.message, 200)}`;
    return error.message;
  }
  const code = codeOf(error);
  return code === '' ? 'no connection' : `no connection (${code})`;
}

function codeOf(error: unknown): string {
  const cause: unknown = error instanceof Error ? (error.cause ?? error) : undefined;
  if (typeof cause !== 'object' || cause === null || !('code' in cause)) return '';
  return typeof cause.code === 'string' ? cause.code : '';
}

function isUnreachable(error: unknown): boolean {
  if (!(error instanceof GatewayError)) return codeOf(error) !== '';
  if (error.code === 'egress-refused') return error.facts['reason'] !== 'redirect';
  return error.code === 'peer-unavailable';
}
