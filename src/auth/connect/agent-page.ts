/**
 * What a person sees before they follow a URL that an agent chose: which agent, why, and where they
 * would go.
 *
 * Spec: MCP 2026-07-28 client/elicitation, "URL Mode Security"
 */
import type { OpenQuestion } from '../../ports/peer.ts';
import type { TaskView } from '../../ports/tasks.ts';
import { plainText, shortened } from '../../translate/plain-text.ts';
import { escape, page, type Html } from '../pages/page.ts';

/** What an agent may fill of the page, in characters. */
const maxName = 100;
const maxText = 10_000;
const maxTargets = 20;

interface Explanation {
  text: string;
  candidates: string[];
}

/** A peer's name as a page shows it. */
export function shownName(name: string, peerId: string): string {
  return shortened(plainText(name), maxName) || peerId;
}

/** The page for a task that waits for an authorization. */
export function agentPage(name: string, view: TaskView): Html {
  const { text, candidates } = explanation(view);
  const targets = [...new Set(candidates.map(webUrl).filter((url) => url !== undefined))];
  const words = plainText(text).slice(0, maxText);
  const target = targets.length === 1 ? targets[0] : undefined;
  const said =
    words.trim() === ''
      ? '<p>The agent gave no reason.</p>'
      : `<h2>What the agent says</h2><blockquote>${escape(words)}</blockquote>`;
  const go =
    target === undefined
      ? `<p>${
          targets.length === 0
            ? 'The agent named no address to go to.'
            : 'The agent named several addresses, so that none is offered here:'
        } Follow its words only if you trust them.</p>${list(targets)}`
      : `<h2>Where you would go</h2>
<p>Host: <strong class="host">${escape(new URL(target).host)}</strong></p>
<p class="url">${escape(target)}</p>
<p>Continue only if you know this site and expected to be sent there. Never enter there what you would not give to this agent.</p>
<p><a class="button" href="${escape(target)}" rel="noopener noreferrer external" referrerpolicy="no-referrer">Continue to ${escape(new URL(target).host)}</a></p>`;
  return page(
    `${name} asks you to sign in elsewhere`,
    `<p>The agent <strong>${escape(name)}</strong> (<code>${escape(view.peerId)}</code>) works on a task of yours and cannot go on without your authorization.</p>
${said}
${go}
<p>When you are done, close this window. The task goes on by itself.</p>`,
  );
}

/** The agent's own words and links: from the open question, else from the status that it left. */
function explanation(view: TaskView): Explanation {
  const asked = view.questions.find((question: OpenQuestion) => question.url !== undefined)?.url;
  if (asked !== undefined) return asked;
  const parts = view.task.status.message?.parts ?? [];
  const candidates = parts.flatMap((part) => {
    const data = part.data;
    const inData =
      typeof data === 'object' && data !== null && !Array.isArray(data) ? data['url'] : undefined;
    return [inData, part.url].filter((url) => typeof url === 'string');
  });
  return {
    text: parts
      .map((part) => part.text ?? '')
      .join('\n')
      .trim(),
    candidates,
  };
}

function list(urls: string[]): Html {
  if (urls.length === 0) return '';
  return `<ul>${urls
    .slice(0, maxTargets)
    .map((url) => `<li class="url">${escape(url)}</li>`)
    .join('')}</ul>`;
}

/** The normalised URL when it is one for a browser. */
function webUrl(text: string): string | undefined {
  const url = URL.parse(text);
  return url !== null &&
    /^https?:$/.test(url.protocol) &&
    url.username === '' &&
    url.password === ''
    ? url.href
    : undefined;
}
