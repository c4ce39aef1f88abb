/**
 * A browser without pages: fetch with a cookie jar, redirects followed by hand, forms filled in.
 * Keeps `Secure` cookies for loopback, as browsers do (their hosts are trustworthy).
 */

interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly host: string;
  readonly path: string;
  readonly attributes: ReadonlyMap<string, string>;
}

/** A form of a page. */
export interface PageForm {
  readonly method: string;
  readonly action: URL;
  /** What its inputs hold. */
  readonly fields: Readonly<Record<string, string>>;
  /** The words on its buttons. */
  readonly buttons: readonly string[];
}

/** An answer whose body has been read. */
export interface Visit {
  readonly url: URL;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Where it redirects to. */
  readonly location: URL | undefined;
  readonly forms: readonly PageForm[];
  /** Every URL that was visited on the way here, this one last. */
  readonly trail: readonly URL[];
}

/** What a visit may be told. */
export interface VisitOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Follows redirects as long as this says so; default always. */
  readonly follow?: boolean | ((next: URL) => boolean);
}

/** One browser profile. */
export class CookieClient {
  #cookies: Cookie[] = [];

  /** The cookies that would be sent to a URL, by name. */
  cookies(url: string | URL): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#for(new URL(url)).map(({ name, value }) => [name, value]));
  }

  /** Puts a cookie in the jar, as somebody who can write cookies of the host might. */
  setCookie(url: string | URL, header: string): void {
    this.#keep(new URL(url), header);
  }

  clear(): void {
    this.#cookies = [];
  }

  /** Opens a page. */
  get(url: string | URL, options: VisitOptions = {}): Promise<Visit> {
    return this.#visit(new URL(url), { method: 'GET' }, options);
  }

  /** Posts fields, as a form of the same site would. */
  post(
    url: string | URL,
    fields: Readonly<Record<string, string>>,
    options: VisitOptions = {},
  ): Promise<Visit> {
    const to = new URL(url);
    return this.#visit(
      to,
      { method: 'POST', body: new URLSearchParams(fields) },
      {
        ...options,
        headers: { origin: to.origin, 'sec-fetch-site': 'same-origin', ...options.headers },
      },
    );
  }

  /** Submits the form of a page whose action ends so, with its own fields and the given ones. */
  submit(
    page: Visit,
    fields: Readonly<Record<string, string>> = {},
    options: VisitOptions & { readonly action?: string | RegExp; readonly button?: string } = {},
  ): Promise<Visit> {
    const form = page.forms.find(
      ({ action, buttons }) =>
        matches(action.pathname, options.action) &&
        (options.button === undefined || buttons.includes(options.button)),
    );
    if (form === undefined) {
      throw new Error(`There is no such form at ${page.url.href} (${page.status}): ${page.text}`);
    }
    const all = { ...form.fields, ...fields };
    if (form.method === 'post') return this.post(form.action, all, options);
    const to = new URL(form.action);
    to.search = new URLSearchParams(all).toString();
    return this.get(to, options);
  }

  /**
   * Logs in at a test provider, starting from its login page or from a URL that leads there, and
   * consents. Stops where the browser leaves the provider's forms.
   */
  async logIn(
    from: Visit | string | URL,
    login: string,
    options: VisitOptions = {},
  ): Promise<Visit> {
    let page =
      typeof from === 'string' || from instanceof URL ? await this.get(from, options) : from;
    for (let step = 0; step < 4; step++) {
      const form = page.forms.find(({ action }) =>
        /^\/interaction\/[\w-]+\/(login|confirm)$/.test(action.pathname),
      );
      if (form === undefined) return page;
      page = await this.submit(page, form.action.pathname.endsWith('/login') ? { login } : {}, {
        ...options,
        action: form.action.pathname,
      });
    }
    return page;
  }

  async #visit(first: URL, init: RequestInit, options: VisitOptions): Promise<Visit> {
    const { follow = true } = options;
    const trail: URL[] = [];
    let [url, request] = [first, init];
    for (;;) {
      trail.push(url);
      const cookie = this.#for(url)
        .map(({ name, value }) => `${name}=${value}`)
        .join('; ');
      const headers = new Headers(options.headers);
      if (cookie !== '') headers.set('cookie', cookie);
      if (request.method === 'GET') headers.delete('origin');
      const response = await fetch(url, { ...request, headers, redirect: 'manual' });
      for (const header of response.headers.getSetCookie()) this.#keep(url, header);
      const text = await response.text();
      const to = response.headers.get('location');
      const location = to === null ? undefined : new URL(to, url);
      const redirects = location !== undefined && response.status >= 300 && response.status < 400;
      if (!redirects || follow === false || (follow !== true && !follow(location))) {
        const { status } = response;
        const forms = formsOf(text, url);
        return { url, status, headers: response.headers, text, location, forms, trail };
      }
      if (trail.length > 20) throw new Error(`Too many redirects: ${trail.join(' ')}`);
      [url, request] = [location, { method: 'GET' }];
    }
  }

  #for(url: URL): Cookie[] {
    return this.#cookies.filter(
      ({ host, path }) =>
        host === url.hostname &&
        (url.pathname === path || url.pathname.startsWith(path.endsWith('/') ? path : `${path}/`)),
    );
  }

  /** Spec: RFC 6265bis §4.1.3.2 (a `__Host-` cookie is Secure, has Path=/ and no Domain) */
  #keep(url: URL, header: string): void {
    const [pair = '', ...rest] = header.split(';').map((part) => part.trim());
    const at = pair.indexOf('=');
    const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
    const attributes = new Map(
      rest.map((attribute) => {
        const [key = '', ...words] = attribute.split('=');
        return [key.toLowerCase(), words.join('=')];
      }),
    );
    const path = attributes.get('path') ?? '/';
    if (
      name.startsWith('__Host-') &&
      !(attributes.has('secure') && attributes.get('path') === '/' && !attributes.has('domain'))
    ) {
      return;
    }
    const host = url.hostname;
    this.#cookies = this.#cookies.filter(
      (kept) => !(kept.name === name && kept.host === host && kept.path === path),
    );
    const expires = attributes.get('expires');
    const gone =
      Number(attributes.get('max-age') ?? 1) <= 0 ||
      (!attributes.has('max-age') && expires !== undefined && Date.parse(expires) <= Date.now());
    if (!gone) this.#cookies.push({ name, value, host, path, attributes });
  }
}

function matches(path: string, wanted: string | RegExp | undefined): boolean {
  if (wanted === undefined) return true;
  return typeof wanted === 'string' ? path.endsWith(wanted) : wanted.test(path);
}

function formsOf(html: string, base: URL): PageForm[] {
  return [...html.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gis)].map(([, tag = '', inner = '']) => ({
    method: (attributeOf(tag, 'method') ?? 'get').toLowerCase(),
    action: new URL(attributeOf(tag, 'action') ?? base.href, base),
    fields: Object.fromEntries(
      [...inner.matchAll(/<input\b([^>]*)>/gi)].flatMap(([, input = '']) => {
        const name = attributeOf(input, 'name');
        return name === undefined ? [] : [[name, attributeOf(input, 'value') ?? '']];
      }),
    ),
    buttons: [...inner.matchAll(/<button\b[^>]*>(.*?)<\/button>/gis)].map(([, words = '']) =>
      unescape(words).trim(),
    ),
  }));
}

function attributeOf(tag: string, name: string): string | undefined {
  const value = new RegExp(`\\b${name}="([^"]*)"`, 'i').exec(tag)?.[1];
  return value === undefined ? undefined : unescape(value);
}

function unescape(html: string): string {
  return html
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&');
}
