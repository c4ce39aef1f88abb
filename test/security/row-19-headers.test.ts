/** SECURITY row 19: no header of a request is trusted to say who calls, from where, or what. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { startIssuer } from '../support/issuer.ts';
import { agentWith, closing, gatewayWith, modernHeaders, modernMeta } from './world.ts';

/** What proxies, meshes and frameworks put in, and what people put in to look like them. */
const trusted: Record<string, string> = {
  'x-forwarded-user': 'admin',
  'x-forwarded-email': 'admin@example.org',
  'x-forwarded-groups': 'admin',
  'x-forwarded-access-token': 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.',
  'x-forwarded-for': '127.0.0.1',
  'x-forwarded-host': '127.0.0.1',
  'x-forwarded-proto': 'https',
  'x-forwarded-port': '443',
  'x-forwarded-prefix': '/admin',
  'x-forwarded-client-cert': 'Subject="CN=admin"',
  'x-client-cert': 'admin',
  'x-ssl-client-verify': 'SUCCESS',
  'x-ssl-client-s-dn': 'CN=admin',
  forwarded: 'for=127.0.0.1;host=127.0.0.1;proto=https',
  'x-real-ip': '127.0.0.1',
  'true-client-ip': '127.0.0.1',
  'cf-connecting-ip': '127.0.0.1',
  'x-client-ip': '127.0.0.1',
  'x-original-url': '/healthz',
  'x-rewrite-url': '/healthz',
  'x-original-method': 'GET',
  'x-http-method': 'GET',
  'x-http-method-override': 'GET',
  'x-method-override': 'GET',
  'x-auth-user': 'admin',
  'x-auth-request-user': 'admin',
  'x-auth-request-email': 'admin@example.org',
  'x-auth-token': 'admin',
  'x-authenticated-user': 'admin',
  'x-user': 'admin',
  'x-user-id': 'admin',
  'x-remote-user': 'admin',
  'remote-user': 'admin',
  'x-webauth-user': 'admin',
  'x-principal': '{"organization":"test","subject":"admin"}',
  'x-organization': 'test',
  'x-tenant-id': 'test',
  'x-scopes': 'admin peer:*:call',
  'x-roles': 'admin',
  'x-internal': 'true',
  'x-isthmus-principal': 'admin',
  'x-isthmus-internal': 'true',
  'x-amzn-oidc-identity': 'admin',
  'x-goog-authenticated-user-email': 'accounts.google.com:admin@example.org',
  'x-ms-client-principal': 'eyJ1c2VySWQiOiJhZG1pbiJ9',
  'tailscale-user-login': 'admin@example.org',
};

async function start() {
  const [agent, issuer] = await Promise.all([agentWith(), startIssuer()]);
  closing(issuer);
  const gateway = await gatewayWith({
    peers: [{ id: 'agent', a2a: agent.cardUrl }],
    auth: { issuers: [{ issuer: issuer.issuer, organization: 'test' }] },
  });
  return { gateway, issuer, agent };
}

const list = (n = 1) => ({
  method: 'POST',
  body: JSON.stringify({
    jsonrpc: '2.0',
    id: n,
    method: 'tools/list',
    params: { _meta: modernMeta },
  }),
});

it('each of them, and all together, leave a caller without a token one without a token', async () => {
  const { gateway, agent } = await start();
  const cases = [...Object.entries(trusted).map(([name, value]) => ({ [name]: value })), trusted];
  expect(cases.length).toBeGreaterThan(40);
  for (const headers of cases) {
    const named = Object.keys(headers)[0];
    const mcp = await fetch(gateway.mcp('agent'), {
      ...list(),
      headers: { ...modernHeaders('tools/list'), ...headers },
    });
    expect([named, mcp.status]).toEqual([named, 401]);
    const a2a = await fetch(`${gateway.a2a('agent')}/tasks`, { headers });
    expect([named, a2a.status]).toEqual([named, 401]);
    const admin = await fetch(`${gateway.url}/admin/peers`, { headers });
    expect([named, admin.status]).toEqual([named, admin.status === 403 ? 403 : 401]);
  }
  expect(agent.ledger).toEqual([]);
});

it('what they say changes nothing for a caller with a token: same owner, same method, same URLs', async () => {
  const { gateway, issuer, agent } = await start();
  const token = await issuer.token({ aud: gateway.a2a('agent'), scope: 'peer:agent:call' });
  const headers = { authorization: `Bearer ${token}`, 'a2a-version': '1.0' };
  const send = async (more: Record<string, string>) => {
    const response = await fetch(gateway.a2a('agent'), {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', ...more },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'SendMessage',
        params: { message: { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'task hello' }] } },
      }),
    });
    const { result } = (await response.json()) as { result: { task: { id: string } } };
    return [response.status, result.task.id] as const;
  };
  const [status, id] = await send(trusted);
  expect(status).toBe(200);
  // The task belongs to the token's subject, with the headers and without them.
  for (const more of [{}, trusted]) {
    const got = await fetch(`${gateway.a2a('agent')}/tasks/${id}`, {
      headers: { ...headers, ...more },
    });
    expect(got.status).toBe(200);
  }
  for (const { headers: sent } of agent.ledger) {
    for (const name of Object.keys(trusted)) expect([name, sent[name]]).toEqual([name, undefined]);
  }
});

it('the metrics are for this machine, and for no request that was forwarded', async () => {
  const { gateway } = await start();
  expect((await fetch(`${gateway.url}/metrics`)).status).toBe(200);
  for (const name of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'x-forwarded-host']) {
    const response = await fetch(`${gateway.url}/metrics`, {
      headers: { [name]: trusted[name] ?? '' },
    });
    expect([name, response.ok]).toEqual([name, false]);
    expect(await response.text()).not.toContain('process_cpu');
  }
});

it('the administrator’s token is made anew for every gateway', async () => {
  const [first, second] = await Promise.all([
    gatewayWith({ peers: [] }),
    gatewayWith({ peers: [] }),
  ]);
  expect(first.adminToken).toHaveLength(43);
  expect(first.adminToken).not.toBe(second.adminToken);
  const keys = [first, second].map(({ dir }) => readFileSync(`${dir}/keys/sealing.key`, 'utf8'));
  expect(keys[0]).not.toBe(keys[1]);
});
