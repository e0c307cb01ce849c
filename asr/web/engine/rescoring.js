/** The second pass: hypotheses are rescored by their phones and by their words (see `asr/decoding/rescoring.py`). */

import { cutPosteriors } from "./posteriors.js";
import { RecurrentPrefixes } from "./recurrent-prefixes.js";
import { BLANK } from "./tokenizer.js";

const PHONE_SCORE = 0.5; // nats for each phone, as in Python
const SMALL = 1e-100; // sums below it are scaled up, far from where precision is lost
const LEAST = 1e-100; // of a token in a frame: smaller ones could make a sum too small for a number within two frames
const STREAM_NBEST = 8; // hypotheses that the recurrent language model scores while the sound comes in

/**
 * The beginning of a stretch of sound whose text will not change: the tokens of its text, and the frames that it takes.
 * @typedef {{numTokens: number, numFrames: number}} Settled
 */

/** Adds the log-likelihood of its phones to the score of each hypothesis. */
export class PhoneRescorer {
  /**
   * @param {Promise<{phones: string[], words: Object<string, string>}>} pronunciations what `pronunciations.json` holds
   * @param {import("./tokenizer.js").Tokenizer} tokenizer
   * @param {number} weight factor of the log-likelihood
   */
  constructor(pronunciations, tokenizer, weight) {
    Object.assign(this, { pronunciations, tokenizer, weight });
  }

  /** Put hypotheses into a new order; where one has more phones than there are frames, the order stays. */
  async rescore(hypotheses, { phoneLogProbs, numFrames }) {
    if (!phoneLogProbs) return hypotheses;
    const { phones: names, words } = await this.pronunciations;
    const tokens = new Map(names.map((phone, index) => [phone, index + 1]));
    const phones = hypotheses.map((each) => encode(this.tokenizer.join(each.tokens), words, tokens));
    const probabilities = new Float64Array(phoneLogProbs.length);
    for (let i = 0; i < probabilities.length; i++) probabilities[i] = Math.exp(phoneLogProbs[i]);
    const scores = phones.map((sequence) => sumPaths(probabilities, numFrames, sequence));
    if (!scores.every(Number.isFinite)) return hypotheses;
    return addScores(hypotheses, scores.map((score, i) => this.weight * (score + PHONE_SCORE * phones[i].length)));
  }

  /** Return what rescores the texts of one utterance. */
  open() {
    return this;
  }

  /** Return what rescores a stretch of sound while it comes in. */
  begin() {
    return new PhoneStream(this);
  }
}

/** Leaves out what is settled. */
class PhoneStream {
  constructor(rescorer) {
    this.rescorer = rescorer;
  }

  /**
   * Put hypotheses into a new order, again and again with more of them to hear.
   * @param {object[]} hypotheses from the beginning, the best first
   * @param {import("./posteriors.js").Posteriors} posteriors from the beginning
   * @param {Settled} settled what is the same in all hypotheses
   */
  async rescore(hypotheses, posteriors, { numTokens, numFrames }) {
    const before = hypotheses[0].tokens.slice(0, numTokens);
    const following = hypotheses.map(({ tokens, score }) => ({ tokens: tokens.slice(numTokens), score }));
    const rescored = await this.rescorer.rescore(following, cutPosteriors(posteriors, numFrames));
    return rescored.map(({ tokens, score }) => ({ tokens: [...before, ...tokens], score }));
  }
}

/** Turn a text into phones; a word without a pronunciation is one phone of its own. */
function encode(text, pronunciations, tokens) {
  const words = text.toLowerCase().split(" ").filter(Boolean);
  return words.flatMap((word) => {
    const phones = Object.hasOwn(pronunciations, word) && pronunciations[word];
    return phones ? phones.split(" ").map((phone) => tokens.get(phone)) : [tokens.size + 1];
  });
}

/** Adds the log-probability of its words to the score of each of the best hypotheses. */
export class RecurrentRescorer {
  /** @param {Promise<import("./recurrent-lm.js").RecurrentLM>} lm */
  constructor(lm, tokenizer, weight, nbest) {
    Object.assign(this, { lm, tokenizer, weight, nbest });
  }

  /**
   * Return what rescores the texts of one utterance: it puts the first `nbest` into a new order, without the others,
   * whose scores are not comparable.
   */
  open() {
    return this.begin(this.nbest);
  }

  /** Return what rescores a stretch of sound while it comes in, some hypotheses each time. */
  begin(nbest = Math.min(STREAM_NBEST, this.nbest)) {
    return new RecurrentStream(this, nbest);
  }
}

/** Scores whole sentences, of which it computes what is new. */
class RecurrentStream {
  constructor(rescorer, nbest) {
    Object.assign(this, { rescorer, nbest, prefixes: null });
  }

  async rescore(hypotheses) {
    const { lm, tokenizer, weight } = this.rescorer;
    this.prefixes ??= new RecurrentPrefixes(await lm);
    const best = hypotheses.slice(0, this.nbest);
    const sentences = best.map(({ tokens }) => tokenizer.join(tokens).split(" ").filter(Boolean));
    const logProbs = await this.prefixes.score(sentences);
    return addScores(best, logProbs.map((value) => weight * value));
  }
}

function addScores(hypotheses, scores) {
  const rescored = hypotheses.map(({ tokens, score }, i) => ({ tokens, score: score + scores[i] }));
  return rescored.sort((one, other) => other.score - one.score);
}

/**
 * Sum the probabilities of all CTC paths of a sequence.
 * @param {Float64Array} probabilities of each token in each frame, row by row
 * @param {number} numFrames
 * @param {number[]} phones without blanks
 * @returns {number} the natural logarithm; minus infinity where there are fewer frames than a path needs. What is below
 *   1e-100 counts as that.
 */
export function sumPaths(probabilities, numFrames, phones) {
  const size = probabilities.length / numFrames;
  const numStates = 2 * phones.length + 1; // a blank before, between and after the phones
  const labels = new Int32Array(numStates).fill(BLANK);
  const maySkip = new Float64Array(numStates);
  phones.forEach((phone, i) => {
    labels[2 * i + 1] = phone;
    maySkip[2 * i + 1] = i > 0 && phone !== phones[i - 1] ? 1 : 0;
  });
  const sums = new Float64Array(numStates + 2); // the first two states are never reached
  sums[2] = 1;
  let logLikelihood = 0;
  for (let frame = 0; frame < numFrames; frame++) {
    const row = frame * size;
    // No path is beyond `last` yet, and none from before `first` can still reach the end.
    const last = Math.min(numStates - 1, 2 * frame + 1);
    const first = Math.max(0, numStates - 2 * (numFrames - frame));
    let total = 0;
    // From the end, because a state is reached from those before it.
    for (let state = last; state >= first; state--) {
      const reached = sums[state + 2] + sums[state + 1] + maySkip[state] * sums[state];
      const sum = reached * Math.max(probabilities[row + labels[state]], LEAST);
      sums[state + 2] = sum;
      total += sum;
    }
    if (!(total > 0)) return -Infinity;
    if (total > SMALL && frame < numFrames - 1) continue;
    logLikelihood += Math.log(total);
    for (let state = first; state <= last; state++) sums[state + 2] /= total;
  }
  return logLikelihood + Math.log(sums[numStates + 1] + sums[numStates]);
}
