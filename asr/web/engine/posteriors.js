/** What the network says of a stretch of sound (see `asr/acoustic/posteriors.py`). */

import { concatenate } from "./feature-stream.js";

/**
 * Natural log-probabilities of each token in each frame, row by row; those of phones where the model has a phone head.
 * @typedef {{logProbs: Float32Array, phoneLogProbs: Float32Array | null, numFrames: number}} Posteriors
 */

/**
 * Return those of the frames from `begin` to before `end`.
 * @param {Posteriors} posteriors
 * @returns {Posteriors}
 */
export function cutPosteriors({ logProbs, phoneLogProbs, numFrames }, begin, end = numFrames) {
  const cut = (rows) => rows.subarray((begin * rows.length) / numFrames, (end * rows.length) / numFrames);
  return { logProbs: cut(logProbs), phoneLogProbs: phoneLogProbs && cut(phoneLogProbs), numFrames: end - begin };
}

/**
 * Put those of successive stretches together.
 * @param {Posteriors[]} parts
 * @returns {Posteriors}
 */
export function joinPosteriors(parts) {
  return {
    logProbs: parts.map((part) => part.logProbs).reduce(concatenate),
    phoneLogProbs: parts[0].phoneLogProbs && parts.map((part) => part.phoneLogProbs).reduce(concatenate),
    numFrames: parts.reduce((sum, part) => sum + part.numFrames, 0),
  };
}
