/**
 * What a beam search looks up, as `asr/decoding/tables.py` lays it out: settings, words, n-grams, hot words.
 *
 * `Math.fround` stands where numpy computes in single precision, so that scores agree to rounding.
 */

import { buildHotWords } from "./hot-words.js";
import { NO_WORD, OUTSIDE, ROOT, buildLexicon } from "./lexicon.js";
import { NO_MODEL, UNKNOWN } from "./ngrams.js";

/**
 * Prepare a search.
 * @param {object} config the `decoding` section of `config.json`
 * @param {import("./tokenizer.js").Tokenizer} tokenizer
 * @param {ReturnType<import("./lexicon.js").readLanguageModel> | null} lm
 * @param {{phrase: string, boost: number}[]} hotWords
 * @param {Float32Array | null} logBigrams the internal language model, `(vocabularySize, vocabularySize)`
 */
export function buildTables(config, tokenizer, lm, hotWords, logBigrams) {
  const { space, vocabularySize: size } = tokenizer;
  const model = lm ?? NO_MODEL;
  const hot = buildHotWords(hotWords, tokenizer);
  const moreWords = lm ? hotWords.flatMap(({ phrase }) => phrase.split(" ")) : [];
  const lexicon = lm && !moreWords.length ? lm.lexicon : buildLexicon(model, tokenizer, moreWords);
  if (lm && (space < 0 || lexicon.words.length <= ROOT + 1)) {
    throw new Error("the language model cannot be used: the alphabet of the recogniser spells none of its words");
  }
  const wordScore = space < 0 ? 0 : config.word_score;
  const unknownScore = lm ? config.unknown_score ?? -Infinity : 0;
  const gain = new Float64Array(size * size);
  if (lm && logBigrams) {
    const weight = Math.fround(config.internal_lm_weight);
    for (let i = 0; i < gain.length; i++) gain[i] = -Math.fround(weight * logBigrams[i]);
  }
  const settings = {
    beamSize: config.beam_size,
    beamThreshold: config.beam_threshold,
    space,
    lmWeight: config.lm_weight,
    wordScore,
    unknownScore,
    unknownLetterScore: lm ? config.unknown_letter_score ?? 0 : 0,
    maxHotGain: hot.gain.reduce((best, value) => Math.max(best, value), 0),
  };
  const gained = sumToNodes(lexicon, gain, size, space);
  const charges = charge(lexicon, settings, model);
  const spellingScores = new Float64Array(gained.length);
  for (let node = 0; node < gained.length; node++) {
    charges[node] += gained[node];
    if (lexicon.words[node] === NO_WORD || space < 0) continue;
    spellingScores[node] = gained[node] + gain[lexicon.tokens[node] * size + space];
  }
  const highestCharges = new Float64Array(charges.length).fill(charges[OUTSIDE]); // that one more token can lead to
  for (let node = ROOT + 1; node < charges.length; node++) {
    const parent = lexicon.parents[node];
    if (charges[node] > highestCharges[parent]) highestCharges[parent] = charges[node];
  }
  return { settings, size, lexicon, spellingScores, charges, highestCharges, ngrams: model, hot };
}

/** Add up what each token gains after the one before it, from the space before a word to each node. */
function sumToNodes(lexicon, gain, size, space) {
  const sums = new Float64Array(lexicon.tokens.length);
  for (let node = ROOT + 1; node < sums.length; node++) {
    const parent = lexicon.parents[node];
    const last = parent === ROOT ? Math.max(0, space) : lexicon.tokens[parent];
    sums[node] = sums[parent] + gain[last * size + lexicon.tokens[node]];
  }
  return sums;
}

/** Charge each node what the likeliest word ahead costs by itself; leaving the lexicon is a way on from each. */
function charge(lexicon, settings, lm) {
  const { words, parents } = lexicon;
  const highest = new Float32Array(words.length).fill(-Infinity);
  for (let node = 0; node < words.length; node++) if (words[node] !== NO_WORD) highest[node] = lm.logProbs[words[node]];
  highest[OUTSIDE] = lm.logProbs[UNKNOWN];
  for (let node = words.length - 1; node > ROOT; node--) {
    if (highest[node] > highest[parents[node]]) highest[parents[node]] = highest[node];
  }
  const weight = Math.fround(settings.lmWeight);
  const wordScore = Math.fround(settings.wordScore);
  const least = Math.fround(
    Math.fround(wordScore + Math.fround(weight * highest[OUTSIDE])) + Math.fround(settings.unknownScore),
  );
  const charges = new Float64Array(words.length);
  for (let node = 0; node < words.length; node++) {
    charges[node] = Math.max(least, Math.fround(wordScore + Math.fround(weight * highest[node])));
  }
  charges[OUTSIDE] = least;
  charges[ROOT] = 0; // no word is under way
  return charges;
}
