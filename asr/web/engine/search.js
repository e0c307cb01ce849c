/**
 * CTC prefix beam search: from log-probabilities to the best texts and their exact scores.
 *
 * The algorithm and its reasons stand in `asr/decoding/search.py`, function by function; this is that search with a
 * frame at a time, and gives the same hypotheses. Records are spread over typed arrays, one for each field, and nothing
 * is allocated for a frame.
 */

import { Beam, Candidates, NONE, Prefixes, highest } from "./hypotheses.js";
import { OUTSIDE, ROOT } from "./lexicon.js";
import { BEGIN, findLabel } from "./ngrams.js";
import { BLANK } from "./tokenizer.js";
import { endWord, scoreText } from "./word-scores.js";

export const IMPOSSIBLE = -700; // stands for the logarithm of 0, so that every text has a score: e^-700 is no 0 yet
const TINY = 1e-308; // keeps fractions and logarithms finite

/** One search: frames go in, the best texts come out. */
export class BeamSearch {
  /** @param {ReturnType<import("./tables.js").buildTables>} tables */
  constructor(tables) {
    const { settings, size, ngrams } = tables;
    this.tables = tables;
    this.prefixes = new Prefixes(ngrams.order);
    this.beam = new Beam(settings.beamSize);
    this.candidates = new Candidates(settings.beamSize * size);
    this.isExtended = new Uint8Array(settings.beamSize * size);
    this.totals = new Float64Array(settings.beamSize * size);
    this.tokens = new Int32Array(size); // of words, the likeliest first
    this.ranked = new Float64Array(size); // their log-probabilities
    this.scratch = new Int32Array(ngrams.order);
    this.frame = new Float64Array(size); // log-probabilities of each token
    this.probs = new Float64Array(size);
    this.floor = -Infinity; // the total that a candidate must exceed to be worth proposing, or needs for the next beam
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
    beam.enter(0, 0, prefixes, tables);
    beam.blank[0] = 1;
  }

