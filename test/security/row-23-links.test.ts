/** SECURITY row 23: what peers write never becomes script, markup or a link to anything but the web. */
import { expect, it } from 'vitest';
import { TaskState } from '@a2a-js/sdk';
import type { Part } from '@a2a-js/sdk';
import { RawA2a, say } from '../faces/a2a-raw.ts';
import { artifact, dataPart, textPart, urlPart } from '../support/a2a-parts.ts';
import { WireClient } from '../support/wire-client.ts';
import { agentWith, gatewayWith } from './world.ts';

const capabilities = { elicitation: { form: {}, url: {} } };

const badUrls = [
  'javascript:alert(1)',
  ' javascript:alert(1)',
  'java\nscript:alert(1)',
  'JAVASCRIPT:alert(1)',
  'data:text/html,<script>alert(1)</script>',
  'vbscript:x',
  'file:///etc/passwd',
  'blob:https://x/1',
  'intent://x#Intent;end',
  'https://accounts.example@evil.example/',
  '//evil.example',
  'https://',
];

/** The page and the elicitation that an agent's wish for authorization becomes. */
async function wishing(parts: readonly Part[], name = 'Travel') {
  const agent = await agentWith({
    card: { name },
    behaviours: {
      auth: async (turn) => {
        turn.begin();
        await turn.needAuthorization(parts);
      },
    },
  });
  const gateway = await gatewayWith({ peers: [{ id: 'p', a2a: agent.cardUrl }] });
  const client = new WireClient(gateway.mcp('p'));
  const asked = await client.call('auth', { message: 'x' }, { capabilities });
  const url = /http[^"]+\/connect\/[\w-]+/.exec(JSON.stringify(asked))?.[0] ?? '';
  const response = await fetch(url);
  return { asked, url, response, html: await response.text() };
}

const hrefs = (html: string): string[] =>
  [...html.matchAll(/\bhref="([^"]*)"/g)].map(([, href = '']) => href);

it.each(badUrls)(
  'the page links nothing for %j, and the client is given no such URL',
  async (bad) => {
    const { asked, url, html } = await wishing([textPart('Sign in'), dataPart({ url: bad })]);
    expect(hrefs(html)).toEqual([]);
    const requests = Object.values(asked['inputRequests'] as Record<string, { params: object }>);
    expect(requests.map(({ params }) => 'url' in params && params.url)).toEqual([url]);
  },
);

it('markup in names, texts and URLs stays text, and the page allows no script and no frame', async () => {
  const evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>\'</blockquote></title>';
  const { html, response } = await wishing(
    [textPart(evil), dataPart({ url: `https://ok.example/?q=${evil.replaceAll(' ', '')}` })],
    evil,
  );
  expect(html).not.toMatch(/<script|<img|onerror=alert\(1\)>'/);
  expect(html.match(/<\/blockquote>/g)).toHaveLength(1);
  expect(html.match(/<\/title>/g)).toHaveLength(1);
  expect(hrefs(html)).toHaveLength(1);
  expect(hrefs(html)[0]).toMatch(/^https:\/\/ok\.example\/\?q=/);
  const policy = response.headers.get('content-security-policy');
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toContain('script-src');
  expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  expect(response.headers.get('cache-control')).toBe('no-store');
  expect(response.headers.get('referrer-policy')).toBe('no-referrer');
  expect(html).not.toContain('<form');
});

it('invisible and right-to-left characters cannot make the page say something else', async () => {
  const { html } = await wishing(
    [
      textPart('Go to \u202egnp.elpmaxe\u202c\u2066now\u0000\u{e0041}'),
      dataPart({ url: 'https://\u0430pple.example/' }),
    ],
    `Bank\u202e\u200b\u2066${'N'.repeat(5000)}`,
  );
  expect(html).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u200b]/);
  expect(html).not.toContain('\u0000');
  expect(html).not.toContain('\u{e0041}');
  expect(html).toContain('xn--pple-43d.example');
  expect(html.length).toBeLessThan(10_000);
});

it('several URLs are shown as text and none is offered', async () => {
  const { html } = await wishing([
    textPart('Sign in'),
    dataPart({ url: 'https://one.example/' }),
    dataPart({ url: 'https://two.example/' }),
  ]);
  expect(hrefs(html)).toEqual([]);
  expect(html).toContain('https://one.example/');
});

it('the page does nothing when it is fetched, and takes no other method', async () => {
  const { url } = await wishing([textPart('x'), dataPart({ url: 'https://ok.example/' })]);
  for (let n = 0; n < 3; n += 1) expect((await fetch(url)).status).toBe(200);
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
    expect((await fetch(url, { method })).status).toBe(405);
  }
});

it('files and artifacts of an agent become links for http and https only', async () => {
  const parts = badUrls.map((url, n) => urlPart(url, 'text/html', `file-${n}`));
  const agent = await agentWith({
    behaviours: {
      task: (turn) => {
        turn.begin(TaskState.TASK_STATE_COMPLETED, [
          artifact('links', [...parts, urlPart('https://ok.example/a.pdf', 'application/pdf')]),
        ]);
      },
    },
  });
  const gateway = await gatewayWith({ peers: [{ id: 'p', a2a: agent.cardUrl }] });
  const result = await new WireClient(gateway.mcp('p')).call('task', { message: 'x' });
  const links = (result['content'] as { type: string; uri?: string }[])
    .filter(({ type }) => type === 'resource_link')
    .map(({ uri }) => uri ?? '');
  expect(links).toContain('https://ok.example/a.pdf');
  for (const link of links) {
    expect(link).toMatch(/^(https?|a2a):\/\//);
    expect(link).not.toContain('@');
  }
});

it('an agent that asks with an exact request cannot name a bad URL either', async () => {
  for (const url of badUrls) {
    const request = {
      method: 'elicitation/create',
      params: { mode: 'url', message: 'Sign in', url, elicitationId: 'e' },
    };
    const { asked } = await wishing([dataPart({ key: 'k', request })]);
    const given = JSON.stringify(asked['inputRequests']);
    expect(given).toContain('/connect/');
    expect(given).not.toContain(`"url":${JSON.stringify(url)}`);
  }
}, 30_000);

it('no answer of the gateway can be taken for a page', async () => {
  const agent = await agentWith();
  const gateway = await gatewayWith({ peers: [{ id: 'p', a2a: agent.cardUrl }] });
  const script = '<script>alert(1)</script>';
  const answers = await Promise.all([
    fetch(`${gateway.url}/${script}`),
    fetch(`${gateway.url}/a2a/p/tasks/${encodeURIComponent(script)}`),
    fetch(`${gateway.url}/mcp/p`, { method: 'POST', body: script }),
    fetch(`${gateway.url}/a2a/p`, { method: 'POST', body: script }),
    fetch(`${gateway.url}/a2a/p/message:send`, { method: 'POST', body: script }),
    fetch(`${gateway.url}/a2a/p/${script}`),
  ]);
  for (const answer of answers) {
    expect(answer.headers.get('content-type')).toMatch(/^application\/(a2a\+)?json/);
  }
  const { body } = await new RawA2a(gateway.a2a('p')).rpc(script, say('x'));
  expect(body.error?.code).toBe(-32601);
});
