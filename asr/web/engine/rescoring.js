/** The second pass: hypotheses are rescored by their phones and by their words (see `asr/decoding/rescoring.py`). */

import { BLANK } from "./tokenizer.js";

const PHONE_SCORE = 0.5; // nats for each phone, as in Python
const SMALL = 1e-100; // sums below it are scaled up, far from where precision is lost

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
    const probabilities = Float64Array.from(phoneLogProbs, Math.exp);
    const scores = phones.map((sequence) => sumPaths(probabilities, numFrames, sequence));
    if (!scores.every(Number.isFinite)) return hypotheses;
    return addScores(hypotheses, scores.map((score, i) => this.weight * (score + PHONE_SCORE * phones[i].length)));
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

  /** Put the first `nbest` into a new order, without the others, whose scores are not comparable. */
  async rescore(hypotheses) {
    const best = hypotheses.slice(0, this.nbest);
    const sentences = best.map(({ tokens }) => this.tokenizer.join(tokens).split(" ").filter(Boolean));
    const logProbs = await (await this.lm).score(sentences);
    return addScores(best, logProbs.map((value) => this.weight * value));
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
 * @returns {number} the natural logarithm; minus infinity where there are fewer frames than a path needs
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
      const sum = reached * probabilities[row + labels[state]];
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
