/**
 * Gives the questions of a peer keys that are unique over a task's life.
 *
 * Spec: MCP Tasks extension, "Task Update Requests" (keys are never reused in a task)
 */
import { isDeepStrictEqual } from 'node:util';
import type { Part } from '../model/a2a.ts';
import { gatewayPeerId, type OpenQuestion, type PeerQuestion } from '../ports/peer.ts';
import { exactQuestions } from '../translate/agent-questions.ts';
import { questionStatusParts } from '../translate/questions.ts';

/** The keys that a task has used, and the questions that are open. */
export interface QuestionBook {
  open: OpenQuestion[];
  used: string[];
}

/**
 * The book after a peer has said which questions are open now. A question that was open before
 * keeps its key; a new one gets the peer's own key where that was never used, else a fresh one.
 */
export function openQuestions(book: QuestionBook, asked: PeerQuestion[]): QuestionBook {
  const used = [...book.used];
  const before = [...book.open];
  const open = asked.map((question) => {
    const index = before.findIndex((known) => sameQuestion(known, question));
    const known = index === -1 ? undefined : before.splice(index, 1)[0];
    const key = known?.key ?? freshKey(used, question.peerKey);
    if (known === undefined) used.push(key);
    return { ...question, key };
  });
  return { open, used };
}

/**
 * What the status message of an interrupt says: an A2A agent's own words, which are its question;
 * for an MCP server, whose question is a request, that request in prose and as data.
 */
export function askedParts(said: Part[], open: readonly OpenQuestion[], peerId: string): Part[] {
  const isRequest = open.some(({ answerAs }) => answerAs === 'response');
  if (!isRequest || exactQuestions(said).length > 0) return said;
  // Spec: MCP 2026-07-28 client/elicitation (a client makes clear which server asks)
  // The gateway's own agent says itself for whom it asks.
  const isOurs = open.every(({ ours }) => ours === true);
  const who = isOurs ? `A tool that was lent to "${peerId}"` : `"${peerId}"`;
  const asker = peerId === gatewayPeerId ? [] : [{ text: `${who} asks:` }];
  return [...said, ...asker, ...questionStatusParts(open)];
}

/** The book with fresh keys for the questions under `keys`. */
export function renewKeys(book: QuestionBook, keys: string[]): QuestionBook {
  const used = [...book.used];
  const open = book.open.map((question) => {
    if (!keys.includes(question.key)) return question;
    const key = freshKey(used, undefined);
    used.push(key);
    return { ...question, key };
  });
  return { open, used };
}

function sameQuestion(known: OpenQuestion, asked: PeerQuestion): boolean {
  return known.peerKey === asked.peerKey && isDeepStrictEqual(known.request, asked.request);
}

function freshKey(used: string[], wanted: string | undefined): string {
  const usable = wanted !== undefined && wanted.length <= 128 && wanted !== '__proto__';
  if (usable && !used.includes(wanted)) return wanted;
  for (let n = used.length + 1; ; n += 1) {
    const key = `q${n}`;
    if (!used.includes(key)) return key;
  }
}
