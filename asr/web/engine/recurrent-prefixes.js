/**
 * The recurrent language model on sentences: what several begin with is computed once, also from one time to the next
 * (see `asr/lm/recurrent_prefixes.py`).
 */

import { BEGIN } from "./ngrams.js";

/** The beginning of sentences: its last word, what the network made of it, and the prefixes that go on from it. */
class Prefix {
  /**
   * @param {number} word the last one
   * @param {Prefix | null} parent the prefix without it
   */
  constructor(word, parent) {
    Object.assign(this, { word, parent, children: new Map() });
    this.hidden = this.cell = null; // the states after it
    this.logProb = null; // of the last word after those before it
    this.round = 0; // in which it was needed last
  }
}

/** Scores sentences, and remembers the prefixes of the last ones. */
export class RecurrentPrefixes {
  /** @param {import("./recurrent-lm.js").RecurrentLM} lm */
  constructor(lm) {
    Object.assign(this, { lm, root: new Prefix(BEGIN, null), round: 0 });
  }

  /**
   * Score whole sentences.
   * @param {string[][]} sentences
   * @returns {Promise<number[]>} natural log-probabilities, the ends of the sentences included
   */
  async score(sentences) {
    this.round++;
    const paths = sentences.map((words) => this.find(this.lm.encode(words)));
    const levels = []; // the prefixes that go on and have no states yet, by their length
    const unscored = new Set();
    for (const path of paths) {
      path.forEach((prefix, depth) => {
        if (!prefix.parent.hidden) (levels[depth] ??= new Set()).add(prefix.parent);
        if (prefix.logProb === null) unscored.add(prefix);
      });
    }
    if (levels.length) await this.step(levels.filter(Boolean).map((level) => [...level]));
    if (unscored.size) await this.predict([...unscored]);
    for (const path of paths) for (const prefix of path) this.forget(prefix.parent);
    return paths.map((path) => path.reduce((sum, { logProb }) => sum + logProb, 0));
  }

  /** Return the prefixes of a sentence, without `<s>`. */
  find(words) {
    let prefix = this.root;
    return words.map((word) => {
      if (!prefix.children.has(word)) prefix.children.set(word, new Prefix(word, prefix));
      prefix = prefix.children.get(word);
      prefix.round = this.round;
      return prefix;
    });
  }

  /** Compute the states after prefixes, those of one length at once. */
  async step(levels) {
    const words = [...new Set(levels.flat().map(({ word }) => word))];
    const rows = new Map(words.map((word, row) => [word, row]));
    const gates = await this.lm.inputGates(words);
    const size = this.lm.hiddenSize;
    const zeros = new Float32Array(size);
    for (const level of levels) {
      const [hidden, cell] = await this.lm.step(
        stack(level.map(({ word }) => gates.subarray(4 * size * rows.get(word), 4 * size * (rows.get(word) + 1)))),
        stack(level.map(({ parent }) => parent?.hidden ?? zeros)),
        stack(level.map(({ parent }) => parent?.cell ?? zeros)),
        level.length,
      );
      level.forEach((prefix, row) => {
        prefix.hidden = hidden.slice(row * size, (row + 1) * size);
        prefix.cell = cell.slice(row * size, (row + 1) * size);
      });
    }
  }

  /** Score the last words of prefixes; what follows the same words is picked from one distribution. */
  async predict(prefixes) {
    const befores = new Map();
    const rows = prefixes.map(({ parent }) => {
      if (!befores.has(parent)) befores.set(parent, befores.size);
      return befores.get(parent);
    });
    const hidden = stack(Array.from(befores.keys(), (prefix) => prefix.hidden));
    const logProbs = await this.lm.logProbs(hidden, rows, prefixes.map(({ word }) => word));
    prefixes.forEach((prefix, i) => { prefix.logProb = logProbs[i]; });
  }

  /** Leave out what goes on from a prefix and was not needed now. */
  forget({ children }) {
    for (const [word, child] of children) if (child.round < this.round) children.delete(word);
  }
}

/** Return rows of the same length, one behind the other. */
function stack(rows) {
  const stacked = new Float32Array(rows.length * rows[0].length);
  rows.forEach((row, i) => stacked.set(row, i * row.length));
  return stacked;
}
