/**
 * Login and consent, between a client's request and its answer. The library's cookies bind both to
 * the browser that made the request; the session of the person decides who is asked.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { InteractionResults, Provider } from 'oidc-provider';
import { z } from 'zod';
import type { PersonSession } from '../../ports/people.ts';
import { formTokenField, isOwnForm, readForm } from '../pages/form.ts';
import { sendPage } from '../pages/page.ts';
import { scopeList } from '../sts/scopes.ts';
import { accountIdOf, digest } from './account.ts';
import { consentPage, returnPage } from './consent-page.ts';
import { sendProblem } from './error-page.ts';
import { clientPlace, mayHearErrors } from './failed-request.ts';
import type { ProviderParts } from './parts.ts';
import { wantedScopes } from './remembered-grant.ts';

type Details = Awaited<ReturnType<Provider['interactionDetails']>>;

interface Visit {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly provider: Provider;
  readonly details: Details;
}

/** Answers `GET` and `POST` of one interaction. */
export async function answerInteraction(
  parts: ProviderParts,
  { req, res, provider, uid }: Pick<Visit, 'req' | 'res' | 'provider'> & { readonly uid: string },
): Promise<void> {
  const details: Details | undefined = await provider
    .interactionDetails(req, res)
    .catch((error: unknown) => {
      if (error instanceof parts.library.errors.SessionNotFound) return undefined;
      throw error;
    });
  if (details === undefined || details.uid !== uid) {
    return sendProblem(res, {
      status: 400,
      why: 'This request has been answered, has expired, or was made in another browser.',
    });
  }
  const visit = { req, res, provider, details };
  const isLogin = details.prompt.name === 'login';
  if (req.method === 'POST' && !isLogin) return answerConsent(parts, visit);
  if (req.method !== 'GET') {
    res.setHeader('allow', isLogin ? 'GET' : 'GET, POST');
    return sendProblem(res, { status: 405, why: 'This page can only be looked at.' });
  }
  return isLogin ? logIn(parts, visit) : askConsent(parts, visit);
}

/** Sends the person to their provider, unless they have just been there. */
async function logIn(parts: ProviderParts, visit: Visit): Promise<void> {
  const { options, issuer } = parts;
  const { req, res, provider, details } = visit;
  const fresh = details.prompt.reasons.includes('login_prompt');
  const session = await options.people.sessionOf(req);
  const isEnough = fresh ? await isFresh(parts, visit, session) : true;
  if (session === undefined || !isEnough) {
    const returnTo = `${issuer.pathname}/interaction/${details.uid}`;
    return options.people.login(req, res, { returnTo, ...(fresh && { fresh }) });
  }
  await provider.interactionFinished(req, res, {
    login: {
      accountId: accountIdOf(session.person),
      ts: Math.floor(session.authenticatedAt / 1000),
    },
  });
}

const askedKind = 'as.LoginAsked';
/** How far the clock of a provider may be off. */
const skewMs = 60_000;

/**
 * Whether the session was begun for this request. The first visit only notes which session there
 * was, so that another one has to take its place.
 */
async function isFresh(
  { store, clock }: ProviderParts,
  { details }: Visit,
  session: PersonSession | undefined,
): Promise<boolean> {
  const id = digest(details.uid);
  const asked = await store.get(askedKind, id);
  if (asked === undefined) {
    await store.put({
      kind: askedKind,
      id,
      owner: '',
      value: { before: session?.id ?? '', at: clock() },
      expiresAt: details.exp * 1000,
    });
    return false;
  }
  const { before, at } = askedBefore.parse(asked.value);
  if (session === undefined || session.id === before) return false;
  return session.authenticatedAt >= at - skewMs;
}

const askedBefore = z.object({ before: z.string(), at: z.number() });

/** The session when it is that of the person whom the request is about; otherwise answers. */
async function ownSession(
  { options, issuer }: ProviderParts,
  { req, res, details }: Visit,
): Promise<PersonSession | undefined> {
  const session = await options.people.sessionOf(req);
  if (session === undefined) {
    const returnTo = `${issuer.pathname}/interaction/${details.uid}`;
    await options.people.login(req, res, { returnTo });
    return undefined;
  }
  if (accountIdOf(session.person) === details.session?.accountId) return session;
  sendProblem(res, {
    status: 409,
    why: 'This browser has been logged in as somebody else since this request was made.',
  });
  return undefined;
}

