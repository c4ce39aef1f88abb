/**
 * `/connect`: where people decide about links to third parties. Looking at a page changes nothing;
 * a decision is a form of ours, posted by the person whose task asked.
 *
 * Spec: MCP 2026-07-28 client/elicitation, "Safe URL Handling", "Phishing" (the one who opens the
 * URL is the one who was asked)
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { GatewayError } from '../../model/errors.ts';
import { personKey, type OwnerKey, type Person, type Principal } from '../../model/principal.ts';
import type { People, PersonSession } from '../../ports/people.ts';
import type { Seal } from '../../ports/seal.ts';
import type { TaskService, TaskView } from '../../ports/tasks.ts';
import { isOwnForm, readForm } from '../pages/form.ts';
import { page, sendPage, type PageOptions } from '../pages/page.ts';
import { agentPage, shownName } from './agent-page.ts';
import {
  consentPage,
  leavingPage,
  listPage,
  nothingHere,
  notice,
  notYours,
} from './consent-pages.ts';
import { FlowError, type ConnectionService } from './connection-service.ts';
import type { ConsentFlow, FlowRefusal } from './consent-flow.ts';
import { hostsOf } from './held.ts';
import { openLink } from './link.ts';
import type { OpenRequest, Vault } from './vault.ts';

/** What happened at these pages, for the audit. No token and no code is among it. */
export type ConnectEvent =
  | {
      event: 'connection.refused';
      reason: FlowRefusal | 'form';
      connection?: string;
      peer?: string;
      /** Who tried; absent when nobody was logged in. */
      by?: string;
    }
  | { event: 'connection.made'; connection: string; peer: string; client: string; by: string }
  | { event: 'connection.declined'; connection: string; peer: string; client: string; by: string }
  | { event: 'connection.failed'; connection: string; by: string; error: unknown }
  | { event: 'connection.removed'; by: string };

/** What the pages need. */
export interface ConnectOptions {
  readonly tasks: Pick<TaskService, 'open'>;
  readonly seal: Pick<Seal, 'openStable' | 'sealStable'>;
  readonly vault: Vault;
  readonly flow: ConsentFlow;
  readonly service: (id: string) => ConnectionService | undefined;
  /** Absent where nobody can log in: then everybody is the principal of the request. */
  readonly people?: People | undefined;
  /** Whose task it is; undefined when there is none. */
  readonly ownerOf: (taskId: string) => Promise<OwnerKey | undefined>;
  /** A peer's name for people; its id when it has none. */
  readonly nameOf: (peerId: string) => Promise<string>;
  readonly publicUrl: string;
  readonly onEvent: (event: ConnectEvent) => void;
}

/** Answers `/connect` and everything below it. `principal` counts where nobody can log in. */
export type ConnectEndpoint = (
  req: IncomingMessage,
  res: ServerResponse,
  request: { readonly path: string; readonly principal: Principal },
) => Promise<void>;

/** Builds the pages. */
export function createConnectEndpoint(options: ConnectOptions): ConnectEndpoint {
  const pages = new ConnectPages(options);
  return (req, res, request) => pages.answer({ req, res, ...request });
}

interface Visit {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly path: string;
  readonly principal: Principal;
}

class ConnectPages {
  readonly #options: ConnectOptions;

  constructor(options: ConnectOptions) {
    this.#options = options;
  }

