/** Posteriors become hypotheses: greedily, or by beam search and then rescoring, as a bundle asks for. */

import { greedyPath } from "./alignment.js";
import { parseHotWords } from "./hot-words.js";
import { BeamStream, GreedyStream, TwoPassStream } from "./incremental.js";
import { Recombiner } from "./recombination.js";
import { PhoneRescorer, RecurrentRescorer, sumPaths } from "./rescoring.js";
import { BeamSearch, IMPOSSIBLE } from "./search.js";
import { buildTables } from "./tables.js";
import { BLANK } from "./tokenizer.js";

/**
 * What helps to decode, as far as there is any; what the second pass needs may still be loading.
 * @typedef {{lm: object | null, logBigrams: Float32Array | null, pronunciations: Promise<object> | null,
 *   recurrentLM: Promise<object> | null}} DecodingModels
 */

/** Decodes in two passes. */
export class Decoder {
  /**
   * @param {object} config the `decoding` section of `config.json`
   * @param {import("./tokenizer.js").Tokenizer} tokenizer
   * @param {DecodingModels} models
   * @param {string[]} hotWords `phrase[:boost]` each; they imply the beam search
   */
  constructor(config, tokenizer, models, hotWords = []) {
    const parsed = parseHotWords(hotWords);
    this.isGreedy = config.decoder === "greedy" && !parsed.length;
    this.rescorers = [];
    this.recombiner = null;
    this.nbest = config.nbest;
    if (this.isGreedy) return;
    this.tables = buildTables(config, tokenizer, models.lm, parsed, models.logBigrams);
    this.addRescorers(config, tokenizer, models);
    this.nbest = Math.min(this.nbest, config.beam_size);
    if (this.rescorers.length && tokenizer.space >= 0) {
      this.recombiner = new Recombiner((texts, posteriors) => this.score(texts, posteriors), tokenizer.space);
    }
  }

  /** Add the second pass: first by phones, then by words; without a language model nothing is weighed against. */
  addRescorers(config, tokenizer, { lm, pronunciations, recurrentLM }) {
    if (!lm && !recurrentLM) return;
    if (pronunciations && config.phone_weight > 0) {
      this.rescorers.push(new PhoneRescorer(pronunciations, tokenizer, config.phone_weight));
      this.nbest = Math.max(this.nbest, config.phone_nbest);
    }
    if (recurrentLM && config.recurrent_lm_weight > 0) {
      const scored = Math.max(config.nbest, config.recurrent_lm_nbest);
      this.rescorers.push(new RecurrentRescorer(recurrentLM, tokenizer, config.recurrent_lm_weight, scored));
      this.nbest = Math.max(this.nbest, scored);
    }
  }

  /**
   * Decode one utterance.
   * @param {import("./posteriors.js").Posteriors} posteriors
   * @returns {Promise<{tokens: number[], score: number}[]>} the best first, at least one
   */
  async decode(posteriors) {
    let hypotheses = this.isGreedy ? [decodeGreedily(posteriors)] : this.search(posteriors);
    const rescorers = this.rescorers.map((rescorer) => rescorer.open());
    for (const rescorer of rescorers) hypotheses = await rescorer.rescore(hypotheses, posteriors);
    return this.recombiner ? this.recombiner.recombine(hypotheses, posteriors, rescorers) : hypotheses;
  }

  /** Begin with a stretch of sound whose frames are still coming in. */
  begin() {
    if (this.isGreedy) return new GreedyStream();
    return new TwoPassStream(
      new BeamStream(this.tables, this.nbest),
      this.rescorers.map((rescorer) => rescorer.begin()),
    );
  }

  /** Run the first pass alone. */
  search({ logProbs, numFrames }) {
    const search = new BeamSearch(this.tables);
    const { size } = this.tables;
    for (let frame = 0; frame < numFrames; frame++) search.accept(logProbs.subarray(frame * size, (frame + 1) * size));
    return search.finish(this.nbest);
  }

  /** Score whole texts by the sums over all their paths, also those that the search would have dropped. */
  score(texts, { logProbs, numFrames }) {
    const search = new BeamSearch(this.tables);
    const probabilities = Float64Array.from(logProbs, (value) => Math.exp(Math.max(value, IMPOSSIBLE)));
    return texts.map((tokens) => ({
      tokens,
      score: sumPaths(probabilities, numFrames, tokens) + search.scoreText(tokens),
    }));
  }
}

/** Take the likeliest token of each frame. */
export function decodeGreedily({ logProbs, numFrames }) {
  const path = greedyPath(logProbs, numFrames);
  const size = logProbs.length / numFrames;
  const score = path.reduce((sum, token, frame) => sum + logProbs[frame * size + token], 0);
  return { tokens: path.filter((token, i) => token !== BLANK && token !== path[i - 1]), score };
}
