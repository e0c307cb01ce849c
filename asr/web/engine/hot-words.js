/**
 * Hot words: phrases to favour, as an automaton that boosts them while they are spelled (see
 * `asr/decoding/hot_words.py`).
 */

import { normalizeText } from "./text.js";

const DEFAULT_BOOST = 5;
const MAX_BOOST = 1000;

/**
 * Read hot words as people type them.
 * @param {string[]} entries `phrase[:boost]` each
 * @returns {{phrase: string, boost: number}[]} each phrase once, with its last boost; an entry without any letter or
 *   digit is left out with a warning
 */
export function parseHotWords(entries) {
  const found = new Map();
  const problems = [];
  for (const entry of entries) {
    if (!entry.trim()) continue;
    const colon = entry.lastIndexOf(":");
    const phrase = normalizeText(colon < 0 ? entry : entry.slice(0, colon));
    const given = colon < 0 ? "" : entry.slice(colon + 1).trim();
    const boost = colon < 0 ? DEFAULT_BOOST : Number(given || NaN);
    if (!phrase) {
      problems.push(`hot word ${entry.trim()} has no letter or digit; spell it as it is spoken`);
      continue;
    }
    if (!(Math.abs(boost) <= MAX_BOOST)) {
      throw new Error(`hot word ${phrase}: boost ${given} is no number up to ${MAX_BOOST}; write ${phrase}:5`);
    }
    found.set(phrase, boost);
  }
  tell(problems, found.size);
  return Array.from(found, ([phrase, boost]) => ({ phrase, boost }));
}

/** Warn of what is left out, or fail if nothing is left. */
function tell(problems, numKept) {
  if (problems.length && !numKept) throw new Error(problems.at(-1));
  for (const problem of problems) console.warn(`${problem}; left out`);
}

/**
 * Build the automaton: for each state and token the next state and what that step adds to the score. A phrase that the
 * alphabet cannot spell is left out with a warning.
 * @returns {{start: number, nextState: Int32Array, gain: Float64Array, finalGain: Float64Array}} the tables of two
 *   dimensions row by row, a row a state
 */
export function buildHotWords(hotWords, tokenizer) {
  const { space, vocabularySize: size } = tokenizer;
  const trie = { children: [new Map()], earned: [0], found: [0] };
  const problems = [];
  for (const { phrase, boost } of hotWords) {
    const tokens = tokenizer.encode(tokenizer.spell(phrase));
    if (tokens) addPhrase(trie, tokens, boost, space);
    else problems.push(`hot word ${phrase}: the alphabet lacks a character of it; spell it as it is spoken`);
  }
  tell(problems, hotWords.length - problems.length);
  const nextState = link(trie, size);
  const { earned, found } = trie;
  const gain = Float64Array.from(nextState, (next, i) => found[next] + earned[next] - earned[Math.floor(i / size)]);
  const finalGain = Float64Array.from(earned, (value, state) =>
    (space < 0 ? 0 : found[nextState[state * size + space]]) - value);
  return { start: space < 0 ? 0 : nextState[space], nextState, gain, finalGain };
}

/** Spell a phrase out with the word boundaries around it. */
function addPhrase(trie, tokens, boost, space) {
  const boundary = space < 0 ? [] : [space];
  let state = 0;
  [...boundary, ...tokens, ...boundary].forEach((token, index) => {
    const depth = Math.max(0, index - boundary.length);
    trie.earned[state] = Math.max(trie.earned[state], (boost * depth) / tokens.length);
    if (!trie.children[state].has(token)) {
      trie.children[state].set(token, trie.children.length);
      trie.children.push(new Map());
      trie.earned.push(0);
      trie.found.push(0);
    }
    state = trie.children[state].get(token);
  });
  trie.found[state] += boost;
}

/** Send each state and token to the longest match, and let states inherit from their suffixes. */
function link({ children, earned, found }, size) {
  const nextState = new Int32Array(children.length * size);
  const queue = [[0, 0]]; // a state and that of its longest proper suffix, which is done before
  for (let i = 0; i < queue.length; i++) {
    const [state, suffix] = queue[i];
    nextState.copyWithin(state * size, suffix * size, (suffix + 1) * size);
    if (state) {
      earned[state] = Math.max(earned[state], earned[suffix]);
      found[state] += found[suffix];
    }
    for (const [token, child] of children[state]) {
      queue.push([child, nextState[state * size + token]]);
      nextState[state * size + token] = child;
    }
  }
  return nextState;
}
