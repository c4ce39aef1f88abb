/** The identity provider of one organization, in a process of its own. */
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { createAuthorizationServer } from './authorization-server.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    gateway: { type: 'string', default: '' },
    organization: { type: 'string', default: '' },
    person: { type: 'string', multiple: true, default: [] },
    /** What the gateway gets tokens for, besides knowing who somebody is. */
    resource: { type: 'string' },
  },
});
const { port, gateway, organization, person: people, resource } = values;

createServer(
  createAuthorizationServer({
    issuer: `http://127.0.0.1:${port}`,
    gateway,
    redirectUri: `${gateway}/login/callback/${organization}`,
    people,
    resources: resource === undefined ? {} : { [resource]: 'plan' },
    asks: false,
  }),
).listen(Number(port), '127.0.0.1');
