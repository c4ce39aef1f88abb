/** Calls a gateway's admin API. */

/** An answer. */
export interface AdminAnswer {
  status: number;
  type: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- a test reads what it expects
  body: any;
  text: string;
}

/** A client of a gateway's API, with its token. */
export function adminOf(gateway: { url: string; adminToken: string }) {
  const authorization = `Bearer ${gateway.adminToken}`;
  return async (
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<AdminAnswer> => {
    const response = await fetch(`${gateway.url}/admin${path}`, {
      method,
      headers: {
        authorization,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const type = response.headers.get('content-type') ?? '';
    return {
      status: response.status,
      type,
      text,
      body: text === '' ? undefined : JSON.parse(text),
    };
  };
}
