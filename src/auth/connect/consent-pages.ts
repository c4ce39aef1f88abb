/** What people read when they decide about a connection. Everything here is text and forms. */
import type { ConnectionView } from '../../ports/connections.ts';
import type { PersonSession } from '../../ports/people.ts';
import { plainText, shortened } from '../../translate/plain-text.ts';
import { formTokenField } from '../pages/form.ts';
import { escape, page, type Html } from '../pages/page.ts';

/** What the consent page says. */
export interface ConsentFacts {
  readonly organization: string;
  /** The OAuth client that asked. */
  readonly client: string;
  /** The peer that wants to act at the service: what it calls itself, and where it is. */
  readonly peer: { readonly id: string; readonly name: string; readonly hosts: readonly string[] };
  readonly service: string;
  /** The host at which the person will consent. */
  readonly host: string;
  readonly scopes: readonly string[];
  readonly resource: string | undefined;
  /** The person who decides. */
  readonly session: PersonSession;
}

/** The question itself, with a yes and a no. */
export function consentPage(facts: ConsentFacts): Html {
  const { session, organization, client, peer, service, host, scopes, resource } = facts;
  const rows: [string, Html][] = [
    ['You', `${shown(session.displayName)} (${shown(organization)})`],
    ['Asked by the client', `<code>${shown(client)}</code>`],
    ['To be used by', `${shown(peer.name)} (<code>${shown(peer.id)}</code>)`],
    ['Sent to', peer.hosts.map(strong).join(', ')],
    ['Service', shown(service)],
    ['You will go to', strong(host)],
    [
      'It may',
      scopes.length === 0
        ? 'what the service grants by default'
        : `<ul>${scopes.map((scope) => `<li><code>${shown(scope)}</code></li>`).join('')}</ul>`,
    ],
    ...(resource === undefined
      ? []
      : ([['At', `<span class="url">${shown(resource)}</span>`]] satisfies [string, Html][])),
  ];
  return page(
    `Connect your account at ${service}?`,
    `<dl>${rows.map(([term, value]) => `<dt>${term}</dt><dd>${value}</dd>`).join('')}</dl>
<h2>What happens</h2>
<p>If you continue, ${shown(service)} asks you to sign in and to agree. The gateway keeps the token that it gets, sealed. When this client asks something of <code>${shown(peer.id)}</code>, it sends the token to ${peer.hosts.map(strong).join(', ')}, and to nobody else. The client does not get to see it. Whoever runs ${peer.hosts.length === 1 ? 'that host' : 'these hosts'} does, and can do with it what is listed here. You can take it back at any time under <a href="/connect">your connections</a>.</p>
<p>Continue only if you have just asked for something that needs this account.</p>
${form(session, 'allow', `Continue to ${host}`)}
${form(session, 'decline', 'Decline', 'quiet')}`,
  );
}

/** Leads on to the third party: by itself, and by a link for whoever it does not take along. */
export function leavingPage(service: string, url: string): Html {
  const { host } = new URL(url);
  return page(
    `To ${service}`,
    `<p>You are on your way to <strong class="host">${escape(host)}</strong>.</p>
<p><a class="button" href="${escape(url)}" rel="noreferrer" referrerpolicy="no-referrer">Continue to ${escape(host)}</a></p>`,
  );
}

/** A person's connections, each with a way to remove it. */
export function listPage(session: PersonSession, connections: readonly ConnectionView[]): Html {
  const none =
    '<p>There are none. A connection is made when something that you ask for needs one.</p>';
  const items = connections.map(
    ({ id, name, host, client, peerId, peerHosts, scopes, since }) => `<li>
<h2>${shown(name)}</h2>
<dl><dt>Service</dt><dd>${shown(host)}</dd><dt>Client</dt><dd><code>${shown(client)}</code></dd>
<dt>Used by</dt><dd><code>${shown(peerId)}</code> at ${peerHosts.map(shown).join(', ')}</dd>
<dt>It may</dt><dd>${scopes.length === 0 ? 'what the service grants by default' : scopes.map(shown).join(', ')}</dd>
<dt>Since</dt><dd><time datetime="${new Date(since).toISOString()}">${new Date(since).toISOString().slice(0, 10)}</time></dd></dl>
<form method="post" action="/connect">${formTokenField(session)}<input type="hidden" name="remove" value="${escape(id)}"><button class="button quiet" type="submit">Remove<span> ${shown(name)} (${shown(client)}, ${shown(peerId)})</span></button></form>
</li>`,
  );
  return page(
    'Your connections',
    `<p>You are ${shown(session.displayName)}. These are the accounts elsewhere that you have let the gateway use, each for one client and one peer. Removing one also takes its tokens back at the service.</p>
${items.length === 0 ? none : `<ul class="choices">${items.join('\n')}</ul>`}`,
  );
}

/** A page that says one thing. `next` is HTML. */
export function notice(title: string, text: string, next: Html = ''): Html {
  return page(title, `<p>${escape(text)}</p>${next}`);
}

/** The answer to every link that leads nowhere. */
export function nothingHere(): Html {
  return notice(
    'Nothing to do here',
    'This link is not valid, or the request behind it has been answered or has expired. Go back to your client to see where it stands.',
  );
}

/** The link was made for somebody else. Nothing about them or their request is told. */
export function notYours(): Html {
  return notice(
    'This request is not yours',
    'Somebody else asked for this, or the request came from another account. Nothing was changed. If you are that person, log out here and log in with that account; if somebody sent you this link, do not go on.',
  );
}

function form(session: PersonSession, decision: string, words: string, looks = ''): Html {
  return `<form method="post">${formTokenField(session)}<input type="hidden" name="decision" value="${decision}"><button class="button ${looks}" type="submit">${escape(words)}</button></form>`;
}

function strong(host: string): Html {
  return `<strong class="host">${shown(host)}</strong>`;
}

/** Text that others chose. */
function shown(text: string): Html {
  return escape(shortened(plainText(text), 300));
}
