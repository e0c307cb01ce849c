/**
 * The end of the second pass: what sets hypotheses apart is put into the best one, stretch by stretch (see
 * `asr/decoding/recombination.py`).
 */

const ROUNDS = 3; // as in Python

/** Makes new texts of the hypotheses of an utterance. */
export class Recombiner {
  /**
   * @param {(texts: number[][], posteriors: import("./posteriors.js").Posteriors) =>
   *   {tokens: number[], score: number}[]} scoreTexts scores whole texts by the first pass
   * @param {number} space the token between words
   */
  constructor(scoreTexts, space) {
    Object.assign(this, { scoreTexts, space: String.fromCharCode(space) });
  }

  /**
   * Add new texts to hypotheses.
   * @param {{tokens: number[], score: number}[]} hypotheses the best first
   * @param {import("./posteriors.js").Posteriors} posteriors
   * @param {object[]} rescorers score new texts too; the hypotheses have been through the same
   * @returns {Promise<{tokens: number[], score: number}[]>} the same and new ones, the best first
   */
  async recombine(hypotheses, posteriors, rescorers) {
    let merged = hypotheses;
    const tried = new Set(hypotheses.map(({ tokens }) => write(tokens)));
    for (let round = 0; round < ROUNDS; round++) {
      const [best] = merged;
      // With the best one no more than came in: a rescorer drops what is beyond the number that it scores.
      const texts = this.makeTexts(merged.map(({ tokens }) => write(tokens)), tried).slice(0, hypotheses.length - 1);
      if (!texts.length) break;
      texts.forEach((text) => tried.add(text));
      let scored = this.scoreTexts([best.tokens, ...texts.map(read)], posteriors);
      for (const rescorer of rescorers) scored = await rescorer.rescore(scored, posteriors);
      merged = merge(merged, scored);
      if (merged[0] === best) break;
    }
    return merged;
  }

  /** Put each difference from the first text into it. */
  makeTexts(before, tried) {
    const [best, ...others] = before.map((text) => text.split(this.space).filter(Boolean));
    const texts = new Set();
    for (const words of others) {
      for (const { begin, end, first, last } of differences(best, words)) {
        const text = [...best.slice(0, begin), ...words.slice(first, last), ...best.slice(end)].join(this.space);
        if (text && !tried.has(text)) texts.add(text);
      }
    }
    return [...texts];
  }
}

/** Turn tokens into a string, which can be compared and cut into words. */
const write = (tokens) => String.fromCharCode(...tokens);
const read = (text) => Array.from(text, (character) => character.charCodeAt(0));

/** Add new hypotheses; the best old one was scored with them, for the search has other sums for the same text. */
function merge(hypotheses, scored) {
  const [best] = hypotheses;
  const isBest = ({ tokens }) => write(tokens) === write(best.tokens);
  const own = scored.find(isBest).score;
  if (!Number.isFinite(own)) return hypotheses;
  const added = scored.filter((each) => !isBest(each) && Number.isFinite(each.score)); // not where frames are too few
  const moved = added.map(({ tokens, score }) => ({ tokens, score: best.score + score - own }));
  return [...hypotheses, ...moved].sort((one, other) => other.score - one.score);
}

/** List where two sequences of words differ, by longest common stretches, as Python's `difflib` finds them. */
export function differences(one, other) {
  const blocks = [...findBlocks(one, other, 0, one.length, 0, other.length), [one.length, other.length, 0]];
  const found = [];
  let [begin, first] = [0, 0];
  for (const [end, last, length] of blocks) {
    if (begin < end || first < last) found.push({ begin, end, first, last });
    [begin, first] = [end + length, last + length];
  }
  return found;
}

/** Give the stretches that two sequences have in common: where each begins in both, and its length. */
function* findBlocks(one, other, begin, end, first, last) {
  let best = [begin, first, 0];
  let lengths = new Map(); // of the common stretches that end with the word before, by where they end in the other one
  for (let i = begin; i < end; i++) {
    const longer = new Map();
    for (let j = first; j < last; j++) {
      if (one[i] !== other[j]) continue;
      const length = (lengths.get(j - 1) ?? 0) + 1;
      longer.set(j, length);
      if (length > best[2]) best = [i - length + 1, j - length + 1, length];
    }
    lengths = longer;
  }
  const [i, j, length] = best;
  if (!length) return;
  yield* findBlocks(one, other, begin, i, first, j);
  yield best;
  yield* findBlocks(one, other, i + length, end, j + length, last);
}
