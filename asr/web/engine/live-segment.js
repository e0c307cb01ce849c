/** A segment of a stream while it is spoken (see `asr/recognition/live_segment.py`). */

import { align, calibrate, greedyPath, placeWords } from "./alignment.js";
import { concatenate } from "./feature-stream.js";
import { Endpointer } from "./endpoint.js";
import { findWord } from "./lexicon.js";
import { END, scoreEnd } from "./ngrams.js";
import { cutPosteriors } from "./posteriors.js";
import { StreamScorer } from "./stepping.js";
import { BLANK } from "./tokenizer.js";

const FINISHED = 1.1; // how much likelier a sentence is to end than after any word, in nats, where it seems finished
const UNSETTLED = 0.24; // seconds at the end of what has come, before which the network does not see what is spoken

/** Recognises one segment: its words so far, `committed` and then `tail`, on the clock of the stream. */
export class LiveSegment {
  /**
   * @param {import("./recognizer.js").Recognizer} recognizer
   * @param {import("./stepping.js").StepNetwork} steps
   * @param {string[]} hotWords
   * @param {number} start samples of the stream before it
   */
  constructor(recognizer, steps, hotWords, start) {
    const { network, config: { streaming } } = recognizer;
    const { n_fft: window, sample_rate: rate } = network.config.features;
    const shift = network.frameShift;
    Object.assign(this, { recognizer, hotWords, start, committed: [], tail: [], blocks: [] });
    this.scorer = new StreamScorer(steps, network.frontEnd);
    this.decoder = recognizer.decoderFor(hotWords).begin();
    this.unsettled = Math.max(1, Math.round(UNSETTLED / shift));
    this.chunk = Math.max(1, Math.round(streaming.chunk_duration / shift));
    this.context = Math.max(steps.minContext, Math.trunc((streaming.right_context - window / rate) / shift));
    this.commitDelay = streaming.commit_delay;
    this.endpointer = new Endpointer(
      Math.max(1, Math.round(streaming.endpoint_silence / shift)),
      Math.trunc(streaming.max_segment_duration / shift),
      (cut) => this.mayEnd(this.toSamples(cut).end),
    );
    this.transcribed = null; // the last transcript, and its samples
    this.logProbs = new Float32Array(0); // of the frames that are final
    this.placedFrames = 0; // that the committed words take
    this.placedTokens = 0;
  }

  /** The texts of the words so far. */
  get text() {
    const join = (words) => words.map(({ text }) => text).join(" ");
    return { committed: join(this.committed), tail: join(this.tail) };
  }

  get waveform() {
    return this.blocks.reduce(concatenate, new Float32Array(0));
  }

  /** Take the next samples, at the rate of the model. */
  take(samples) {
    this.blocks.push(samples);
    this.scorer.accept(samples);
  }

  /**
   * Recognise what has come.
   * @param {boolean} isLate whether more sound is waiting, so that words are not worth looking for yet
   * @returns {Promise<{end: number, begin: number} | null>} the samples to cut at; null if the segment goes on
   */
  async advance(isLate) {
    const { scorer, chunk, endpointer } = this;
    let ahead = null;
    while (scorer.numWaiting >= chunk + this.context) {
      const scored = await scorer.advance(chunk, scorer.numWaiting - chunk);
      const final = cutPosteriors(scored, 0, chunk);
      ahead = cutPosteriors(scored, chunk);
      const cut = await endpointer.find(findBlanks(final));
      if (cut) return this.toSamples(cut);
      this.decoder.accept(final);
      this.logProbs = concatenate(this.logProbs, final.logProbs);
    }
    if (!ahead && scorer.numWaiting > 1) ahead = await scorer.preview();
    if (!ahead) return null;
    const isBlank = findBlanks(ahead);
    const cut = await endpointer.lookAhead(isBlank.slice(0, -this.unsettled));
    if (cut) return this.toSamples(cut);
    if (isLate) return null;
    if (endpointer.hasSpeech || isBlank.includes(false)) await this.place(ahead);
    else this.tail = []; // what was seen in provisional frames is not in the final ones
    return null;
  }

