/**
 * A2A over HTTP+JSON, 1.0 and 0.3: the SDK's routes on Express, with the body read and checked
 * here first, and no answer that is not JSON.
 *
 * Spec: A2A 1.0 §11 (HTTP+JSON binding)
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { toLegacyHTTPError } from '@a2a-js/sdk/compat/v0_3/server';
import { RequestMalformedError, restStatusFor, toRestErrorBody } from '@a2a-js/sdk/errors';
import { ServerCallContext } from '@a2a-js/sdk/server';
import type { A2ARequestHandler } from '@a2a-js/sdk/server';
import { restHandler } from '@a2a-js/sdk/server/express';
import express from 'express';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import { isObject } from '../model/json.ts';
import { callKey } from './call.ts';
import type { Call } from './call.ts';
import { a2aFaultOf, internalText, statusBody, statusName } from './errors.ts';
import { checkSendRequest } from './message-check.ts';
import { checkContentType, parseJson, readBody } from './request-body.ts';
import { versionOf } from './version.ts';
import type { A2aVersion } from './version.ts';

/** What the routes are built from. */
export interface RestOptions {
  requestHandler: A2ARequestHandler;
  bodyBytes: number;
  onInternalError(peerId: string, error: unknown): void;
}

/** One request for the routes; `path` starts behind the peer. */
export interface RestExchange {
  req: IncomingMessage;
  res: ServerResponse;
  path: string;
  query: URLSearchParams;
}

/** Carries the call through the SDK's user builder, the only hook that sees the request. */
class CallUser {
  readonly isAuthenticated = true;
  readonly call: Call;

  constructor(call: Call) {
    this.call = call;
  }

  get userName(): string {
    return this.call.principal.subject;
  }
}

const jsonTypes = ['application/json', 'application/a2a+json'];

/** The HTTP+JSON routes of every peer. */
export function createRestRoutes(
  options: RestOptions,
): (exchange: RestExchange, call: Call) => Promise<void> {
  const calls = new WeakMap<IncomingMessage, Call>();
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.use(tidyErrors(calls, options));
  app.use(
    restHandler({
      requestHandler: options.requestHandler,
      legacyCompat: { enabled: true },
      userBuilder: async (req) => new CallUser(callFor(calls, req)),
      contextBuilder: ({ extensions, user, requestedVersion, tenant }) =>
        new ServerCallContext({
          requestedExtensions: extensions,
          requestedVersion,
          tenant,
          state: new Map(user instanceof CallUser ? [[callKey, user.call]] : []),
        }),
    }),
  );
  app.use(noSuchRoute);
  app.use(routeFailed(calls, options));

  return async ({ req, res, path, query }, call) => {
    let version: A2aVersion = '1.0';
    try {
      ({ version } = versionOf(req, query));
      const body = await bodyOf(req, options.bodyBytes);
      if (req.method === 'POST' && /\/message:(send|stream)$/.test(path)) {
        const legacy = version === '0.3' && path.startsWith('/v1/');
        checkSendRequest(body, legacy ? '0.3-rest' : '1.0');
      }
      Object.assign(req, { body });
    } catch (error) {
      refuse(res, { error, version, call }, options);
      return;
    }
    const search = query.size === 0 ? '' : `?${query.toString()}`;
    req.headers['a2a-version'] = version;
    req.url = `${path}${search}`;
    calls.set(req, call);
    await new Promise<void>((resolve) => {
      res.once('close', resolve);
      app(req, res);
    });
  };
}

async function bodyOf(req: IncomingMessage, limit: number): Promise<unknown> {
  if (req.method === 'GET' || req.method === 'HEAD') return undefined;
  const text = await readBody(req, limit);
  if (text === '') return undefined;
  checkContentType(req, jsonTypes);
  return parseJson(text);
}

/** An error before the SDK's routes, in the shape of the caller's version. */
function refuse(
  res: ServerResponse,
  failed: { error: unknown; version: A2aVersion; call: Call },
  options: RestOptions,
): void {
  const { error, unexpected } = a2aFaultOf(failed.error);
  if (unexpected) options.onInternalError(failed.call.peerId, failed.error);
  const status = restStatusFor(error);
  const legacy = failed.version === '0.3';
  // A caller that is cut off while it sends does not see why: the rest is read and dropped.
  if (status === 413) res.req.resume();
  const body = legacy ? toLegacyHTTPError(error) : named(toRestErrorBody(error, status), status);
  sendError(res, status, body);
}

/**
 * The SDK answers whatever it catches with the text of the error. What nobody foresaw is replaced
 * by a text for callers, and logged; statuses that it has no name for get one.
 */
function tidyErrors(calls: WeakMap<IncomingMessage, Call>, options: RestOptions): RequestHandler {
  return (req, res, next) => {
    const send = res.json.bind(res);
    res.json = (body: unknown) => {
      const call = callFor(calls, req);
      if (res.statusCode < 500 || call.fault !== undefined) {
        return send(named(body, res.statusCode));
      }
      const shown = isObject(body) && isObject(body['error']) ? body['error'] : body;
      const text = isObject(shown) ? String(shown['message']) : 'unknown';
      options.onInternalError(call.peerId, new Error(text));
      const tidied = isObject(shown) ? { ...shown, message: internalText } : shown;
      return send(shown === body ? tidied : { error: tidied });
    };
    next();
  };
}

const noSuchRoute: RequestHandler = (req, res) => {
  sendError(res, 404, statusBody(404, `There is no ${req.method} ${req.path} here.`));
};

function routeFailed(
  calls: WeakMap<IncomingMessage, Call>,
  options: RestOptions,
): ErrorRequestHandler {
  return (error: unknown, req, res, _next) => {
    if (res.headersSent) {
      res.destroy();
      return;
    }
    if (error instanceof URIError) {
      const bad = new RequestMalformedError({ message: 'The path is not a valid URL path.' });
      sendError(res, 400, toRestErrorBody(bad, 400));
      return;
    }
    options.onInternalError(callFor(calls, req).peerId, error);
    sendError(res, 500, statusBody(500, internalText));
  };
}

function callFor(calls: WeakMap<IncomingMessage, Call>, req: IncomingMessage): Call {
  const call = calls.get(req);
  if (call === undefined) throw new Error('a request without a call');
  return call;
}

function named(body: unknown, status: number): unknown {
  if (!isObject(body) || !isObject(body['error'])) return body;
  const { error } = body;
  if (error['status'] !== 'UNKNOWN') return body;
  return { error: { ...error, status: statusName(status) } };
}

function sendError(res: ServerResponse, status: number, body: unknown): void {
  if (res.destroyed) return;
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(body));
}
