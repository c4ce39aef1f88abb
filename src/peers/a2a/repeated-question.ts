/** Questions that an agent asks once more: because it repeats itself, or because we have to. */
import type { Message, TaskStatus } from '../../model/a2a.ts';
import { isInterrupted } from '../../model/a2a.ts';
import type { MintId } from '../../model/ids.ts';
import type { OpenQuestion, PeerEvent, PeerQuestion } from '../../ports/peer.ts';
import { questionsFromStatus } from '../../translate/questions.ts';

type StatusEvent = Extract<PeerEvent, { kind: 'status' }>;

/** Recognises a status that asks exactly what `open` asks. */
export function answeredQuestions(
  open: readonly OpenQuestion[],
  peerId: string,
): (status: TaskStatus) => boolean {
  const notice = noticeOf(peerId);
  const asked = identity(open.map((question) => withoutNotice(question, notice)));
  return (status) => isInterrupted(status.state) && identity(questionsFromStatus(status)) === asked;
}

/**
 * A status whose question has to be put again, because nobody knows whether the answer arrived.
 * The status and every question that has a text say so.
 */
export function askedAgain(event: StatusEvent, peerId: string, mintId: MintId): StatusEvent {
  const notice = noticeOf(peerId);
  const { message, questions } = event;
  const said: Message = {
    ...message,
    messageId: mintId(),
    role: 'ROLE_AGENT',
    parts: [{ text: notice }, ...(message?.parts ?? [])],
  };
  return {
    ...event,
    message: said,
    ...(questions && { questions: questions.map((question) => withNotice(question, notice)) }),
  };
}

function noticeOf(peerId: string): string {
  return `The last answer may not have reached the agent "${peerId}". Please answer again.`;
}

function withNotice(question: PeerQuestion, notice: string): PeerQuestion {
  const { method, params } = question.request;
  if (method !== 'elicitation/create') return question;
  const message = typeof params?.['message'] === 'string' ? `\n${params['message']}` : '';
  return {
    ...question,
    request: { method, params: { ...params, message: `${notice}${message}` } },
  };
}

/** A question as the agent put it, also when it was put again with a notice. */
function withoutNotice(question: PeerQuestion, notice: string): PeerQuestion {
  const { method, params } = question.request;
  const message = params?.['message'];
  if (typeof message !== 'string' || !message.startsWith(`${notice}\n`)) return question;
  const original = message.slice(notice.length + 1);
  return { ...question, request: { method, params: { ...params, message: original } } };
}

/** The same for the same questions in the same order. */
function identity(questions: readonly PeerQuestion[]): string {
  return JSON.stringify(
    questions.map(({ peerKey, request }) => [peerKey ?? '', request.method, request.params ?? {}]),
  );
}
