/**
 * The words of a language model as a trie of tokens, in flat arrays (see `asr/decoding/lexicon.py`).
 *
 * Nodes are numbered by depth, and within a depth by parent and token; so the children of a node stand side by side.
 */

import { SPECIAL_WORDS, UNKNOWN } from "./ngrams.js";

export const OUTSIDE = 0; // the node of every spelling that begins no word
export const ROOT = 1; // the node of the empty spelling
export const NO_WORD = -1;

/**
 * Build the trie of all words that the alphabet can spell.
 * @param {import("./ngrams.js").NGrams} lm
 * @param {import("./tokenizer.js").Tokenizer} tokenizer
 * @param {string[]} moreWords to spell besides; those that the model lacks have the id of `<unk>`
 * @returns {{tokens: Int32Array, parents: Int32Array, children: Int32Array, words: Int32Array}}
 */
export function buildLexicon(lm, tokenizer, moreWords) {
  const spellings = spellWords(lm, tokenizer, moreWords);
  const parents = [-1, -1];
  const labels = [0, 0];
  const words = [NO_WORD, NO_WORD];
  // Spellings are sorted, so those that begin alike stand together, in the order of their nodes.
  let ongoing = spellings.map(({ key, id }) => ({ key, id, node: ROOT }));
  for (let depth = 0; ongoing.length; depth++) {
    let lastParent = -1;
    let lastToken = -1;
    for (const entry of ongoing) {
      const token = entry.key.charCodeAt(depth);
      if (entry.node !== lastParent || token !== lastToken) {
        [lastParent, lastToken] = [entry.node, token];
        parents.push(entry.node);
        labels.push(token);
        words.push(NO_WORD);
      }
      entry.node = parents.length - 1;
      if (entry.key.length === depth + 1) words[entry.node] = entry.id;
    }
    ongoing = ongoing.filter((entry) => entry.key.length > depth + 1);
  }
  return {
    tokens: Int32Array.from(labels),
    parents: Int32Array.from(parents),
    children: findChildren(parents),
    words: Int32Array.from(words),
  };
}

/** List the words that can be spelled, each as a string of tokens with its id, sorted. */
function spellWords(lm, tokenizer, moreWords) {
  const spellings = [];
  const add = (word, id) => {
    let key = "";
    for (const character of word) {
      const token = tokenizer.tokens.get(character);
      if (token === undefined || token === tokenizer.space) return;
      key += String.fromCharCode(token);
    }
    if (key) spellings.push({ key, id });
  };
  for (let id = SPECIAL_WORDS.length; id < lm.words.length; id++) add(lm.words[id], id);
  if (moreWords.length) {
    const known = new Set(lm.words.slice(SPECIAL_WORDS.length));
    for (const word of new Set(moreWords)) if (!known.has(word)) add(word, UNKNOWN);
  }
  const isSorted = spellings.every(({ key }, i) => i === 0 || spellings[i - 1].key < key);
  return isSorted ? spellings : spellings.sort((one, other) => (one.key < other.key ? -1 : 1));
}

/** Return where the children of each node begin, for nodes sorted by parent. */
function findChildren(parents) {
  const children = new Int32Array(parents.length + 1);
  let node = 0;
  for (let parent = 0; parent <= parents.length; parent++) {
    while (node < parents.length && parents[node] < parent) node++;
    children[parent] = node;
  }
  return children;
}
