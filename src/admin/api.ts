/**
 * The admin API, on plain node:http: peers, definitions, permissions and leases.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { adminScope } from '../policy/permissions.ts';
import { anonymous, ownerKey, type Principal } from '../model/principal.ts';
import type { PeerDirectory } from '../discovery/listing.ts';
import { decide, definitionShown, definitionsShown, kindOf } from './definitions-api.ts';
import { leaseShown, leasesShown, revoke, type LeasesApiOptions } from './leases-api.ts';
import { lendFor, type LendApiOptions } from './lend-api.ts';
import { checkLocal, type AdminCheck } from './local-only.ts';
import { peerShown, peersShown, type PeersApiOptions } from './peers-api.ts';
import { permissionsShown, type PolicyInForce } from './permissions-api.ts';
import { Problem, sendJson, sendProblem } from './problem.ts';
import { bodyOf } from './request-body.ts';

/** What the API needs. */
export interface AdminOptions extends PeersApiOptions {
  readonly directory: PeerDirectory;
  readonly policy: PolicyInForce;
  readonly leases: LeasesApiOptions & LendApiOptions;
  /** Knows who may administer. */
  readonly mayAdminister: AdminCheck;
  /** The headers that tell a caller with a token which scope it lacks. */
  readonly challenge: () => Record<string, string>;
  /** Hears of what nobody foresaw. */
  readonly fault: (error: unknown, where: string) => void;
}

/** Answers requests below `/admin`. */
export type AdminApi = (req: IncomingMessage, res: ServerResponse, who: Principal) => Promise<void>;

interface Call {
  readonly req: IncomingMessage;
  readonly by: string;
  readonly query: URLSearchParams;
  /** What stands in the path for each `{…}`. */
  readonly at: readonly string[];
}

interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly location?: string;
}

type Handler = (call: Call, options: AdminOptions) => Answer | Promise<Answer>;

interface Route {
  readonly path: RegExp;
  readonly methods: Readonly<Record<string, Handler>>;
}

const decision =
  (action: 'approve' | 'reject'): Handler =>
  async ({ req, by, at }, { definitions }) => {
    const { hash } = await bodyOf(req);
    return { status: 200, body: await decide(refOf(at), { action, hash, by }, definitions) };
  };

const routes: readonly Route[] = [
  {
    path: /^\/peers$/,
    methods: {
      GET: (_call, options) => ({ status: 200, body: { peers: peersShown(options) } }),
      POST: async ({ req, by }, options) => {
        const id = await options.runtime.add(await bodyOf(req), by);
        return { status: 201, body: peerShown(id, options), location: `/admin/peers/${id}` };
      },
    },
  },
  {
    path: /^\/peers\/([^/]+)$/,
    methods: {
      GET: ({ at: [id = ''] }, options) => ({ status: 200, body: peerShown(id, options) }),
      PUT: async ({ req, by, at: [id = ''] }, options) => {
        await options.runtime.change(id, await bodyOf(req), by);
        return { status: 200, body: peerShown(id, options) };
      },
      DELETE: async ({ by, at: [id = ''] }, options) => {
        await options.runtime.remove(id, by);
        return { status: 204 };
      },
    },
  },
  {
    path: /^\/definitions$/,
    methods: {
      GET: ({ query }, { definitions }) => ({
        status: 200,
        body: definitionsShown(query, definitions),
      }),
    },
  },
  {
    path: /^\/definitions\/([^/]+)\/([^/]+)\/([^/]+)$/,
    methods: {
      GET: ({ at }, { definitions }) => ({
        status: 200,
        body: definitionShown(refOf(at), definitions),
      }),
    },
  },
  {
    path: /^\/definitions\/([^/]+)\/([^/]+)\/([^/]+)\/approve$/,
    methods: { POST: decision('approve') },
  },
  {
    path: /^\/definitions\/([^/]+)\/([^/]+)\/([^/]+)\/reject$/,
    methods: { POST: decision('reject') },
  },
  {
    path: /^\/permissions$/,
    methods: {
      GET: ({ query }, { policy, directory }) => ({
        status: 200,
        body: permissionsShown(query, policy, directory),
      }),
    },
  },
  {
    path: /^\/leases$/,
    methods: {
      GET: async ({ query }, { leases }) => ({
        status: 200,
        body: await leasesShown(query, leases),
      }),
      POST: async ({ req, by }, { leases }) => {
        const lent = await lendFor(await bodyOf(req), by, leases);
        return { status: 201, body: lent, location: `/admin/leases/${lent.id}` };
      },
    },
  },
  {
    path: /^\/leases\/([^/]+)$/,
    methods: {
      GET: async ({ at: [id = ''] }, { leases }) => ({
        status: 200,
        body: await leaseShown(id, leases),
      }),
      DELETE: async ({ by, at: [id = ''] }, { leases }) => ({
        status: 200,
        body: await revoke(id, by, leases),
      }),
    },
  },
];

/** Makes the API. */
export function createAdminApi(options: AdminOptions): AdminApi {
  return async (req, res, who) => {
    try {
      admit({ req, res, who }, options);
      const { status, body, location } = await answer(req, who, options);
      if (location !== undefined) res.setHeader('location', location);
      if (body === undefined) res.writeHead(status, { 'cache-control': 'no-store' }).end();
      else sendJson(res, status, body);
    } catch (error) {
      if (!(error instanceof Problem)) options.fault(error, 'admin');
      const unforeseen = new Problem(500, 'Something went wrong here. The log says what.');
      sendProblem(res, error instanceof Problem ? error : unforeseen);
    }
  };
}

/** Lets in whoever knows this machine's token, or has one with the scope. */
function admit(
  { req, res, who }: { req: IncomingMessage; res: ServerResponse; who: Principal },
  { mayAdminister, challenge }: AdminOptions,
): void {
  if (ownerKey(who) === ownerKey(anonymous)) return checkLocal(req, mayAdminister);
  if (who.scopes.includes(adminScope)) return;
  for (const [name, value] of Object.entries(challenge())) res.setHeader(name, value);
  throw new Problem(403, `This needs the scope "${adminScope}". Ask for a token with it.`);
}

async function answer(
  req: IncomingMessage,
  who: Principal,
  options: AdminOptions,
): Promise<Answer> {
  const url = URL.parse(req.url ?? '/', 'http://localhost');
  const path = url?.pathname.replace(/^\/admin/, '').replace(/\/$/, '') ?? '';
  for (const route of routes) {
    const match = route.path.exec(path);
    if (match === null) continue;
    const method = req.method === 'HEAD' ? 'GET' : (req.method ?? '');
    const handler = Object.hasOwn(route.methods, method) ? route.methods[method] : undefined;
    if (handler === undefined) {
      const allow = Object.keys(route.methods).join(', ');
      throw new Problem(405, `Use ${allow} here.`, { allow });
    }
    const at = match.slice(1).map(decoded);
    const query = url?.searchParams ?? new URLSearchParams();
    return handler({ req, by: nameOf(who), query, at }, options);
  }
  throw new Problem(
    404,
    'There is /admin/peers, /admin/definitions, /admin/permissions and /admin/leases.',
  );
}

/** Who decided something, as it is kept. */
function nameOf(who: Principal): string {
  return who.issuer === '' ? who.subject : `${who.organization}/${who.subject}`;
}

function refOf([peer = '', kind = '', name = '']: readonly string[]) {
  return { peer, kind: kindOf(kind), name };
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new Problem(400, 'The path is not a valid URL path.');
  }
}
