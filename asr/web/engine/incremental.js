/**
 * Decoders at work on sound that is still coming in. Each takes frames for good (`accept`), decodes provisional ones
 * after them to hypotheses, the best first (`lookAhead`), and keeps the beginning of one of them (`commit`), if
 * accepted frames bear it out.
 */

import { greedyPath } from "./alignment.js";
import { Beam, NONE } from "./hypotheses.js";
import { joinPosteriors } from "./posteriors.js";
import { BeamSearch } from "./search.js";
import { BLANK } from "./tokenizer.js";

const BEAM_SIZE = 200; // at most, for provisional texts need less
const NUM_TOKENS_BEFORE = 20; // of committed words that the second pass hears too, at least

/** The beam search; when words are committed, texts that do not go on from them are dropped. */
export class BeamStream {
  /**
   * @param {ReturnType<import("./tables.js").buildTables>} tables
   * @param {number} nbest hypotheses to give
   */
  constructor(tables, nbest) {
    this.nbest = nbest;
    const beamSize = Math.min(tables.settings.beamSize, BEAM_SIZE);
    this.search = new BeamSearch({ ...tables, settings: { ...tables.settings, beamSize } });
    this.held = new Beam(beamSize);
    this.reached = new Beam(beamSize);
  }

  /** @param {import("./posteriors.js").Posteriors} posteriors */
  accept({ logProbs }) {
    const { size } = this.search.tables;
    for (let at = 0; at < logProbs.length; at += size) this.search.accept(logProbs.subarray(at, at + size));
  }

  lookAhead(posteriors) {
    this.held.copy(this.search.beam);
    this.accept(posteriors);
    this.reached.copy(this.search.beam);
    const best = this.search.finish(this.nbest);
    this.search.beam.copy(this.reached); // with the spaces at the ends, as the tree knows them
    this.restore(this.held);
    return best;
  }

  commit(tokens) {
    const { prefixes, beam } = this.search;
    let beginning = 0;
    for (const token of tokens) {
      let child = beginning === NONE ? NONE : prefixes.firstChild[beginning];
      while (child !== NONE && prefixes.token[child] !== token) child = prefixes.nextSibling[child];
      beginning = child;
    }
    if (beginning === NONE) return false;
    this.held.copy(beam, (prefix) => this.goesOn(prefix, beginning));
    if (this.held.count) this.restore(this.held);
    return this.held.count > 0;
  }

  /** Follow other prefixes; the tree keeps what was found meanwhile. */
  restore(others) {
    const { beam, prefixes } = this.search;
    for (let i = 0; i < beam.count; i++) prefixes.beamIndex[beam.prefix[i]] = NONE;
    beam.copy(others);
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
  constructor() {
    Object.assign(this, { tokens: [], last: BLANK });
  }

  accept({ logProbs, numFrames }) {
    const path = greedyPath(logProbs, numFrames);
    this.tokens = [...this.tokens, ...this.collapse(path)];
    this.last = path.at(-1);
  }

  lookAhead({ logProbs, numFrames }) {
    return [{ tokens: [...this.tokens, ...this.collapse(greedyPath(logProbs, numFrames))], score: 0 }];
  }

  commit(tokens) {
    return tokens.length <= this.tokens.length;
  }

  /** Return the tokens that begin in some frames. */
  collapse(path) {
    return path.filter((token, i) => token !== BLANK && token !== (i ? path[i - 1] : this.last));
  }
}

/** Two passes; the second hears what is not committed, and some words before it. */
export class TwoPassStream {
  /**
   * @param {BeamStream} firstPass
   * @param {object[]} rescorers of a stream
   */
  constructor(firstPass, rescorers) {
    Object.assign(this, { firstPass, rescorers, accepted: [] });
    this.settled = [{ numTokens: 0, numFrames: 0 }]; // where the second pass may begin to hear; it does at the first
  }

  accept(posteriors) {
    this.firstPass.accept(posteriors);
    if (this.rescorers.length) this.accepted.push(posteriors);
  }

  async lookAhead(posteriors) {
    let hypotheses = this.firstPass.lookAhead(posteriors);
    if (!this.rescorers.length) return hypotheses;
    const heard = joinPosteriors([...this.accepted, posteriors]);
    for (const rescorer of this.rescorers) hypotheses = await rescorer.rescore(hypotheses, heard, this.settled[0]);
    return hypotheses;
  }

  /** Keep a beginning that takes some frames. */
  commit(tokens, numFrames) {
    if (!this.firstPass.commit(tokens)) return false;
    this.settled.push({ numTokens: tokens.length, numFrames });
    while (tokens.length - this.settled[1].numTokens >= NUM_TOKENS_BEFORE) this.settled.shift();
    return true;
  }
}
