/**
 * Decoders at work on sound that is still coming in. Each takes frames for good (`accept`), decodes provisional ones
 * after them (`lookAhead`), and keeps the beginning of the text that it found (`commit`).
 */

import { greedyPath } from "./alignment.js";
import { Hypotheses, NONE } from "./hypotheses.js";
import { BeamSearch } from "./search.js";
import { BLANK } from "./tokenizer.js";

const BEAM_SIZE = 200; // at most, for provisional texts need less

/** The beam search; when words are committed, texts that do not go on from them are dropped. */
export class BeamStream {
  /** @param {ReturnType<import("./tables.js").buildTables>} tables */
  constructor(tables) {
    const beamSize = Math.min(tables.settings.beamSize, BEAM_SIZE);
    this.search = new BeamSearch({ ...tables, settings: { ...tables.settings, beamSize } });
    this.held = new Hypotheses(beamSize);
    this.best = []; // the prefixes on the way to the likeliest text, the empty one left out
  }

  /** @param {Float32Array} logProbs of frames, row by row */
  accept(logProbs) {
    const { size } = this.search.tables;
    for (let at = 0; at < logProbs.length; at += size) this.search.accept(logProbs.subarray(at, at + size));
  }

  /** Return the tokens of the likeliest text so far. */
  lookAhead(logProbs) {
    const { beam, prefixes } = this.search;
    this.held.copy(beam);
    this.accept(logProbs);
    this.best = [];
    for (let at = this.search.bestPrefix(); at > 0; at = prefixes.parent[at]) this.best.unshift(at);
    this.restore(this.held);
    return this.best.map((prefix) => prefixes.token[prefix]);
  }

  /** Keep the first tokens of the text that was found last, and tell whether accepted frames bear them out. */
  commit(numTokens) {
    const { beam } = this.search;
    this.held.copy(beam, (prefix) => this.goesOn(prefix, this.best[numTokens - 1]));
    if (this.held.count) this.restore(this.held);
    return this.held.count > 0;
  }

  /** Follow other prefixes; the tree keeps what was found meanwhile. */
  restore(hypotheses) {
    const { beam, prefixes } = this.search;
    for (let i = 0; i < beam.count; i++) prefixes.beamIndex[beam.prefix[i]] = NONE;
    beam.copy(hypotheses);
    for (let i = 0; i < beam.count; i++) prefixes.beamIndex[beam.prefix[i]] = i;
  }

  /** Tell whether a prefix begins with another one. */
  goesOn(prefix, beginning) {
    let at = prefix;
    while (at > beginning) at = this.search.prefixes.parent[at];
    return at === beginning;
  }
}

/** The likeliest token of each frame. */
export class GreedyStream {
  /** @param {number} size the tokens, the blank among them */
  constructor(size) {
    Object.assign(this, { size, tokens: [], last: BLANK });
  }

  accept(logProbs) {
    const path = greedyPath(logProbs, logProbs.length / this.size);
    this.tokens = [...this.tokens, ...this.collapse(path)];
    this.last = path.at(-1);
  }

  lookAhead(logProbs) {
    return [...this.tokens, ...this.collapse(greedyPath(logProbs, logProbs.length / this.size))];
  }

  commit(numTokens) {
    return numTokens <= this.tokens.length;
  }

  /** Return the tokens that begin in some frames. */
  collapse(path) {
    return path.filter((token, i) => token !== BLANK && token !== (i ? path[i - 1] : this.last));
  }
}
