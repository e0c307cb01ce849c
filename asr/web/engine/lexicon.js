/**
 * The words of a language model as a trie of tokens, in flat arrays (see `asr/decoding/lexicon.py`).
 *
 * Nodes are numbered by depth, and within a depth by parent and token; so the children of a node stand side by side.
 */

import { SPECIAL_WORDS, UNKNOWN, findLabel, listWords, readNGrams } from "./ngrams.js";

export const OUTSIDE = 0; // the node of every spelling that begins no word
export const ROOT = 1; // the node of the empty spelling
export const NO_WORD = -1;

/**
 * Bit `t % 32` of `nextTokens` of a node is set if token `t` leads to one of its children.
 * @typedef {{tokens: Int32Array, parents: Int32Array, children: Int32Array, words: Int32Array, nextTokens: Int32Array}}
 *   Lexicon
 */

/**
 * Read the file `lm.safetensors`, and lay out its words.
 * @param {Uint8Array} bytes
 * @param {import("./tokenizer.js").Tokenizer} tokenizer
 * @returns {import("./ngrams.js").NGrams & {lexicon: Lexicon}} without functions, so that it can be sent
 */
export function readLanguageModel(bytes, tokenizer) {
  const lm = readNGrams(bytes);
  return { ...lm, lexicon: buildLexicon(lm, tokenizer) };
}

/**
 * Build the trie of all words that the alphabet can spell.
 * @param {import("./ngrams.js").NGrams} lm
 * @param {import("./tokenizer.js").Tokenizer} tokenizer
 * @param {string[]} moreWords to spell besides, with base letters where the alphabet lacks others; those that the model
 *   lacks have the id of `<unk>`
 * @returns {Lexicon}
 */
export function buildLexicon(lm, tokenizer, moreWords = []) {
  const spellings = spellWords(lm, tokenizer, moreWords);
  const numNodes = 2 + spellings.reduce((sum, { key }) => sum + key.length, 0); // at most
  const parents = new Int32Array(numNodes).fill(-1);
  const tokens = new Int32Array(numNodes);
  const words = new Int32Array(numNodes).fill(NO_WORD);
  let count = 2;
  // Spellings are sorted, so those that begin alike stand together, in the order of their nodes.
  let ongoing = Int32Array.from(spellings.keys());
  const nodes = new Int32Array(spellings.length).fill(ROOT); // of the spellings, as far as they have come
  for (let depth = 0; ongoing.length; depth++) {
    let lastParent = -1;
    let lastToken = -1;
    let numLonger = 0;
    for (const index of ongoing) {
      const { key, id } = spellings[index];
      const token = key.charCodeAt(depth);
      if (nodes[index] !== lastParent || token !== lastToken) {
        [lastParent, lastToken] = [nodes[index], token];
        parents[count] = lastParent;
        tokens[count++] = token;
      }
      nodes[index] = count - 1;
      if (key.length === depth + 1) words[count - 1] = id;
      else ongoing[numLonger++] = index; // behind the one that is read
    }
    ongoing = ongoing.subarray(0, numLonger);
  }
  const nextTokens = new Int32Array(count);
  for (let node = ROOT + 1; node < count; node++) nextTokens[parents[node]] |= 1 << tokens[node];
  return {
    nextTokens,
    tokens: tokens.slice(0, count),
    parents: parents.slice(0, count),
    children: findChildren(parents.subarray(0, count)),
    words: words.slice(0, count),
  };
}

/**
 * Return the id of a word, that of `<unk>` where the model lacks it.
 * @param {Lexicon} lexicon
 * @param {import("./tokenizer.js").Tokenizer} tokenizer
 * @param {string} word
 */
export function findWord({ tokens, children, words }, tokenizer, word) {
  let node = ROOT;
  for (const token of tokenizer.encode(word) ?? [NO_WORD]) {
    node = findLabel(tokens, children[node], children[node + 1], token);
    if (node < 0) return UNKNOWN;
  }
  return words[node] === NO_WORD ? UNKNOWN : words[node];
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
  const words = listWords(lm);
  for (let id = SPECIAL_WORDS.length; id < words.length; id++) add(words[id], id);
  if (moreWords.length) {
    const known = new Set(words.slice(SPECIAL_WORDS.length));
    const spelled = new Set(moreWords.map((word) => tokenizer.spell(word)));
    for (const word of spelled) if (!known.has(word)) add(word, UNKNOWN);
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
