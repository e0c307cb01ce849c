/**
 * CTC prefix beam search: from log-probabilities to the best texts and their exact scores.
 *
 * The algorithm and its reasons stand in `asr/decoding/search.py`, function by function; this is that search with a
 * frame at a time, and gives the same hypotheses. Records are spread over typed arrays, one for each field.
 */

import { Hypotheses, NONE, Prefixes, highest } from "./hypotheses.js";
import { OUTSIDE, NO_WORD, ROOT } from "./lexicon.js";
import { BEGIN, END, UNKNOWN, findLabel } from "./ngrams.js";
import { BLANK } from "./tokenizer.js";

const IMPOSSIBLE = -1e4; // stands for the logarithm of 0, so that every text has a score

/** One search: frames go in, the best texts come out. */
export class BeamSearch {
  /** @param {ReturnType<import("./tables.js").buildTables>} tables */
  constructor(tables) {
    const { settings, size, ngrams } = tables;
    this.tables = tables;
    this.prefixes = new Prefixes(ngrams.order);
    this.beam = new Hypotheses(settings.beamSize);
    this.candidates = new Hypotheses(settings.beamSize * size);
    this.isExtended = new Uint8Array(settings.beamSize * size);
    this.totals = new Float64Array(settings.beamSize * size);
    this.tokens = new Int32Array(size);
    this.scratch = new Int32Array(ngrams.order);
    this.frame = new Float64Array(size);
    this.begin();
  }

  /** Put the empty text in the beam: like one that ends in a space, after which a word may begin. */
  begin() {
    const { prefixes, beam, tables } = this;
    prefixes.reserve(1);
    prefixes.count = 1;
    prefixes.parent[0] = prefixes.firstChild[0] = NONE;
    prefixes.token[0] = tables.settings.space < 0 ? BLANK : tables.settings.space;
    prefixes.spelling[0] = ROOT;
    prefixes.hotState[0] = tables.hot.start;
    prefixes.contexts.fill(NONE, 0, prefixes.order);
    prefixes.contexts[0] = BEGIN;
    beam.count = 1;
    beam.prefix[0] = 0;
    beam.logToken[0] = -Infinity;
  }

  /**
   * Search one frame further.
   * @param {Float32Array} logProbs of each token, natural logarithms
   */
  accept(logProbs) {
    for (let token = 0; token < this.frame.length; token++) {
      this.frame[token] = Math.max(logProbs[token], IMPOSSIBLE);
    }
    this.prefixes.reserve(this.tables.settings.beamSize);
    const floor = this.stay();
    this.extend(floor);
    this.select();
  }

  /**
   * End the text.
   * @returns {{tokens: number[], score: number}[]} up to `nbest` different texts, the best first; at least one
   */
  finish(nbest) {
    const { beam } = this;
    this.completeTexts();
    const order = Array.from({ length: beam.count }, (_, i) => i);
    order.sort((one, other) => beam.total[other] - beam.total[one] || one - other);
    return order
      .slice(0, nbest)
      .filter((i) => beam.total[i] > -Infinity)
      .map((i) => ({ tokens: this.spell(beam.prefix[i]), score: beam.total[i] }));
  }

  /** Propose each prefix as it is, and return the total that others must exceed to be worth proposing. */
  stay() {
    const { prefixes, beam, candidates, frame, isExtended } = this;
    const { space, beamThreshold, beamSize } = this.tables.settings;
    const size = frame.length;
    candidates.count = 0;
    isExtended.fill(0, 0, beam.count * size);
    let best = -Infinity;
    let worst = Infinity;
    for (let i = 0; i < beam.count; i++) {
      const prefix = beam.prefix[i];
      const token = prefixes.token[prefix];
      // By repeating the last token. After a space, a blank and a space are the same text.
      let logToken = frame[token] + (token === space ? beam.logBoth[i] : beam.logToken[i]);
      const parent = prefixes.parent[prefix];
      if (parent !== NONE && prefixes.beamIndex[parent] !== NONE) {
        const parentIndex = prefixes.beamIndex[parent];
        isExtended[parentIndex * size + token] = 1;
        const ready = prefixes.token[parent] === token ? beam.logBlank[parentIndex] : beam.logBoth[parentIndex];
        logToken = logAdd(logToken, frame[token] + ready);
      }
      const total = this.propose(prefix, NONE, frame[BLANK] + beam.logBoth[i], logToken, prefixes.score[prefix]);
      if (total > best) best = total;
      if (total < worst) worst = total;
    }
    const floor = best - beamThreshold;
    return beam.count === beamSize ? Math.max(floor, worst) : floor;
  }

