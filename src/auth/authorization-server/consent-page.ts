/** The page on which a person lets a client act for them, or does not. */
import { plainText, shortened } from '../../translate/plain-text.ts';
import { escape, page, type Html } from '../pages/page.ts';
import type { ClientOrigin } from './client-metadata.ts';
import { isOnDevice, redirectPlace } from './redirect-uris.ts';

/** What the page shows. Names are what others say about themselves. */
export interface ConsentQuestion {
  readonly action: string;
  /** The field that proves where the form comes from. */
  readonly formToken: Html;
  readonly account: { readonly name: string; readonly organization: string };
  readonly client: {
    readonly id: string;
    readonly name: string | undefined;
    readonly origin: ClientOrigin;
  };
  readonly redirectUri: string;
  readonly resource: { readonly name: string; readonly url: string };
  readonly scopes: readonly string[];
}

const maxName = 80;

/** The page. */
export function consentPage(question: ConsentQuestion): Html {
  const { account, client, resource, redirectUri, scopes } = question;
  const id = shownId(client);
  const name = shortened(plainText(client.name ?? ''), maxName) || id;
  return page(
    `Let ${name} act for you?`,
    `<dl>
<dt>You are</dt>
<dd>${escape(shown(account.name))}, ${escape(account.organization)}</dd>
<dt>The client</dt>
<dd><strong>${escape(name)}</strong><br><span class="host">${escape(id)}</span><br>${escape(origins[client.origin])}</dd>
<dt>Your answer goes to</dt>
<dd class="host">${escape(redirectPlace(redirectUri))}</dd>
<dt>It wants to use</dt>
<dd>${escape(shown(resource.name))}<br><span class="url">${escape(resource.url)}</span></dd>
<dt>It would be allowed to</dt>
<dd><ul>${scopes.map((scope) => `<li>${escape(scopeWords(scope))} <code>${escape(scope)}</code></li>`).join('')}</ul></dd>
</dl>
${isOnDevice(redirectUri) ? onDevice : ''}
<p>Allow this only if you have just started it yourself.</p>
<form method="post" action="${escape(question.action)}">
${question.formToken}
<input type="hidden" name="scopes" value="${escape(scopes.join(' '))}">
<button class="button" name="decision" value="allow">Allow</button>
</form>
<form method="post" action="${escape(question.action)}">
${question.formToken}
<button class="button quiet" name="decision" value="deny">Deny</button>
</form>`,
  );
}

const onDevice =
  '<p>The answer goes to a program on this device. Any program here could pose as this client: go on only if you started it.</p>';

const origins: Readonly<Record<ClientOrigin, string>> = {
  operator: 'Entered by the operator of this gateway.',
  document: 'It describes itself at this host.',
  registration: 'It has registered itself: nobody has checked its name.',
};

/** The page after the answer, where the way back is not a web address. */
export function returnPage(clientName: string, back: string): Html {
  return page(
    'Go back to your client',
    `<p><a class="button" href="${escape(back)}">Continue to ${escape(clientName)}</a></p>
<p>You can close this page after that.</p>`,
  );
}

/** The host of a client that is known by a URL; the id of any other. */
function shownId({ id, origin }: ConsentQuestion['client']): string {
  return origin === 'document' ? new URL(id).host : shown(id);
}

function shown(text: string): string {
  return shortened(plainText(text), maxName);
}

function scopeWords(scope: string): string {
  if (scope === 'admin') return 'Operate this gateway.';
  if (scope === 'lend') return 'Lend tools of its own in your name.';
  const [, peer, action] = /^peer:(\*|[a-z0-9-]{1,63}):(read|call)$/.exec(scope) ?? [];
  if (peer === undefined || action === undefined) return '';
  const where = peer === '*' ? 'every agent and server that you may use' : peer;
  return action === 'read' ? `See what ${where} offers.` : `Use ${where} in your name.`;
}
