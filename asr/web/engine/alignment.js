/** Tokens to words with times and confidence (see `asr/alignment/ctc.py` and `confidence.py`). */

import { BLANK } from "./tokenizer.js";

const IMPOSSIBLE = -1e4;
const TINY = 1e-30; // keeps logarithms and fractions finite
const FLOOR = 1e-6; // confidences are kept this far from 0 and 1, where the logistic scale ends

/**
 * Find the frames that spoke each token.
 * @param {Float32Array} logProbs row by row
 * @param {number} numFrames
 * @param {number[]} tokens what was spoken, without blanks; no more than there are frames for
 * @returns {{token: number, start: number, end: number, logProb: number}[]}
 */
export function align(logProbs, numFrames, tokens) {
  const size = logProbs.length / numFrames;
  const numbers = readGreedyPath(logProbs, numFrames, size, tokens) ?? searchPath(logProbs, numFrames, size, tokens);
  const spans = tokens.map((token) => ({ token, start: -1, end: -1, logProb: 0 }));
  numbers.forEach((number, frame) => {
    if (number < 0) return;
    const span = spans[number];
    if (span.start < 0) span.start = frame;
    span.end = frame + 1;
    span.logProb += Math.max(logProbs[frame * size + span.token], IMPOSSIBLE);
  });
  for (const span of spans) span.logProb /= span.end - span.start;
  return spans;
}

/** Return the likeliest token of each frame. */
export function greedyPath(logProbs, numFrames) {
  const size = logProbs.length / numFrames;
  return Array.from({ length: numFrames }, (_, frame) => {
    let best = 0;
    for (let token = 1; token < size; token++) {
      if (logProbs[frame * size + token] > logProbs[frame * size + best]) best = token;
    }
    return best;
  });
}

/**
 * Turn the spans of a text into words.
 * @param {object[]} spans what `align` returned
 * @param {import("./tokenizer.js").Tokenizer} tokenizer
 * @param {number} frameShift seconds
 * @param {{start_offset: number, end_offset: number}} timing how far words reach beyond their frames, seconds
 * @param {number} duration seconds; no word reaches beyond
 * @returns {{text: string, start: number, end: number, confidence: number}[]} with confidences as the posteriors give
 *   them
 */
export function placeWords(spans, tokenizer, frameShift, timing, duration) {
  const groups = [];
  let isOpen = false;
  for (const span of spans) {
    const isSpace = span.token === tokenizer.space;
    if (!isSpace && isOpen) groups.at(-1).push(span);
    else if (!isSpace) groups.push([span]);
    isOpen = !isSpace;
  }
  const starts = groups.map((word) => word[0].start * frameShift - timing.start_offset);
  const ends = groups.map((word, i) => Math.max(starts[i], word.at(-1).end * frameShift + timing.end_offset));
  // Where the offsets would make two words overlap, they meet in the middle of the overlap.
  for (let i = 1; i < starts.length; i++) starts[i] += Math.max(0, ends[i - 1] - starts[i]) / 2;
  for (let i = 1; i < starts.length; i++) ends[i - 1] = Math.min(ends[i - 1], starts[i]);
  const clip = (time) => Math.min(Math.max(time, 0), duration);
  return groups.map((word, i) => ({
    text: tokenizer.join(word.map(({ token }) => token)),
    start: clip(starts[i]),
    end: clip(ends[i]),
    confidence: Math.exp(word.reduce((sum, { logProb }) => sum + logProb, 0) / word.length),
  }));
}

/** Correct a confidence on the logistic scale. */
export function calibrate(confidence, { slope, intercept }) {
  if (slope === 1 && intercept === 0) return confidence;
  const clipped = Math.min(Math.max(confidence, FLOOR), 1 - FLOOR);
  return 0.5 * (1 + Math.tanh((slope * (Math.log(clipped) - Math.log1p(-clipped)) + intercept) / 2));
}

/**
 * Measure how sure the network is of some words, in [0, 1] (see `asr/recognition/certainty.py`).
 * @param {Float32Array} logProbs of the chunk, row by row
 * @param {number} numFrames
 * @param {object[]} words with confidences that are not calibrated; at least one
 * @param {string} decoder what found them
 */
export function measureCertainty(logProbs, numFrames, words, decoder = "beam") {
  const size = logProbs.length / numFrames;
  let highest = 0;
  let total = 0;
  for (let frame = 0; frame < numFrames; frame++) {
    let best = 0;
    for (let token = BLANK + 1; token < size; token++) {
      const probability = Math.exp(logProbs[frame * size + token]);
      best = Math.max(best, probability);
      total += probability;
    }
    highest += best;
  }
  let length = 0;
  let log = 0;
  for (const { text, confidence } of words) {
    const count = Array.from(text).length;
    length += count;
    log += count * Math.log(Math.max(confidence, TINY));
  }
  const power = decoder === "greedy" ? 2 : 1;
  return (highest / Math.max(total, TINY) + Math.exp((power * log) / length)) / 2;
}

/** Number the frames along the best path of all, if it spells the tokens; no other can be likelier then. */
function readGreedyPath(logProbs, numFrames, size, tokens) {
  let number = -1;
  let previous = BLANK;
  const numbers = [];
  for (const token of greedyPath(logProbs, numFrames)) {
    if (token !== BLANK && token !== previous && token !== tokens[++number]) return null;
    numbers.push(token === BLANK ? -1 : number);
    previous = token;
  }
  return number === tokens.length - 1 ? numbers : null;
}

/** Number the frames along the best path that spells the tokens (Viterbi); -1 between them. */
function searchPath(logProbs, numFrames, size, tokens) {
  const numStates = 2 * tokens.length + 1; // a blank, the first token, a blank, ...
  const labels = new Int32Array(numStates).fill(BLANK);
  const canSkip = new Uint8Array(numStates);
  tokens.forEach((token, i) => {
    labels[2 * i + 1] = token;
    canSkip[2 * i + 1] = token !== tokens[i - 1];
  });
  const moves = new Uint8Array(numFrames * numStates);
  // Two more states stand before the first. The path starts in the second of these, one step from the first blank and
  // one skip from the first token. Single precision, as in Python.
  let scores = new Float32Array(numStates + 2).fill(-Infinity);
  let next = new Float32Array(numStates + 2).fill(-Infinity);
  scores[1] = 0;
  for (let frame = 0; frame < numFrames; frame++) {
    let highest = -Infinity;
    for (let state = 0; state < numStates; state++) {
      let best = scores[state + 2];
      let move = 0;
      if (scores[state + 1] > best) {
        best = scores[state + 1];
        move = 1;
      }
      if (canSkip[state] && scores[state] > best) {
        best = scores[state];
        move = 2;
      }
      moves[frame * numStates + state] = move;
      next[state + 2] = best + Math.max(logProbs[frame * size + labels[state]], IMPOSSIBLE);
      if (next[state + 2] > highest) highest = next[state + 2];
    }
    for (let state = 2; state < next.length; state++) next[state] -= highest; // small numbers keep differences exact
    next[1] = -Infinity;
    [scores, next] = [next, scores];
  }
  const numbers = new Array(numFrames);
  let state = scores[numStates] >= scores[numStates + 1] ? numStates - 2 : numStates - 1;
  for (let frame = numFrames - 1; frame >= 0; frame--) {
    numbers[frame] = state % 2 ? state >> 1 : -1;
    state -= moves[frame * numStates + state];
  }
  return numbers;
}