  /** Add a candidate, and return its total. */
  propose(prefix, token, logBlank, logToken, score) {
    const { candidates } = this;
    const index = candidates.count++;
    candidates.prefix[index] = prefix;
    candidates.token[index] = token;
    candidates.logBlank[index] = logBlank;
    candidates.logToken[index] = logToken;
    const logBoth = logAdd(logBlank, logToken);
    candidates.logBoth[index] = logBoth;
    candidates.total[index] = logBoth + score;
    return logBoth + score;
  }

  /** Propose each prefix with one more token, where that may bring the total above the floor. */
  extend(floor) {
    const { prefixes, beam, frame, isExtended, tokens } = this;
    const { settings: { space, beamThreshold, maxGain }, gain, spellingScores } = this.tables;
    const size = frame.length;
    const numTokens = this.chooseTokens(floor);
    for (let i = 0; i < beam.count; i++) {
      const prefix = beam.prefix[i];
      const last = prefixes.token[prefix];
      const score = prefixes.score[prefix];
      const scoreOfSpace = prefixes.wordsScore[prefixes.lastWord[prefix]] + prefixes.hotScore[prefix]
        + spellingScores[prefixes.spelling[prefix]];
      for (let j = 0; j < numTokens; j++) {
        const token = tokens[j];
        const logToken = frame[token] + (last === token ? beam.logBlank[i] : beam.logBoth[i]);
        // The bound is cheap and the exact score is not, so most extensions are refused by the bound.
        const bound = (token === space ? scoreOfSpace : score + gain[last * size + token]) + maxGain;
        if (logToken + bound <= floor || isExtended[i * size + token] || (token === space && last === space)) continue;
        const extended = this.scoreStep(prefix, token, this.stepSpelling(prefix, token));
        if (logToken + extended > floor) {
          const total = this.propose(prefix, token, -Infinity, logToken, extended);
          floor = Math.max(floor, total - beamThreshold);
        }
      }
    }
  }

  /** List the tokens that may lift some prefix above the floor, and return how many there are. */
  chooseTokens(floor) {
    const { beam, frame, tokens } = this;
    const { settings: { space, maxGain }, highestGain } = this.tables;
    let best = -Infinity;
    for (let i = 0; i < beam.count; i++) best = Math.max(best, beam.total[i]);
    let count = 0;
    for (let token = BLANK + 1; token < frame.length; token++) {
      // A space may lift a prefix higher than others do, where its last word is likelier than was charged.
      if (token === space || best + frame[token] + maxGain + highestGain[token] > floor) tokens[count++] = token;
    }
    return count;
  }

  /** Return the node in the lexicon of a prefix with one more token. */
  stepSpelling(prefix, token) {
    const { lexicon, settings } = this.tables;
    if (token === settings.space) return ROOT;
    const node = this.prefixes.spelling[prefix];
    const child = findLabel(lexicon.tokens, lexicon.children[node], lexicon.children[node + 1], token);
    return child === NONE ? OUTSIDE : child;
  }

  /** Return the score of a prefix with one more token, which leads to a node in the lexicon. */
  scoreStep(prefix, token, spelling) {
    const { prefixes, tables } = this;
    const hotScore = prefixes.hotScore[prefix] + tables.hot.gain[prefixes.hotState[prefix] * tables.size + token];
    if (token === tables.settings.space) return hotScore + this.endWord(prefix);
    return hotScore + prefixes.wordsScore[prefixes.lastWord[prefix]] + tables.charges[spelling];
  }

  /** Return the score of all words of a prefix, should the last one end here. */
  endWord(prefix) {
    const { prefixes, tables: { settings, lexicon, spellingScores } } = this;
    let score = prefixes.wordsScore[prefix];
    if (score !== score) { // NaN until somebody asks
      const lastWord = prefixes.lastWord[prefix];
      const spelling = prefixes.spelling[prefix];
      score = prefixes.wordsScore[lastWord] + settings.wordScore + spellingScores[spelling];
      let word = lexicon.words[spelling];
      if (word === NO_WORD) {
        word = UNKNOWN;
        score += settings.unknownScore;
        let letter = prefix;
        for (; letter !== lastWord && prefixes.token[letter] !== settings.space; letter = prefixes.parent[letter]) {
          score += settings.unknownLetterScore;
        }
      }
      score += settings.lmWeight * this.follow(lastWord, word, prefixes.contexts, prefix * prefixes.order);
      prefixes.wordsScore[prefix] = score;
    }
    return score;
  }

