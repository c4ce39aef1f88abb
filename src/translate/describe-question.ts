/**
 * A question in prose, for people and models that cannot be shown a form or a link.
 *
 * Lost: nothing that is not also sent as data; the prose says what the schema asks for in short.
 */
import type { Json } from '../model/json.ts';
import { isObject } from '../model/json.ts';
import type { OpenQuestion, PeerQuestion } from '../ports/peer.ts';
import { isHttpUrl } from './http-url.ts';
import { shortened } from './plain-text.ts';

/** A question as prose: its message, its fields or its link. */
export function describedQuestion(
  question: PeerQuestion & { key?: string },
  options: { connectUrlOf?: (key: string) => string } = {},
): string {
  const { method, params = {} } = question.request;
  const message = typeof params['message'] === 'string' ? params['message'] : '';
  if (method === 'sampling/createMessage') return describedSampling(params['messages']);
  if (method === 'roots/list') return 'The tool server asks for the list of roots it may use.';
  if (params['mode'] === 'url') {
    const link = linkOf(question, options);
    if (link === undefined || message.includes(link)) return message;
    return [message, `Open this page: ${link}`].filter((line) => line !== '').join('\n');
  }
  const fields = describedFields(params['requestedSchema']);
  return [message, ...fields].filter((line) => line !== '').join('\n');
}

/** Several questions as prose; where there is more than one, each under the key that answers it. */
export function describedQuestions(
  questions: readonly OpenQuestion[],
  options: { connectUrlOf?: (key: string) => string } = {},
): string {
  return questions
    .map((question) => {
      const text = describedQuestion(question, options);
      return questions.length === 1 ? text : `Question ${JSON.stringify(question.key)}: ${text}`;
    })
    .join('\n\n');
}

/** What an answer to these questions has to look like, for `answer_task`. */
export function describedAnswer(questions: readonly OpenQuestion[]): string {
  const pages = questions.filter(({ request }) => request.params?.['mode'] === 'url');
  if (questions.length > 0 && pages.length === questions.length) {
    return 'any text, once that is done';
  }
  return questions.length > 1
    ? 'an object with a member for each question, named by its key: a text, or an object with its fields'
    : 'a text, or an object with the fields that are asked for';
}

/** The page a person is to open: ours for an A2A agent's question, the server's own otherwise. */
function linkOf(
  question: PeerQuestion & { key?: string },
  options: { connectUrlOf?: (key: string) => string },
): string | undefined {
  const own = question.request.params?.['url'];
  if (isHttpUrl(own)) return own;
  if (question.key !== undefined && options.connectUrlOf !== undefined) {
    return options.connectUrlOf(question.key);
  }
  const [offered, ...more] = question.url?.candidates ?? [];
  return more.length === 0 ? offered : undefined;
}

function describedFields(schema: Json | undefined): string[] {
  if (!isObject(schema) || !isObject(schema['properties'])) return [];
  const properties = Object.entries(schema['properties']);
  const required = Array.isArray(schema['required']) ? schema['required'] : [];
  if (properties.length === 1 && properties[0]?.[0] === 'answer') return [];
  return properties.slice(0, 30).map(([name, property]) => {
    const facts = isObject(property) ? property : {};
    const type = typeof facts['type'] === 'string' ? facts['type'] : 'any';
    const need = required.includes(name) ? ', required' : '';
    const about = [facts['title'], facts['description']].filter((text) => typeof text === 'string');
    const choices = Array.isArray(facts['enum'])
      ? ` One of: ${shortened(facts['enum'].map(String).join(', '), 300)}.`
      : '';
    const said = about.length === 0 ? '' : `: ${shortened(about.join('. '), 300)}`;
    return `- ${name} (${type}${need})${said}${choices}`;
  });
}

function describedSampling(messages: Json | undefined): string {
  const asked = (Array.isArray(messages) ? messages : []).flatMap((message) => {
    const content = isObject(message) ? message['content'] : undefined;
    return isObject(content) && typeof content['text'] === 'string' ? [content['text']] : [];
  });
  return ['The tool server asks for a completion by a language model:', ...asked].join('\n');
}