async function askConsent(parts: ProviderParts, visit: Visit): Promise<void> {
  const session = await ownSession(parts, visit);
  if (session === undefined) return;
  const { res, details } = visit;
  const asked = await askedFor(parts, visit);
  if (asked.scopes.length === 0) {
    const { clientId } = asked;
    if (await mayHearErrors(parts, { clientId, person: session.person })) {
      return finish(visit, notAllowed);
    }
    const why = 'You may not have any of the scopes that were asked for.';
    const client = clientPlace(parts, asked);
    return sendProblem(res, { status: 403, why, code: 'access_denied', client });
  }
  const client = await parts.clients.find(asked.clientId);
  sendPage(res, {
    status: 200,
    forms: true,
    redirectsTo: isWebAddress(asked.redirectUri) ? [asked.redirectUri] : [],
    html: consentPage({
      action: `${parts.issuer.pathname}/interaction/${details.uid}`,
      formToken: formTokenField(session),
      account: { name: session.displayName, organization: session.person.organization },
      client: {
        id: asked.clientId,
        name: client === 'busy' ? undefined : client?.client_name,
        origin: parts.clients.originOf(asked.clientId),
      },
      redirectUri: asked.redirectUri,
      resource: {
        name: (await parts.options.resourceName?.(asked.resource)) ?? asked.resource,
        url: asked.resource,
      },
      scopes: asked.scopes,
    }),
  });
}

async function answerConsent(parts: ProviderParts, visit: Visit): Promise<void> {
  const { req, res, provider, details } = visit;
  const fields = await readForm(req);
  const session = await parts.options.people.sessionOf(req);
  if (
    fields === undefined ||
    session === undefined ||
    accountIdOf(session.person) !== details.session?.accountId ||
    !isOwnForm(req, parts.issuer.origin, { session, fields })
  ) {
    return sendProblem(res, {
      status: 403,
      why: 'The answer did not come from the page on which you were asked. Nothing was allowed.',
    });
  }
  if (fields.get('decision') !== 'allow') return finish(visit, declined);
  const asked = await askedFor(parts, visit);
  // Nothing that the page did not show.
  const shown = scopeList(fields.get('scopes') ?? '');
  const scopes = asked.scopes.filter((scope) => shown.includes(scope));
  if (scopes.length === 0) return finish(visit, notAllowed);
  const { clientId, resource } = asked;
  const grant = new provider.Grant({ accountId: accountIdOf(session.person), clientId });
  grant.addResourceScope(resource, scopes.join(' '));
  const grantId = await grant.save();
  await parts.consents.remember({ person: session.person, client: clientId, resource }, scopes);
  await parts.clients.used(clientId);
  return finish(visit, { consent: { grantId } });
}

interface Asked {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly resource: string;
  /** What was asked for and the person may have. */
  readonly scopes: readonly string[];
}

async function askedFor({ options }: ProviderParts, { details }: Visit): Promise<Asked> {
  const { params, session } = details;
  const resource = String(params['resource']);
  return {
    clientId: String(params['client_id']),
    redirectUri: String(params['redirect_uri']),
    resource,
    scopes: await wantedScopes(options, {
      accountId: session?.accountId ?? '',
      resource,
      scopes: typeof params['scope'] === 'string' ? scopeList(params['scope']) : [],
    }),
  };
}

const declined: InteractionResults = {
  error: 'access_denied',
  error_description: 'The person declined.',
};

const notAllowed: InteractionResults = {
  error: 'access_denied',
  error_description: 'The person may not have any of these scopes at this resource.',
};

/** Lets the library go on with the result. */
async function finish(
  { req, res, provider, details }: Visit,
  result: InteractionResults,
): Promise<void> {
  const back = await provider.interactionResult(req, res, result, {
    mergeWithLastSubmission: !('error' in result),
  });
  const redirectUri = String(details.params['redirect_uri']);
  if (req.method === 'POST' && !isWebAddress(redirectUri)) {
    // Browsers hold where a form ends up against `form-action`, which knows no such address.
    return sendPage(res, { status: 200, html: returnPage('your client', back) });
  }
  res.writeHead(303, { location: back, 'cache-control': 'no-store' });
  res.end();
}

/** Whether a content security policy can name its origin. */
function isWebAddress(uri: string): boolean {
  const { protocol, hostname } = new URL(uri);
  return /^https?:$/.test(protocol) && !hostname.startsWith('[');
}
