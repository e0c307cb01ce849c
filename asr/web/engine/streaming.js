/**
 * Sound that is still coming in: words while it is spoken, and for good at the end of each segment (see
 * `asr/recognition/streaming.py`).
 */

import { concatenate } from "./feature-stream.js";
import { LiveSegment } from "./live-segment.js";
import { Resampler } from "./resampling.js";

/** Recognises one stream. */
export class StreamingRecognizer {
  /**
   * @param {import("./recognizer.js").Recognizer} recognizer
   * @param {import("./stepping.js").StepNetwork} steps
   * @param {{sampleRate: number, hotWords?: string[]}} options
   */
  constructor(recognizer, steps, { sampleRate, hotWords = [] }) {
    Object.assign(this, { recognizer, steps, hotWords });
    this.resampler = new Resampler(sampleRate, recognizer.sampleRate);
    this.block = Math.max(1, Math.round(recognizer.config.streaming.partial_interval * recognizer.sampleRate));
    this.waiting = new Float32Array(0); // samples that no segment has taken
    this.begin(0);
    this.shown = this.segment.text; // by the last result
  }

  /**
   * Take the next samples, any number of them.
   * @returns {Promise<object[]>} partial results {committed, tail, words}, the first two as texts, each in place of
   *   the one before, and final ones {start, end, words} with a word at least
   */
  async accept(samples) {
    return this.advance(this.resampler.accept(samples));
  }

  /** End the stream. */
  async finish() {
    const results = await this.advance(this.resampler.finish());
    this.segment.take(this.waiting);
    this.waiting = new Float32Array(0);
    const end = this.segment.waveform.length;
    return [...results, ...(await this.end({ end, begin: end }))];
  }

  /** Begin a segment before which there are some samples of the stream. */
  begin(start) {
    this.segment = new LiveSegment(this.recognizer, this.steps, this.hotWords, start);
  }

  /** Work through samples in equal blocks, so that final results do not depend on how the samples came. */
  async advance(samples) {
    const results = [];
    this.waiting = concatenate(this.waiting, samples);
    while (this.waiting.length >= this.block) {
      this.segment.take(this.waiting.slice(0, this.block));
      this.waiting = this.waiting.slice(this.block);
      const isLate = this.waiting.length >= this.block;
      const cut = await this.segment.advance(isLate);
      if (cut) {
        results.push(...(await this.end(cut)));
        continue;
      }
      const { text } = this.segment;
      const isSame = text.committed === this.shown.committed && text.tail === this.shown.tail;
      if (isSame || (isLate && !text.committed && !text.tail)) continue;
      this.shown = text;
      results.push({ ...text, words: [...this.segment.committed, ...this.segment.tail] });
    }
    return results;
  }

  /** End the segment, and begin the next one. */
  async end(cut) {
    const { start } = this.segment;
    const { segment, rest } = await this.segment.finish(cut);
    this.waiting = concatenate(rest, this.waiting);
    const wasShown = this.shown.committed || this.shown.tail;
    this.begin(start + cut.begin);
    this.shown = this.segment.text;
    if (segment.words.length) return [segment];
    return wasShown ? [{ committed: "", tail: "", words: [] }] : [];
  }
}