  /** Return log P(word | context of a prefix) by back-off, and write the context after it to `next` at `offset`. */
  follow(prefix, word, next, offset) {
    const { contexts, order } = this.prefixes;
    const { logProbs, backoffs, wordIds, children } = this.tables.ngrams;
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

  /** Let the best candidates be the next beam. */
  select() {
    const { prefixes, beam, candidates } = this;
    for (let i = 0; i < beam.count; i++) prefixes.beamIndex[beam.prefix[i]] = NONE;
    const [floor, room] = this.cut();
    let ties = room;
    let count = 0;
    for (let i = 0; i < candidates.count; i++) {
      const total = candidates.total[i];
      if (total === floor) ties--;
      if (!(total > floor || (total === floor && ties >= 0))) continue;
      const prefix = this.grow(candidates.prefix[i], candidates.token[i]);
      beam.prefix[count] = prefix;
      beam.logBlank[count] = candidates.logBlank[i];
      beam.logToken[count] = candidates.logToken[i];
      beam.logBoth[count] = candidates.logBoth[i];
      beam.total[count] = total;
      prefixes.beamIndex[prefix] = count++;
    }
    beam.count = count;
  }

  /** Return the total that a candidate needs for the next beam, and how many with just that there is room for. */
  cut() {
    const { candidates: { total, count } } = this;
    const { beamSize, beamThreshold } = this.tables.settings;
    const totals = this.totals.subarray(0, count);
    let best = -Infinity;
    for (let i = 0; i < count; i++) {
      totals[i] = total[i];
      best = Math.max(best, totals[i]);
    }
    let floor = best - beamThreshold;
    if (count > beamSize) floor = Math.max(floor, highest(totals, beamSize));
    let room = beamSize;
    for (let i = 0; i < count; i++) if (totals[i] > floor) room--;
    return [floor, room];
  }

  /** Find or make the prefix with one more token; without one, it is the prefix itself. */
  grow(prefix, token) {
    if (token === NONE) return prefix;
    const { prefixes, tables } = this;
    for (let child = prefixes.firstChild[prefix]; child !== NONE; child = prefixes.nextSibling[child]) {
      if (prefixes.token[child] === token) return child;
    }
    const child = prefixes.count++;
    prefixes.parent[child] = prefix;
    prefixes.token[child] = token;
    prefixes.firstChild[child] = NONE;
    prefixes.nextSibling[child] = prefixes.firstChild[prefix];
    prefixes.firstChild[prefix] = child;
    const spelling = this.stepSpelling(prefix, token);
    prefixes.spelling[child] = spelling;
    prefixes.score[child] = this.scoreStep(prefix, token, spelling);
    prefixes.lastWord[child] = token === tables.settings.space ? prefix : prefixes.lastWord[prefix];
    prefixes.wordsScore[child] = NaN;
    const step = prefixes.hotState[prefix] * tables.size + token;
    prefixes.hotState[child] = tables.hot.nextState[step];
    prefixes.hotScore[child] = prefixes.hotScore[prefix] + tables.hot.gain[step];
    return child;
  }

  /** Let the beam hold whole texts, without a space at the end, and their final totals. */
  completeTexts() {
    const { prefixes, beam, tables: { settings: { space } } } = this;
    let best = 0;
    for (let i = 0; i < beam.count; i++) {
      if (beam.total[i] > beam.total[best]) best = i;
      const prefix = beam.prefix[i];
      const same = prefixes.beamIndex[prefixes.lastWord[prefix]];
      if (prefixes.token[prefix] === space && same !== NONE && same !== i) {
        beam.logBoth[same] = logAdd(beam.logBoth[same], beam.logBoth[i]);
        beam.logBoth[i] = -Infinity;
      }
    }
    const bestTotal = beam.total[best];
    let isAnyWhole = false;
    for (let i = 0; i < beam.count; i++) {
      const prefix = beam.prefix[i];
      beam.total[i] = beam.logBoth[i] + this.scoreText(prefix);
      isAnyWhole ||= beam.total[i] > -Infinity;
      if (prefixes.token[prefix] === space) beam.prefix[i] = prefixes.lastWord[prefix];
    }
    if (!isAnyWhole) { // all end inside a word, where none is allowed to: keep what the best said before
      beam.prefix[best] = prefixes.lastWord[beam.prefix[best]];
      beam.total[best] = bestTotal;
    }
  }

  /** Return the score of a prefix as a whole text, its posteriors aside. */
  scoreText(prefix) {
    const { prefixes, scratch, tables: { settings, hot } } = this;
    const text = prefixes.token[prefix] === settings.space ? prefixes.lastWord[prefix] : prefix;
    const score = this.endWord(text) + prefixes.hotScore[prefix] + hot.finalGain[prefixes.hotState[prefix]];
    return score + settings.lmWeight * this.follow(text, END, scratch, 0);
  }

  /** Return the tokens of a prefix. */
  spell(prefix) {
    const tokens = [];
    for (let at = prefix; at > 0; at = this.prefixes.parent[at]) tokens.push(this.prefixes.token[at]);
    return tokens.reverse();
  }
}

/** Add two probabilities given by their logarithms. */
function logAdd(first, second) {
  const high = first > second ? first : second;
  const low = first > second ? second : first;
  // False for two zeros also; below, the sum is the greater one to double precision.
  return low - high > -40 ? high + Math.log1p(Math.exp(low - high)) : high;
}
