/** A word n-gram model with back-off, as `asr/lm/ngram.py` writes it: a trie in flat arrays. */

import { decodeNumbers, decodeValues, readTensors } from "./tensors.js";

export const UNKNOWN = 0;
export const BEGIN = 1;
export const END = 2;
export const SPECIAL_WORDS = ["<unk>", "<s>", "</s>"];

/**
 * A back-off model. Node `i` is an n-gram, the unigrams first; the continuations of node `i` are the nodes from
 * `children[i]` to before `children[i + 1]`, sorted by their last word, which `wordIds` holds.
 * @typedef {{order: number, words: string[], wordIds: Int32Array, logProbs: Float32Array, backoffs: Float32Array,
 *   children: Int32Array}} NGrams
 */

/** Has no word and charges nothing, so that there is one search, with and without a language model. */
export const NO_MODEL = {
  order: 1,
  words: SPECIAL_WORDS,
  wordIds: Int32Array.of(0, 1, 2),
  logProbs: new Float32Array(3),
  backoffs: new Float32Array(3),
  children: Int32Array.of(3),
};

/**
 * Expand the tensors of a file.
 * @param {Uint8Array} bytes the file `lm.safetensors`
 * @returns {NGrams}
 */
export function readNGrams(bytes) {
  const { tensors, metadata } = readTensors(bytes);
  const counts = JSON.parse(metadata.counts);
  const words = new TextDecoder().decode(tensors.get("words").data).split("\n");
  const numChildren = decodeNumbers("num_children", tensors);
  const logProbs = decodeValues("log_probs", tensors, counts);
  const children = new Int32Array(numChildren.length + 1);
  children[0] = words.length;
  for (let node = 0; node < numChildren.length; node++) children[node + 1] = children[node] + numChildren[node];
  const wordIds = new Int32Array(logProbs.length);
  for (let i = 0; i < words.length; i++) wordIds[i] = i;
  wordIds.set(tensors.get("word_ids").data, words.length);
  const backoffs = expandBackoffs(tensors, counts, numChildren, logProbs.length);
  return { order: counts.length, words, wordIds, logProbs, backoffs, children };
}

/** Return the back-off of each node; a file leaves out those of n-grams without continuations. */
function expandBackoffs(tensors, counts, numChildren, numNodes) {
  const areAllStored = tensors.get("backoffs").data.length === numChildren.length;
  const storedCounts = [];
  let node = 0;
  for (const count of counts.slice(0, -1)) {
    let stored = 0;
    for (const end = node + count; node < end; node++) if (areAllStored || numChildren[node] > 0) stored++;
    storedCounts.push(stored);
  }
  const values = decodeValues("backoffs", tensors, storedCounts);
  const backoffs = new Float32Array(numNodes);
  let next = 0;
  for (let i = 0; i < numChildren.length; i++) if (areAllStored || numChildren[i] > 0) backoffs[i] = values[next++];
  return backoffs;
}

/** Find a label among sorted ones, from `begin` to before `end`; -1 if it is not there. */
export function findLabel(labels, begin, end, label) {
  const stop = end;
  while (begin < end) {
    const middle = (begin + end) >> 1;
    if (labels[middle] < label) begin = middle + 1;
    else end = middle;
  }
  return begin < stop && labels[begin] === label ? begin : -1;
}
