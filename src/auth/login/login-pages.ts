/** The words of the login: what went wrong, and what to do next. */
import type { PersonSession } from '../../ports/people.ts';
import { formTokenField } from '../pages/form.ts';
import { escape, page, type Html } from '../pages/page.ts';

/** Why a login did not happen. */
export type LoginProblem =
  | { readonly kind: 'unknown-organization' }
  | { readonly kind: 'unreachable'; readonly name: string }
  | { readonly kind: 'foreign-answer' }
  | { readonly kind: 'unreadable-answer' }
  | { readonly kind: 'other-browser' }
  | { readonly kind: 'gone' }
  | { readonly kind: 'declined'; readonly name: string }
  | { readonly kind: 'provider-error'; readonly name: string; readonly code: string }
  | { readonly kind: 'not-proven'; readonly name: string }
  | { readonly kind: 'not-fresh'; readonly name: string }
  | { readonly kind: 'foreign-form' };

interface Words {
  readonly status: number;
  readonly title: string;
  readonly text: string;
}

function wordsOf(problem: LoginProblem): Words {
  switch (problem.kind) {
    case 'unknown-organization':
      return {
        status: 404,
        title: 'This organization is not known here',
        text: 'Nobody can log in with it. Choose yours from the list, or ask whoever gave you the link.',
      };
    case 'unreachable':
      return {
        status: 502,
        title: 'The login cannot be reached',
        text: `${problem.name} does not answer as it should. Try again in a moment; if that does not help, tell whoever runs this gateway.`,
      };
    case 'foreign-answer':
      return {
        status: 400,
        title: 'This answer came from somewhere else',
        text: 'It does not name the provider that you were sent to, so that nothing in it was used. Start again.',
      };
    case 'unreadable-answer':
      return {
        status: 400,
        title: 'This answer cannot be read',
        text: 'It is incomplete, or says something twice. Start again.',
      };
    case 'other-browser':
      return {
        status: 403,
        title: 'This login began in another browser',
        text: 'It can only end where it began, and cookies have to be allowed. Start again in this browser. If you did not begin it yourself, somebody sent you their link: close this page.',
      };
    case 'gone':
      return {
        status: 400,
        title: 'This login has ended',
        text: 'It has been used already, or took longer than ten minutes. Start again.',
      };
    case 'declined':
      return {
        status: 403,
        title: 'You are not logged in',
        text: `The login at ${problem.name} was canceled. Start again if that was not what you wanted.`,
      };
    case 'provider-error':
      return {
        status: 502,
        title: 'The provider refused the login',
        text: `${problem.name} answered “${problem.code}”. Try again; if that does not help, tell whoever runs this gateway.`,
      };
    case 'not-proven':
      return {
        status: 502,
        title: 'The login could not be checked',
        text: `What ${problem.name} sent does not prove who you are. Start again; if that does not help, tell whoever runs this gateway.`,
      };
    case 'not-fresh':
      return {
        status: 403,
        title: 'Please enter your password again',
        text: `What you are about to do needs a new login, and ${problem.name} used an earlier one. Log out there, then start again.`,
      };
    case 'foreign-form':
      return {
        status: 403,
        title: 'This form is not valid any more',
        text: 'It was not sent by a page of this gateway for the session that is logged in now. Go back, reload the page and try again.',
      };
  }
}

/** The page for a problem; `again` is a path to start over from. */
export function problemPage(
  problem: LoginProblem,
  again: string,
): { readonly status: number; readonly html: Html } {
  const { status, title, text } = wordsOf(problem);
  const html = page(
    title,
    `<p role="alert">${escape(text)}</p>
<p><a class="button" href="${escape(again)}">Start again</a></p>`,
  );
  return { status, html };
}

/** The page on which people say where they belong. */
export function choicePage(choices: readonly { name: string; href: string }[]): Html {
  const links = choices.map(
    ({ name, href }) => `<li><a class="button" href="${escape(href)}">${escape(name)}</a></li>`,
  );
  return page(
    'Where do you log in?',
    `<p>Choose your organization. You log in there, and come back.</p>
<ul class="choices">${links.join('\n')}</ul>`,
  );
}

/** The page of somebody who is logged in. */
export function statusPage(
  session: PersonSession,
  organization: string,
  paths: { readonly logout: string },
): Html {
  return page(
    'You are logged in',
    `<p>As <strong>${escape(session.displayName)}</strong> of <strong>${escape(organization)}</strong>.</p>
<form method="post" action="${escape(paths.logout)}">
${formTokenField(session)}
<button class="button" type="submit">Log out</button>
</form>`,
  );
}

/** The page after the logout, and of whoever has nothing to log out from. */
export function loggedOutPage(login: string): Html {
  return page(
    'You are logged out',
    `<p>This browser has no session here. At your organization you may still be logged in.</p>
<p><a class="button" href="${escape(login)}">Log in</a></p>`,
  );
}
