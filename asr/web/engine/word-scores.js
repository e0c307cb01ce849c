/** What the beam search adds for the words of a text: the n-gram model, a score for each word, and unknown words. */

import { NONE } from "./hypotheses.js";
import { NO_WORD } from "./lexicon.js";
import { END, UNKNOWN, findLabel } from "./ngrams.js";

/** Return the score of all words of a prefix, should the last one end here. */
export function endWord(prefixes, tables, prefix) {
  let score = prefixes.wordsScore[prefix];
  if (score !== score) { // NaN until somebody asks
    const { settings, lexicon, spellingScores } = tables;
    const lastWord = prefixes.lastWord[prefix];
    const spelling = prefixes.spelling[prefix];
    score = prefixes.wordsScore[lastWord] + settings.wordScore + spellingScores[spelling];
    let word = lexicon.words[spelling];
    if (word === NO_WORD) {
      word = UNKNOWN;
      score += settings.unknownScore;
      const before = prefixes.length[lastWord]; // a space follows it, unless nothing is before
      score += settings.unknownLetterScore * (prefixes.length[prefix] - before - Math.min(before, 1));
    }
    score += settings.lmWeight * follow(prefixes, tables, lastWord, word, prefixes.contexts, prefix * prefixes.order);
    prefixes.wordsScore[prefix] = score;
  }
  return score;
}

/**
 * Return the score of a prefix as a whole text, its posteriors aside.
 * @param {Int32Array} scratch of as many numbers as the longest n-gram has words
 */
export function scoreText(prefixes, tables, prefix, scratch) {
  const { settings, hot } = tables;
  const text = prefixes.token[prefix] === settings.space ? prefixes.lastWord[prefix] : prefix;
  const score = endWord(prefixes, tables, text) + prefixes.hotScore[prefix] + hot.finalGain[prefixes.hotState[prefix]];
  return score + settings.lmWeight * follow(prefixes, tables, text, END, scratch, 0);
}

/** Return log P(word | context of a prefix) by back-off, and write the context after it to `next` at `offset`. */
function follow({ contexts, order }, { ngrams }, prefix, word, next, offset) {
  const { logProbs, backoffs, wordIds, children } = ngrams;
  let logProb = logProbs[word];
  let longer = word;
  for (let length = 0; length < order - 1; length++) {
    next[offset + length] = longer;
    longer = NONE;
    const node = contexts[prefix * order + length];
    if (node !== NONE) {
      longer = findLabel(wordIds, children[node], children[node + 1], word);
      logProb = longer === NONE ? logProb + backoffs[node] : logProbs[longer];
    }
  }
  return logProb;
}