  /**
   * Search one frame further.
   * @param {Float32Array} logProbs of each token, natural logarithms
   */
  accept(logProbs) {
    for (let token = 0; token < this.frame.length; token++) {
      this.frame[token] = Math.max(logProbs[token], IMPOSSIBLE);
      this.probs[token] = Math.exp(this.frame[token]);
    }
    this.prefixes.reserve(this.tables.settings.beamSize);
    this.stay();
    this.extend();
    if (this.tables.settings.space >= 0) this.extendBySpace();
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

  /** Propose each prefix as it is. */
  stay() {
    const { prefixes: { beamIndex }, beam, candidates, probs, isExtended } = this;
    const { space, beamThreshold, beamSize } = this.tables.settings;
    const size = probs.length;
    candidates.count = 0;
    isExtended.fill(0, 0, beam.count * size);
    let best = -Infinity;
    let worst = Infinity;
    for (let i = 0; i < beam.count; i++) {
      const last = beam.last[i];
      // By repeating the last token. After a space, a blank and a space are the same text.
      let token = last === space ? 1 : beam.token[i];
      let blank = 1;
      let logBoth = beam.logBoth[i];
      const parent = beam.parent[i] === NONE ? NONE : beamIndex[beam.parent[i]];
      if (parent !== NONE) {
        isExtended[parent * size + last] = 1;
        const ready = beam.last[parent] === last ? beam.blank[parent] : 1;
        const other = beam.logBoth[parent];
        if (other <= logBoth) {
          token += ready * Math.exp(other - logBoth);
        } else {
          blank = Math.exp(logBoth - other);
          token = blank * token + ready;
          logBoth = other;
        }
      }
      blank *= probs[BLANK];
      token *= probs[last];
      const both = Math.max(blank + token, TINY);
      logBoth += Math.log(both);
      const total = logBoth + beam.score[i];
      this.propose(beam.prefix[i], NONE, logBoth, blank / both, token / both, total);
      if (total > best) best = total;
      if (total < worst) worst = total;
    }
    // A full beam has as many better candidates already.
    this.floor = best - beamThreshold;
    if (beam.count === beamSize && worst > this.floor) this.floor = worst;
  }

  /** Add a candidate. */
  propose(prefix, nextToken, logBoth, blank, token, total) {
    const { candidates } = this;
    const index = candidates.count++;
    candidates.prefix[index] = prefix;
    candidates.nextToken[index] = nextToken;
    candidates.logBoth[index] = logBoth;
    candidates.blank[index] = blank;
    candidates.token[index] = token;
    candidates.total[index] = total;
  }

  /** Propose each prefix with one more token, the likeliest first, until one would fail even with the best charge. */
  extend() {
    const { beam, tokens, ranked, prefixes: { hotState } } = this;
    const { settings: { maxHotGain }, lexicon, charges, hot, size } = this.tables;
    const numTokens = this.rankTokens();
    for (let i = 0; i < beam.count; i++) {
      const logBoth = beam.logBoth[i];
      const ceiling = beam.ceiling[i];
      for (let j = 0; j < numTokens; j++) {
        const reached = ranked[j] + logBoth;
        if (reached + ceiling <= this.floor) break;
        const token = tokens[j];
        let charge = charges[OUTSIDE];
        if ((beam.nextTokens[i] >> (token & 31)) & 1) { // most tokens lead nowhere in the lexicon
          const node = beam.spelling[i];
          const child = findLabel(lexicon.tokens, lexicon.children[node], lexicon.children[node + 1], token);
          if (child !== NONE) charge = charges[child];
        }
        const score = beam.before[i] + charge;
        if (reached + score + maxHotGain > this.floor) {
          this.offer(i, token, score + hot.gain[hotState[beam.prefix[i]] * size + token]);
        }
      }
    }
  }

  /** List the tokens of words, the likeliest first, and return how many there are. */
  rankTokens() {
    const { frame, tokens, ranked, tables: { settings: { space } } } = this;
    let count = 0;
    for (let token = BLANK + 1; token < frame.length; token++) {
      if (token === space) continue;
      let place = count++;
      for (; place > 0 && ranked[place - 1] < frame[token]; place--) {
        tokens[place] = tokens[place - 1];
        ranked[place] = ranked[place - 1];
      }
      tokens[place] = token;
      ranked[place] = frame[token];
    }
    return count;
  }

  /** Propose a prefix of the beam with one more token, if that comes above the floor. */
  offer(index, token, score) {
    const { beam, frame } = this;
    let logToken = frame[token] + beam.logBoth[index];
    if (beam.last[index] === token) logToken += Math.log(beam.blank[index]);
    const total = logToken + score;
    if (total <= this.floor || this.isExtended[index * frame.length + token]) return;
    this.propose(beam.prefix[index], token, logToken, 0, 1, total);
    const floor = total - this.tables.settings.beamThreshold;
    if (floor > this.floor) this.floor = floor;
  }

  /** Propose each prefix with its last word ended. */
  extendBySpace() {
    const { beam, frame, prefixes, tables } = this;
    const { settings: { space }, hot, size } = tables;
    for (let i = 0; i < beam.count; i++) {
      // The bound is cheap and the exact score is not: no word has a probability above 1.
      if (beam.last[i] === space || frame[space] + beam.logBoth[i] + beam.endCeiling[i] <= this.floor) continue;
      const prefix = beam.prefix[i];
      const gain = hot.gain[prefixes.hotState[prefix] * size + space];
      this.offer(i, space, prefixes.hotScore[prefix] + gain + endWord(prefixes, tables, prefix));
    }
  }

  /** Let the best candidates be the next beam. */
  select() {
    const { prefixes, beam, candidates, tables } = this;
    let ties = this.cut();
    const { floor } = this;
    const numHeld = beam.count;
    let count = 0;
    for (let i = 0; i < candidates.count; i++) {
      const total = candidates.total[i];
      if (total === floor) ties--;
      const isKept = total > floor || (total === floor && ties >= 0);
      if (i < numHeld) { // it is of this beam
        prefixes.beamIndex[candidates.prefix[i]] = isKept ? count : NONE;
        if (isKept && count < i) beam.move(i, count);
      } else if (isKept) {
        beam.enter(count, this.grow(candidates.prefix[i], candidates.nextToken[i]), prefixes, tables);
      }
      if (!isKept) continue;
      beam.logBoth[count] = candidates.logBoth[i];
      beam.blank[count] = candidates.blank[i];
      beam.token[count] = candidates.token[i];
      beam.total[count] = total;
      count++;
    }
    beam.count = count;
  }

  /** Set the floor to the total that a candidate needs for the next beam; return how many have room with just that. */
  cut() {
    const { candidates: { total, count } } = this;
    const { beamSize, beamThreshold } = this.tables.settings;
    const totals = this.totals.subarray(0, count);
    let floor = -Infinity;
    for (let i = 0; i < count; i++) {
      totals[i] = total[i];
      floor = Math.max(floor, totals[i] - beamThreshold);
    }
    if (count > beamSize) floor = Math.max(floor, highest(totals, beamSize));
    let room = beamSize;
    for (let i = 0; i < count; i++) if (totals[i] > floor) room--;
    this.floor = floor;
    return room;
  }

  /** Find or make the prefix with one more token. */
  grow(prefix, token) {
    const { prefixes, tables } = this;
    const { settings, lexicon, charges, hot, size } = tables;
    for (let child = prefixes.firstChild[prefix]; child !== NONE; child = prefixes.nextSibling[child]) {
      if (prefixes.token[child] === token) return child;
    }
    const child = prefixes.count++;
    prefixes.parent[child] = prefix;
    prefixes.token[child] = token;
    prefixes.length[child] = prefixes.length[prefix] + 1;
    prefixes.firstChild[child] = NONE;
    prefixes.nextSibling[child] = prefixes.firstChild[prefix];
    prefixes.firstChild[prefix] = child;
    prefixes.wordsScore[child] = NaN;
    const step = prefixes.hotState[prefix] * size + token;
    prefixes.hotState[child] = hot.nextState[step];
    prefixes.hotScore[child] = prefixes.hotScore[prefix] + hot.gain[step];
    if (token === settings.space) {
      prefixes.spelling[child] = ROOT;
      prefixes.lastWord[child] = prefix;
      prefixes.score[child] = prefixes.hotScore[child] + endWord(prefixes, tables, prefix);
    } else {
      const parent = prefixes.spelling[prefix];
      const node = findLabel(lexicon.tokens, lexicon.children[parent], lexicon.children[parent + 1], token);
      const lastWord = prefixes.lastWord[prefix];
      prefixes.spelling[child] = node === NONE ? OUTSIDE : node;
      prefixes.lastWord[child] = lastWord;
      prefixes.score[child] =
        prefixes.hotScore[child] + prefixes.wordsScore[lastWord] + charges[prefixes.spelling[child]];
    }
    return child;
  }

  /** Let the beam hold whole texts, without a space at the end, and their final totals. */
  completeTexts() {
    const { prefixes, beam, tables, scratch } = this;
    const { space } = tables.settings;
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
      beam.total[i] = beam.logBoth[i] + scoreText(prefixes, tables, prefix, scratch);
      isAnyWhole ||= beam.total[i] > -Infinity;
      if (prefixes.token[prefix] === space) beam.prefix[i] = prefixes.lastWord[prefix];
    }
    if (!isAnyWhole) { // all end inside a word, where none is allowed to: keep what the best said before
      beam.prefix[best] = prefixes.lastWord[beam.prefix[best]];
      beam.total[best] = bestTotal;
    }
  }

  /** Score a whole text, its posteriors aside. */
  scoreText(tokens) {
    this.prefixes.reserve(tokens.length);
    const prefix = tokens.reduce((before, token) => this.grow(before, token), 0);
    return scoreText(this.prefixes, this.tables, prefix, this.scratch);
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
  const high = Math.max(first, second);
  return high === -Infinity ? high : high + Math.log1p(Math.exp(Math.min(first, second) - high));
}
