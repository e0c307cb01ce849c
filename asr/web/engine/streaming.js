/**
 * Sound that is still coming in: words while it is spoken, and for good at the end of each segment.
 *
 * The segment under way is recognised anew each time that some more of it has come. A word is committed once two
 * recognitions agree on it and on all before it; what may still change is the tail.
 */

import { greedyPath } from "./alignment.js";
import { textOf } from "./recognizer.js";
import { Resampler } from "./resampling.js";
import { BLANK } from "./tokenizer.js";

const CHUNK = 1.2; // seconds of new sound that are recognised together
const MIN_GROWTH = 1 / 8; // of the segment between two recognitions: no sound is recognised more than some nine times
const ENDPOINT_SILENCE = 0.8; // seconds without a token that end a segment
const MAX_SEGMENT = 20; // seconds
const KEPT_SILENCE = 0.5; // seconds before the first word

/** Recognises one stream. */
export class StreamingRecognizer {
  /**
   * @param {import("./recognizer.js").Recognizer} recognizer
   * @param {{sampleRate: number, hotWords?: string[]}} options
   */
  constructor(recognizer, { sampleRate, hotWords = [] }) {
    this.recognizer = recognizer;
    this.decoder = recognizer.decoderFor(hotWords);
    this.resampler = new Resampler(sampleRate, recognizer.sampleRate);
    this.start = 0; // samples before the segment under way
    this.begin();
    this.samples = new Float32Array(0);
  }

  /**
   * Take the next samples, any number of them.
   * @returns {Promise<object[]>} partial results {committed, tail} and final ones {start, end, words}
   */
  async accept(samples) {
    this.append(this.resampler.accept(samples));
    const wanted = Math.max(CHUNK * this.recognizer.sampleRate, MIN_GROWTH * this.numRecognized);
    return this.samples.length >= this.numRecognized + wanted ? this.recognizeSoFar() : [];
  }

  /** End the stream. */
  async finish() {
    this.append(this.resampler.finish());
    return this.close(this.samples.length);
  }

  begin() {
    this.numRecognized = 0; // samples of the segment
    this.previous = []; // words of the latest recognition
    this.committed = [];
  }

  append(samples) {
    const joined = new Float32Array(this.samples.length + samples.length);
    joined.set(this.samples);
    joined.set(samples, this.samples.length);
    this.samples = joined;
  }

  /** Recognise the segment as far as it has come. */
  async recognizeSoFar() {
    const { network, sampleRate } = this.recognizer;
    const posteriors = await network.score(this.samples);
    this.numRecognized = this.samples.length;
    const path = greedyPath(posteriors.logProbs, posteriors.numFrames);
    const silence = (path.length - 1 - path.findLastIndex((token) => token !== BLANK)) * network.frameShift;
    const duration = this.samples.length / sampleRate;
    if (silence >= duration - 2 * network.frameShift) {
      this.drop(this.samples.length - Math.round(KEPT_SILENCE * sampleRate));
      return [];
    }
    if (silence >= ENDPOINT_SILENCE || duration >= MAX_SEGMENT) return this.close(this.samples.length);
    const [best] = await this.decoder.decode(posteriors);
    const { words } = this.recognizer.placeSegment(posteriors, best.tokens, 0, duration);
    const texts = words.map(({ text }) => text);
    for (let i = this.committed.length; i < texts.length - 1 && texts[i] === this.previous[i]; i++) {
      this.committed.push(texts[i]);
    }
    this.previous = texts;
    return [{ committed: this.committed.join(" "), tail: texts.slice(this.committed.length).join(" ") }];
  }

  /** Recognise a segment for good. */
  async close(numSamples) {
    const { recognizer } = this;
    const heard = this.samples.slice(0, numSamples);
    const segment = await recognizer.recognize(heard, this.decoder, this.start / recognizer.sampleRate);
    this.drop(numSamples);
    return segment && textOf(segment) ? [segment] : [];
  }

  /** Forget the first samples. */
  drop(numSamples) {
    const dropped = Math.max(0, numSamples);
    this.start += dropped;
    this.samples = this.samples.slice(dropped);
    this.begin();
  }
}
