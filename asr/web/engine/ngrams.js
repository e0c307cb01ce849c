/** A word n-gram model with back-off, as `asr/lm/ngram.py` writes it: a trie in flat arrays. */

import { decodeValues, layOffsets, readTensors } from "./tensors.js";

export const UNKNOWN = 0;
export const BEGIN = 1;
export const END = 2;
export const SPECIAL_WORDS = ["<unk>", "<s>", "</s>"];

/**
 * A back-off model. Node `i` is an n-gram, the unigrams first; the continuations of node `i` are the nodes from
 * `children[i]` to before `children[i + 1]`, sorted by their last word, which `wordIds` holds.
 * `vocabulary` has a word a line; `listWords` reads it.
 * @typedef {{order: number, vocabulary: Uint8Array, wordIds: Int32Array, logProbs: Float32Array,
 *   backoffs: Float32Array, children: Int32Array}} NGrams
 */

/** Has no word and charges nothing, so that there is one search, with and without a language model. */
export const NO_MODEL = {
  order: 1,
  vocabulary: new TextEncoder().encode(SPECIAL_WORDS.join("\n")),
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
  const vocabulary = tensors.get("words").data.slice();
  const [numWords] = counts;
  const children = layOffsets("num_children", tensors, numWords);
  const logProbs = decodeValues("log_probs", tensors, counts);
  const wordIds = new Int32Array(logProbs.length);
  for (let i = 0; i < numWords; i++) wordIds[i] = i;
  wordIds.set(tensors.get("word_ids").data, numWords);
  return { order: counts.length, vocabulary, wordIds, logProbs, backoffs: expandBackoffs(tensors, counts), children };
}

/** List the words of a model in the order of their ids. */
export const listWords = ({ vocabulary }) => new TextDecoder().decode(vocabulary).split("\n");

/**
 * Return log P(end of the sentence | words) by back-off.
 * @param {NGrams} ngrams
 * @param {number[]} words ids, from the beginning of the sentence
 */
export function scoreEnd({ order, wordIds, logProbs, backoffs, children }, words) {
  const history = [BEGIN, ...words];
  let backoff = 0;
  for (let first = Math.max(0, history.length - order + 1); first < history.length; first++) {
    const find = (node, word) => (node < 0 ? node : findLabel(wordIds, children[node], children[node + 1], word));
    const context = history.slice(first + 1).reduce(find, history[first]);
    if (context < 0) continue;
    const end = find(context, END);
    if (end >= 0) return backoff + logProbs[end];
    backoff += backoffs[context];
  }
  return backoff + logProbs[END];
}

/** Return the back-off of each node that may have continuations; a file leaves out those of nodes without any. */
function expandBackoffs(tensors, counts) {
  const numChildren = tensors.get("num_children").data;
  const shorter = counts.slice(0, -1);
  if (tensors.get("backoffs").data.length === numChildren.length) return decodeValues("backoffs", tensors, shorter);
  let end = 0;
  const storedCounts = shorter.map((count) => countPositive(numChildren.subarray(end, (end += count))));
  const values = decodeValues("backoffs", tensors, storedCounts);
  const backoffs = new Float32Array(numChildren.length);
  for (let i = 0, next = 0; i < backoffs.length; i++) if (numChildren[i] > 0) backoffs[i] = values[next++];
  return backoffs;
}

function countPositive(values) {
  let count = 0;
  for (let i = 0; i < values.length; i++) if (values[i] > 0) count++;
  return count;
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