  async answer(visit: Visit): Promise<void> {
    if (visit.path === '/connect') return this.#list(visit);
    const rest = visit.path.slice('/connect/'.length);
    const [, connection] = /^callback\/([a-z0-9-]{1,63})$/.exec(rest) ?? [];
    if (connection !== undefined) return this.#callback(visit, connection);
    const link = openLink(this.#options.seal, rest);
    if (link?.kind === 'request') return this.#request(visit, link.request);
    if (!isLook(visit.req)) return notAllowed(visit.res, 'GET, HEAD');
    if (link === undefined) return show(visit.res, 404, nothingHere());
    return this.#task(visit, link);
  }

  // ── an agent's own URL ────────────────────────────────────────────────────

  async #task(visit: Visit, { taskId, peerId }: { taskId: string; peerId: string }): Promise<void> {
    const { tasks, people, ownerOf, nameOf } = this.#options;
    let { principal } = visit;
    if (people !== undefined) {
      const owner = await ownerOf(taskId);
      if (owner === undefined) return show(visit.res, 404, nothingHere());
      principal = principalOf(owner);
      const guest = await this.#guest(visit, principal.organization);
      if (guest === undefined) return;
      if (!isSame(guest.person, principal)) {
        return this.#refuse(visit, guest, { reason: 'other-person', peer: peerId });
      }
    }
    let view: TaskView;
    try {
      view = (await tasks.open(principal, taskId, peerId)).view();
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== 'task-not-found') throw error;
      return show(visit.res, 404, nothingHere());
    }
    if (view.task.status.state !== 'TASK_STATE_AUTH_REQUIRED') {
      return show(visit.res, 404, nothingHere());
    }
    show(visit.res, 200, agentPage(shownName(await nameOf(peerId), peerId), view));
  }

  // ── a wish for consent ────────────────────────────────────────────────────

  async #request(visit: Visit, id: string): Promise<void> {
    const { req, res } = visit;
    if (!isLook(req) && req.method !== 'POST') return notAllowed(res, 'GET, HEAD, POST');
    const request = await this.#options.vault.openRequest(id);
    const service = request && this.#options.service(request.connection);
    if (request === undefined || service === undefined) return show(res, 404, nothingHere());
    const { connection, peerId: peer, principal } = request;
    const guest = await this.#guest(visit, principal.organization);
    if (guest === undefined) return;
    if (!isSame(guest.person, principal)) {
      return this.#refuse(visit, guest, { reason: 'other-person', connection, peer });
    }
    if (req.method === 'POST') return this.#decide(visit, guest, { request, service });
    const host = await this.#reachable(res, () => service.authorizationHost());
    if (host === undefined) return;
    const { scopes, resource } = service.settings;
    const name = shownName(await this.#options.nameOf(peer), peer);
    const facts = {
      account: guest.displayName,
      organization: principal.organization,
      client: principal.client,
      peer: { id: peer, name, hosts: hostsOf(request) },
      service: service.name,
      host,
      scopes,
      resource,
      session: guest,
    };
    show(res, 200, consentPage(facts), { forms: true });
  }

  async #decide(
    visit: Visit,
    guest: PersonSession,
    { request, service }: { request: OpenRequest; service: ConnectionService },
  ): Promise<void> {
    const { res } = visit;
    const { vault, flow, onEvent } = this.#options;
    const fields = await this.#form(visit, guest);
    if (fields === undefined) return;
    const { connection, peerId: peer, principal } = request;
    const by = personKey(guest.person);
    if (fields.get('decision') === 'decline') {
      await vault.decline(request);
      onEvent({ event: 'connection.declined', connection, peer, client: principal.client, by });
      const text =
        'Nothing was connected, and the task that asked has been told. You can close this window.';
      return show(res, 200, notice('Declined', text));
    }
    if (fields.get('decision') !== 'allow') {
      return show(res, 400, notice('Nothing was decided', 'The form was not complete. Go back.'));
    }
    const start = await this.#reachable(res, () => flow.begin(request, service, guest));
    if (start === undefined) return;
    // Not a redirect: browsers hold the whole chain of redirects of a form against `form-action`,
    // and nobody knows where a third party's own login leads. Spec: CSP3 §6.4.1
    show(res, 200, leavingPage(service.name, start.url), {
      headers: { 'set-cookie': start.cookie, refresh: `0;url=${start.url}` },
    });
  }

  async #callback(visit: Visit, connection: string): Promise<void> {
    const { req, res } = visit;
    const { flow, onEvent, people } = this.#options;
    if (req.method !== 'GET') return notAllowed(res, 'GET');
    const guest = await this.#visitor(visit);
    const target = req.url ?? '';
    const at = target.indexOf('?');
    const query = at === -1 ? '' : target.slice(at);
    const end = await flow.finish(req, { connection, query }, guest);
    const by = guest === undefined ? undefined : personKey(guest.person);
    if (end.kind === 'refused') {
      const { reason } = end;
      onEvent({ event: 'connection.refused', reason, connection, ...(by && { by }) });
      const text =
        'This answer does not belong to a request that this browser is waiting for, or it came a second time. Nothing was connected. Start again from your client.';
      const isOther = reason === 'other-person' && people !== undefined;
      return isOther
        ? show(res, 403, notYours())
        : show(res, 400, notice('Nothing was connected', text));
    }
    const { request } = end;
    const headers = { 'set-cookie': end.cookie };
    if (end.kind === 'failed') return this.#failed(res, end, { by: by ?? '', headers });
    onEvent({
      event: 'connection.made',
      connection,
      peer: request.peerId,
      client: request.principal.client,
      by: by ?? '',
    });
    const text = 'The task that asked goes on by itself. You can close this window.';
    const more = '<p><a href="/connect">Your connections</a></p>';
    show(res, 200, notice('Connected', text, more), { headers });
  }

  #failed(
    res: ServerResponse,
    { request, error }: { request: OpenRequest; error: unknown },
    { by, headers }: { by: string; headers: Record<string, string> },
  ): void {
    const { onEvent, seal } = this.#options;
    onEvent({ event: 'connection.failed', connection: request.connection, by, error });
    const code = error instanceof FlowError ? error.serverError : undefined;
    // A code of the specification, or nothing: its description is text of a stranger.
    const known = code !== undefined && /^[a-z_]{1,40}$/.test(code) ? code : undefined;
    const text =
      known === 'access_denied'
        ? 'You did not agree at the service, or it did not let you. Nothing was connected.'
        : `The service did not complete the connection${known === undefined ? '' : ` (${known})`}. Nothing was connected.`;
    const id = seal.sealStable(JSON.stringify({ request: request.id }), 'connect');
    const more = `<p><a class="button" href="/connect/${id}">Try again or decline</a></p>`;
    show(res, 400, notice('Nothing was connected', text, more), { headers });
  }

  // ── a person's connections ────────────────────────────────────────────────

  async #list(visit: Visit): Promise<void> {
    const { req, res } = visit;
    const { vault, onEvent } = this.#options;
    if (!isLook(req) && req.method !== 'POST') return notAllowed(res, 'GET, HEAD, POST');
    const guest = await this.#guest(visit);
    if (guest === undefined) return;
    if (isLook(req)) {
      const connections = await vault.list(guest.person);
      const html = listPage(guest, connections);
      return show(res, 200, html, { forms: true });
    }
    const fields = await this.#form(visit, guest);
    if (fields === undefined) return;
    const removed = await vault.remove(guest.person, fields.get('remove') ?? '');
    if (removed) onEvent({ event: 'connection.removed', by: personKey(guest.person) });
    res.writeHead(303, { location: '/connect', 'cache-control': 'no-store' });
    res.end();
  }

  // ── who is there, and is it their form ────────────────────────────────────

  /** The person in front of the browser; sends them to log in when there is none. */
  async #guest(visit: Visit, organization?: string): Promise<PersonSession | undefined> {
    const guest = await this.#visitor(visit);
    if (guest !== undefined) return guest;
    if (!isLook(visit.req)) {
      this.#options.onEvent({ event: 'connection.refused', reason: 'form' });
      const text = 'You are not logged in any more. Open the link again.';
      show(visit.res, 403, notice('Nothing was decided', text));
      return undefined;
    }
    await this.#options.people?.login(visit.req, visit.res, {
      returnTo: visit.path,
      ...(organization !== undefined && { organization }),
    });
    return undefined;
  }

  async #visitor({ req, principal }: Visit): Promise<PersonSession | undefined> {
    const { people, seal } = this.#options;
    if (people === undefined) {
      // On loopback, without logins, the one who can read our pages is the one person there is.
      const formToken = seal.sealStable('form', 'connect form');
      const { subject: displayName } = principal;
      return { id: '', person: principal, displayName, authenticatedAt: 0, formToken };
    }
    return people.sessionOf(req);
  }

  /** The fields of a form that this person's own page sent; answers when it is none. */
  async #form({ req, res }: Visit, guest: PersonSession): Promise<URLSearchParams | undefined> {
    const { publicUrl, onEvent } = this.#options;
    const fields = await readForm(req);
    const session = guest;
    if (fields !== undefined && isOwnForm(req, new URL(publicUrl).origin, { session, fields })) {
      return fields;
    }
    onEvent({ event: 'connection.refused', reason: 'form', by: personKey(guest.person) });
    const text = 'This form did not come from the page that you see here. Open the link again.';
    show(res, 403, notice('Nothing was decided', text));
    return undefined;
  }

  #refuse(
    { res }: Visit,
    guest: PersonSession,
    why: { reason: 'other-person'; connection?: string; peer: string },
  ): void {
    this.#options.onEvent({ event: 'connection.refused', ...why, by: personKey(guest.person) });
    show(res, 403, notYours());
  }

  /** What a service says; answers when it cannot be asked. */
  async #reachable<T>(res: ServerResponse, ask: () => Promise<T>): Promise<T | undefined> {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      show(res, 503, notice('Not possible at the moment', error.message));
      return undefined;
    }
  }
}

function isSame(person: Person, other: Person): boolean {
  return personKey(person) === personKey(other);
}

/** Who owns what is stored under a key. Scopes belong to a token, not to an owner. */
function principalOf(owner: OwnerKey): Principal {
  const [organization, issuer, subject, client] = JSON.parse(owner) as [
    string,
    string,
    string,
    string,
  ];
  return { organization, issuer, subject, client, scopes: [] };
}

function isLook({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD';
}

function notAllowed(res: ServerResponse, allow: string): void {
  const html = page('Not here', '<p>This page can only be looked at.</p>');
  show(res, 405, html, { headers: { allow } });
}

function show(res: ServerResponse, status: number, html: string, options: PageOptions = {}): void {
  sendPage(res, { status, html, ...options });
}
