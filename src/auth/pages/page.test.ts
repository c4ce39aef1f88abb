import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { escape, page, sendPage, type PageOptions } from './page.ts';

async function sent(options: PageOptions): Promise<{ headers: Headers; text: string }> {
  const server = createServer((_req, res) =>
    sendPage(res, { status: 200, html: page('A <title>', '<p>b</p>'), ...options }),
  );
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const reply = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const text = await reply.text();
  await new Promise((resolve) => server.close(resolve));
  return { headers: reply.headers, text };
}

it('a page runs nothing, loads nothing, is framed nowhere and stored nowhere', async () => {
  const { headers, text } = await sent({});
  const style = /<style>([^]*)<\/style>/.exec(text)?.[1] ?? '';
  const hash = createHash('sha256').update(style).digest('base64');
  expect(headers.get('content-security-policy')).toBe(
    `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  );
  expect(headers.get('x-frame-options')).toBe('DENY');
  expect(headers.get('cache-control')).toBe('no-store');
  expect(headers.get('referrer-policy')).toBe('no-referrer');
  expect(headers.get('x-content-type-options')).toBe('nosniff');
  expect(text).toContain('<title>A &lt;title&gt;</title>');
});

it('forms go to this gateway and to the origins that are named, whatever is in their URL', async () => {
  const { headers } = await sent({
    forms: true,
    redirectsTo: ["https://idp.example/authorize?x=1; script-src 'unsafe-inline'"],
    headers: { 'x-more': 'yes' },
  });
  expect(headers.get('content-security-policy')).toContain(
    "form-action 'self' https://idp.example; frame-ancestors",
  );
  expect(headers.get('content-security-policy')).not.toContain('script-src');
  expect(headers.get('referrer-policy')).toBe('same-origin');
  expect(headers.get('x-more')).toBe('yes');
});

it('what is escaped is text wherever it stands', () => {
  expect(escape(`<a href="x" o='y'>&amp;`)).toBe(
    '&lt;a href=&quot;x&quot; o=&#39;y&#39;&gt;&amp;amp;',
  );
});
