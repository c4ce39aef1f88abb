/**
 * The query of the registry's list, and its cursors: a cursor is the name after which the next
 * page starts, so that it means the same whatever comes and goes between two pages.
 *
 * Spec: MCP Registry API v0.1, `GET /v0.1/servers`
 */

/** A list query that can be answered. */
export interface ListQuery {
  /** The page starts after this name. */
  readonly after?: string;
  readonly limit: number;
  /** In lower case. */
  readonly search?: string;
  /** Milliseconds; what changed then or later is listed. */
  readonly since?: number;
  readonly version?: string;
}

/** Why a query is refused. */
export interface Refused {
  readonly error: string;
}

const defaultLimit = 30;
const maxLimit = 100;

/** Reads the query; parameters that the API does not have are ignored. */
export function listQuery(params: URLSearchParams): ListQuery | Refused {
  for (const name of ['cursor', 'limit', 'search', 'updated_since', 'version']) {
    if (params.getAll(name).length > 1) return { error: `Invalid ${name}: it is given twice` };
  }
  const deleted = wantsDeleted(params);
  if (typeof deleted === 'object') return deleted;
  const cursor = params.get('cursor') ?? '';
  const after = cursor === '' ? undefined : nameInCursor(cursor);
  if (cursor !== '' && after === undefined) {
    return { error: 'Invalid cursor: use the exact value of metadata.nextCursor' };
  }
  const limit = limitIn(params.get('limit') ?? '');
  if (limit === undefined) {
    return { error: `Invalid limit: expected a whole number from 1 to ${maxLimit}` };
  }
  const updated = params.get('updated_since') ?? '';
  const since = updated === '' ? undefined : timeIn(updated);
  if (updated !== '' && since === undefined) {
    return {
      error:
        'Invalid updated_since: expected an RFC 3339 date-time such as 2026-01-31T13:15:04.280Z',
    };
  }
  const search = params.get('search') ?? '';
  const version = params.get('version') ?? '';
  return {
    limit,
    ...(after !== undefined && { after }),
    ...(search !== '' && { search: search.toLowerCase() }),
    ...(since !== undefined && { since }),
    ...(version !== '' && { version }),
  };
}

/** Whether deleted entries are asked for. There are none, but a mistake is told. */
export function wantsDeleted(params: URLSearchParams): boolean | Refused {
  const value = params.get('include_deleted') ?? 'false';
  if (value === 'true' || value === 'false') return value === 'true';
  return { error: 'Invalid include_deleted: expected true or false' };
}

/** The cursor of the page after the one that ends with `name`. */
export function cursorAfter(name: string): string {
  return Buffer.from(`${cursorMark}${name}`).toString('base64url');
}

/** The name in a cursor, or undefined when we did not make it. */
export function nameInCursor(cursor: string): string | undefined {
  if (cursor.length > 1024) return undefined;
  const text = Buffer.from(cursor, 'base64url').toString();
  const name = text.slice(cursorMark.length);
  // Node skips what is not base64url: only what encodes to the very same text is ours.
  return text.startsWith(cursorMark) && cursorAfter(name) === cursor ? name : undefined;
}

const cursorMark = 'after:';

function limitIn(text: string): number | undefined {
  if (text === '') return defaultLimit;
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  return limit >= 1 && limit <= maxLimit ? limit : undefined;
}

const dateTime =
  /^(\d{4})-(\d\d)-(\d\d)[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

/** Spec: RFC 3339 §5.6. A `+` that was not encoded arrives as a space. */
function timeIn(text: string): number | undefined {
  const given = text.replace(/ (?=\d\d:\d\d$)/, '+');
  const [, year, month, day] = dateTime.exec(given) ?? [];
  if (year === undefined || Number(day) < 1 || Number(month) < 1 || Number(month) > 12) {
    return undefined;
  }
  if (Number(day) > new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate()) {
    return undefined;
  }
  // A leap second is a moment that Date does not know.
  const time = Date.parse(given.toUpperCase().replace(/:60(?=[.Z+-])/, ':59'));
  return Number.isNaN(time) ? undefined : time;
}
