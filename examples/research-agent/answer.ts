/** Finds the sentences of the sources that answer a question. No model: words that they share. */
import type { Source } from './sources.ts';

/** So many sentences make an answer. */
const mostSentences = 2;

/** The sentences that share most with the question, in their order, and where they are from. */
export function answerFrom(
  question: string,
  sources: readonly Source[],
): { answer: string; used: Source[] } | undefined {
  const asked = new Set(stems(question));
  const sentences = sources.flatMap((source) =>
    source.text.split(/(?<=[.!?])\s+/).map((text) => ({ source, text })),
  );
  const counts = new Map<string, number>();
  for (const { text } of sentences) {
    for (const stem of new Set(stems(text))) counts.set(stem, (counts.get(stem) ?? 0) + 1);
  }
  const scored = sentences.map((sentence, at) => {
    const shared = new Set(stems(`${sentence.source.title} ${sentence.text}`).filter(isAsked));
    // A word that few sentences have says more about them.
    const score = [...shared].reduce((sum, stem) => sum + 1 / (counts.get(stem) ?? 1), 0);
    return { ...sentence, at, score };
  });
  function isAsked(stem: string): boolean {
    return asked.has(stem);
  }
  const best = scored
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .slice(0, mostSentences)
    .sort((a, b) => a.at - b.at);
  if (best.length === 0) return undefined;
  return {
    answer: best.map(({ text }) => text).join(' '),
    used: [...new Set(best.map(({ source }) => source))],
  };
}

const empty = new Set(
  'a an and are by did do does for from how in is it of on or that the to was were what when where which who why with'.split(
    ' ',
  ),
);

/** Words without their endings, roughly: `collapsed` and `collapse` are one. */
function stems(text: string): string[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.filter((word) => !empty.has(word)).map((word) => word.slice(0, 6));
}