  /**
   * Recognise the segment as a recording.
   * @param {{end: number, begin: number}} cut the samples to cut at
   * @returns {Promise<{segment: object, rest: Float32Array}>} the segment on the clock of the stream, without words
   *   where the network saw blanks alone; and the samples of the next one
   */
  async finish({ end, begin }) {
    const { waveform, recognizer, start } = this;
    const rest = waveform.slice(begin);
    const offset = start / recognizer.sampleRate;
    const heard = this.committed.length || (await this.hasSpeech(end === waveform.length));
    const { segments, duration } = heard
      ? await this.transcribe(end)
      : { segments: [], duration: end / recognizer.sampleRate };
    const words = segments.flatMap((segment) => segment.words);
    const shifted = words.map((word) => ({ ...word, start: word.start + offset, end: word.end + offset }));
    return { segment: { start: offset, end: offset + duration, words: shifted }, rest };
  }

  /** Recognise the samples before one of the segment as a recording. */
  async transcribe(end) {
    if (this.transcribed?.end !== end) {
      const { recognizer, waveform, hotWords } = this;
      this.transcribed = { end, transcript: await recognizer.transcribe(waveform.slice(0, end), { hotWords }) };
    }
    return this.transcribed.transcript;
  }

  /** Tell whether a sentence is much likelier to end before a sample than after any word, by the n-gram model. */
  async mayEnd(end) {
    const { tokenizer, models: { lm } } = this.recognizer;
    if (!lm) return true;
    const { segments } = await this.transcribe(end);
    const words = segments.flatMap((segment) => segment.words.map(({ text }) => text));
    const ids = words.map((word) => findWord(lm.lexicon, tokenizer, word));
    return !words.length || scoreEnd(lm, ids) >= lm.logProbs[END] + FINISHED;
  }

  /** Tell whether a frame is no blank; at the end of the stream, those that wait count too. */
  async hasSpeech(isLast) {
    if (this.endpointer.hasSpeech || !isLast || this.scorer.numWaiting < 2) return this.endpointer.hasSpeech;
    return findBlanks(await this.scorer.preview()).includes(false);
  }

  toSamples({ end, begin }) {
    const { features, subsampling } = this.recognizer.network.config;
    const length = features.hop_length * subsampling;
    return { end: end * length, begin: begin * length };
  }

  /** Decode up to the end of provisional frames, find when each word is spoken, and commit those long past. */
  async place(ahead) {
    const { recognizer, decoder } = this;
    const { tokenizer, config: { timing, confidence } } = recognizer;
    const shift = recognizer.network.frameShift;
    const size = tokenizer.vocabularySize;
    const [best] = await decoder.lookAhead(ahead);
    const tokens = best.tokens.slice(this.placedTokens);
    const frames = concatenate(this.logProbs, ahead.logProbs).subarray(this.placedFrames * size);
    const numFrames = frames.length / size;
    const numNeeded = tokens.length + tokens.filter((token, i) => i && token === tokens[i - 1]).length;
    if (numNeeded > numFrames) return; // the last committed word took frames that these need: wait for the next ones
    const spans = align(frames, numFrames, tokens);
    const offset = this.start / recognizer.sampleRate + this.placedFrames * shift;
    const earliest = this.committed.at(-1)?.end ?? 0;
    const words = placeWords(spans, tokenizer, shift, timing, numFrames * shift).map((word) => ({
      text: word.text,
      start: Math.max(earliest, word.start + offset),
      end: Math.max(earliest, word.end + offset),
      confidence: calibrate(word.confidence, confidence),
    }));
    const past = offset + numFrames * shift - this.commitDelay;
    const numWords = this.commit(best.tokens, spans, words.filter(({ end }) => end <= past).length);
    this.committed.push(...words.slice(0, numWords));
    this.tail = words.slice(numWords);
  }

  /** Commit the first words of the tail, or as many of them as the decoder bears out, and return how many. */
  commit(tokens, spans, numWords) {
    const { space } = this.recognizer.tokenizer;
    if (space < 0) return 0;
    const ends = [];
    const text = [...tokens, space]; // after the last word too, which the decoder may bear out
    const placed = text.slice(this.placedTokens);
    for (let i = 1; i < placed.length; i++) if (placed[i - 1] !== space && placed[i] === space) ends.push(i + 1);
    for (let count = Math.min(numWords, ends.length); count > 0; count--) {
      const numTokens = this.placedTokens + ends[count - 1];
      const numFrames = this.placedFrames + spans[Math.min(ends[count - 1], spans.length) - 1].end;
      if (!this.decoder.commit(text.slice(0, numTokens), numFrames)) continue;
      this.placedTokens = numTokens;
      this.placedFrames = numFrames;
      return count;
    }
    return 0;
  }
}

/** Tell of each frame whether the blank is its likeliest token. */
function findBlanks({ logProbs, numFrames }) {
  return greedyPath(logProbs, numFrames).map((token) => token === BLANK);
}
