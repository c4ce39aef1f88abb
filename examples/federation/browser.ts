/**
 * A person at a browser, played: pages are fetched with cookies, and the first form of each page is
 * sent as it is, by its first button. On the pages of this demo that button says yes.
 */

/** One browser profile. */
export class PlayedBrowser {
  readonly #cookies = new Map<string, string>();

  /** Opens a page and says yes until there is nothing left to decide. Returns the last heading. */
  async open(url: string): Promise<string> {
    let page = await this.#visit(new URL(url), { method: 'GET' });
    for (let step = 0; step < 12; step += 1) {
      const form = /<form\b([^>]*)>(.*?)<\/form>/is.exec(page.html);
      const onward = /^0;\s*url=(.+)$/i.exec(page.refresh)?.[1];
      if (onward !== undefined) {
        page = await this.#visit(new URL(onward, page.url), { method: 'GET' });
      } else if (form === null) return textOf(/<h1>(.*?)<\/h1>/is.exec(page.html)?.[1] ?? '');
      else {
        const [, tag = '', inner = ''] = form;
        const to = new URL(attribute(tag, 'action') ?? page.url.href, page.url);
        page = await this.#visit(to, { method: 'POST', body: fieldsOf(inner) });
      }
    }
    throw new Error(`The pages at ${page.url.origin} lead nowhere.`);
  }

  async #visit(first: URL, init: RequestInit) {
    let [url, request] = [first, init];
    for (let hops = 0; hops < 20; hops += 1) {
      const headers = new Headers({ 'sec-fetch-site': 'same-origin' });
      if (request.method === 'POST') headers.set('origin', url.origin);
      // Cookies of one host, whatever the port, as browsers have it.
      headers.set('cookie', [...this.#cookies].map((pair) => pair.join('=')).join('; '));
      const response = await fetch(url, { ...request, headers, redirect: 'manual' });
      for (const cookie of response.headers.getSetCookie()) this.#keep(cookie);
      const html = await response.text();
      const to = response.headers.get('location');
      if (to === null) {
        if (response.ok) return { url, html, refresh: response.headers.get('refresh') ?? '' };
        throw new Error(`A page at ${url.origin} answers ${response.status}.`);
      }
      [url, request] = [new URL(to, url), { method: 'GET' }];
    }
    throw new Error(`The pages at ${url.origin} lead in a circle.`);
  }

  #keep(header: string): void {
    const [, name = '', value = ''] = /^([^=;]+)=([^;]*)/.exec(header) ?? [];
    const isGone = /;\s*max-age=0\b/i.test(header) || /expires=Thu, 01 Jan 1970/i.test(header);
    if (isGone) this.#cookies.delete(name);
    else this.#cookies.set(name, value);
  }
}

/** What the inputs of a form hold, and its first button. */
function fieldsOf(form: string): URLSearchParams {
  const fields = new URLSearchParams();
  const inputs = [...form.matchAll(/<input\b([^>]*)>/gi)];
  const button = /<button\b([^>]*)>/i.exec(form);
  for (const [, tag = ''] of button === null ? inputs : [...inputs, button]) {
    const name = attribute(tag, 'name');
    if (name !== undefined) fields.append(name, attribute(tag, 'value') ?? '');
  }
  return fields;
}

function attribute(tag: string, name: string): string | undefined {
  const value = new RegExp(`\\b${name}="([^"]*)"`, 'i').exec(tag)?.[1];
  return value === undefined ? undefined : textOf(value);
}

function textOf(html: string): string {
  return html
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&');
}
