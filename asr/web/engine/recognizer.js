/** The composed path from samples to words: chunks -> network -> decoder -> words with times -> segments. */

import { align, calibrate, measureCertainty, placeWords } from "./alignment.js";
import { Decoder, decodeGreedily } from "./decoder.js";
import { explainNoWords } from "./explanation.js";
import { joinSegments } from "./joining.js";
import { readLanguageModel } from "./lexicon.js";
import { AcousticNetwork } from "./network.js";
import { RecurrentLM } from "./recurrent-lm.js";
import { splitRecording } from "./segmenter.js";
import { openFolded } from "./sessions.js";
import { insertFrames, leaveOutSilence } from "./silence.js";
import { StepNetwork } from "./stepping.js";
import { StreamingRecognizer } from "./streaming.js";
import { readTensors, toFloats } from "./tensors.js";
import { BLANK, Tokenizer } from "./tokenizer.js";
import { TONAL, measureTonality } from "./tonality.js";

const INSPECTED = 20; // seconds
const MAX_ALTERNATIVES = 10;
const LM = "lm.safetensors";
const RECURRENT_LM = "recurrent_lm.safetensors";
const LM_GRAPHS = ["affine", "step", "log_softmax"];

/** Turns recordings into words. */
export class Recognizer {
  /**
   * Open a model.
   * @param {object} ort ONNX Runtime
   * @param {string[]} files the names of those that the model has
   * @param {(name: string) => Promise<Uint8Array>} load gives the content of one of them
   * @param {(name: string, tokenizer: Tokenizer) => Promise<object>} loadLM gives the language model in one of them
   */
  static async open(
    ort,
    files,
    load,
    loadLM = async (name, tokenizer) => readLanguageModel(await load(name), tokenizer),
  ) {
    const optional = (name) => (files.includes(name) ? load(name) : null);
    const [config, alphabet] = await Promise.all(
      ["config.json", "tokenizer.json"].map(async (n) => parse(await load(n))),
    );
    const recognizer = new Recognizer();
    const tokenizer = new Tokenizer(alphabet.characters);
    const isBeam = config.decoding.decoder === "beam";
    const hasRecurrentLM = isBeam && files.includes(RECURRENT_LM);
    const [network, lm, internal] = await Promise.all([
      openNetwork(ort, config, load),
      isBeam && files.includes(LM) ? loadLM(LM, tokenizer) : null,
      optional("internal_lm.safetensors"),
    ]);
    const models = {
      lm,
      logBigrams: internal && toFloats(readTensors(internal).tensors.get("log_bigrams")),
      // The second pass: nothing waits for it before a text is to be rescored.
      pronunciations: isBeam ? optional("pronunciations.json")?.then(parse) : null,
      recurrentLM: hasRecurrentLM
        ? load(RECURRENT_LM).then(async (bytes) => new RecurrentLM(ort, bytes, await loadGraphs(load)))
        : null,
    };
    const loaded = Promise.all([models.pronunciations, models.recurrentLM]);
    loaded.catch(() => {}); // every use reports it
    Object.assign(recognizer, {
      ort,
      load,
      loaded,
      config,
      tokenizer,
      network,
      models,
      decoders: new Map(),
      steps: null,
    });
    recognizer.decoderFor([]);
    return recognizer;
  }

  /** Samples per second that the model takes. */
  get sampleRate() {
    return this.config.network.features.sample_rate;
  }

  /** Whether sound that is still coming in can be recognised. */
  get canStream() {
    return this.config.feature_statistics !== null;
  }

  /**
   * Begin with a stream.
   * @param {{sampleRate: number, hotWords?: string[]}} options
   */
  async openStream(options) {
    this.steps ??= this.openSteps();
    return new StreamingRecognizer(this, await this.steps, options);
  }

  async openSteps() {
    const { ort, load, config } = this;
    const [graph, weights] = await Promise.all([load("streaming.onnx"), load("weights.safetensors")]);
    const session = await openFolded(ort, graph, weights);
    return new StepNetwork(ort, config.network, session, config.feature_statistics);
  }

  /** Return the decoder for some hot words; the one without any is kept, and the latest other one. */
  decoderFor(hotWords) {
    const key = JSON.stringify(hotWords);
    if (!this.decoders.has(key)) {
      const decoder = new Decoder(this.config.decoding, this.tokenizer, this.models, hotWords);
      for (const other of this.decoders.keys()) if (other !== "[]") this.decoders.delete(other);
      this.decoders.set(key, decoder);
    }
    return this.decoders.get(key);
  }

  /**
   * Recognise one recording of any length.
   * @param {Float32Array} waveform at `sampleRate`
   * @param {{hotWords?: string[], onProgress?: (fraction: number) => void | Promise<void>}} options
   * @returns {Promise<{text: string, duration: number, explanation: string, segments: object[]}>}
   */
  async transcribe(waveform, { hotWords = [], onProgress = () => {} } = {}) {
    const decoder = this.decoderFor(hotWords);
    const duration = waveform.length / this.sampleRate;
    const segments = [];
    for (const chunk of splitRecording(waveform, this.sampleRate)) {
      const segment = await this.recognize(chunk.waveform, decoder, chunk.start);
      if (!segment) continue;
      const joined = chunk.overlap > 0 && segments.length > 0;
      segments.push(...(joined ? joinSegments(segments.pop(), segment, chunk.overlap) : [segment]));
      await onProgress(Math.min(1, segment.end / duration));
    }
    const spoken = segments.filter(({ words }) => words.length);
    const explanation = spoken.length
      ? ""
      : explainNoWords(waveform, this.sampleRate, this.config.network.features.n_fft);
    return { text: spoken.map(textOf).join(" "), duration, explanation, segments: spoken };
  }

  /** Recognise one chunk that starts at a time; null where it is shorter than a frame. */
  async recognize(waveform, decoder, start) {
    if (!this.network.frontEnd.countFrames(waveform.length)) return null;
    const posteriors = await this.network.score(waveform);
    const [best] = await decoder.decode(posteriors);
    const duration = waveform.length / this.sampleRate;
    const isTone = this.config.decoding.min_certainty > 0 && measureTonality(waveform, this.sampleRate) >= TONAL;
    const kind = decoder.isGreedy ? "greedy" : "beam"; // not that of the config: hot words imply the beam search
    return this.placeSegment(posteriors, isTone ? [] : best.tokens, start, duration, kind);
  }

  /** Give the words that tokens spell their times on the clock of the recording; no words where it is noise. */
  placeSegment({ logProbs, numFrames }, tokens, start, duration, decoder = "beam") {
    const { timing, confidence, decoding } = this.config;
    const spans = align(logProbs, numFrames, tokens);
    const placed = placeWords(spans, this.tokenizer, this.network.frameShift, timing, duration);
    const isNoise =
      placed.length > 0 && measureCertainty(logProbs, numFrames, placed, decoder) < decoding.min_certainty;
    const words = (isNoise ? [] : placed).map((word) => ({
      text: word.text,
      start: word.start + start,
      end: word.end + start,
      confidence: calibrate(word.confidence, confidence),
    }));
    return { start, end: start + duration, words };
  }

  /** Show what happens inside, for the first 20 s. */
  async inspect(waveform) {
    const heard = waveform.subarray(0, INSPECTED * this.sampleRate);
    const { frontEnd, frameShift, config } = this.network;
    if (!frontEnd.countFrames(heard.length)) throw new Error("the recording is shorter than a frame of the model");
    const { waveform: sound, leftOut } = leaveOutSilence(heard, config);
    const { data, numFrames, size } = frontEnd.compute(sound);
    const lengths = leftOut.map(([first, last]) => (last - first) * config.subsampling);
    // The last frame of the network may lack features.
    const end = lengths.reduce((sum, length) => sum + length, numFrames);
    const ends = leftOut.map(([, last]) => Math.min(last * config.subsampling, end));
    const features = insertFrames(
      data,
      ends.map((last, i) => [last - lengths[i], last]),
      new Float32Array(size),
    );
    const posteriors = await this.network.score(heard);
    const hypotheses = await this.decoderFor([]).decode(posteriors);
    const text = ({ tokens }) => this.tokenizer.join(tokens).split(" ").filter(Boolean).join(" ");
    const path = new Array(posteriors.numFrames).fill(BLANK);
    for (const { token, start, end } of align(posteriors.logProbs, posteriors.numFrames, hypotheses[0].tokens)) {
      path.fill(token, start, end);
    }
    return {
      mfcc: toRows(features, features.length / size, size),
      silence: leftOut.map((part) => part.map((frame) => frame * frameShift)),
      posteriors: toRows(posteriors.logProbs.map(Math.exp), posteriors.numFrames, this.tokenizer.vocabularySize),
      alphabet: ["", ...this.tokenizer.characters],
      frameShift,
      path,
      greedy: text(decodeGreedily(posteriors)),
      text: text(hypotheses[0]),
      alternatives: hypotheses.slice(0, MAX_ALTERNATIVES).map((each) => ({ text: text(each), score: each.score })),
    };
  }
}

/** Return the words of a segment, with spaces between them. */
export function textOf({ words }) {
  return words.map(({ text }) => text).join(" ");
}

async function openNetwork(ort, config, load) {
  const [graph, weights] = await Promise.all([load("model.onnx"), load("weights.safetensors")]);
  return AcousticNetwork.open(ort, config.network, graph, weights);
}

/** Load the graphs of the recurrent language model. */
async function loadGraphs(load) {
  const graphs = LM_GRAPHS.map(async (name) => [name, await load(`${name}.onnx`)]);
  return Object.fromEntries(await Promise.all(graphs));
}

function parse(bytes) {
  return JSON.parse(new TextDecoder().decode(bytes));
}

function toRows(values, numRows, width) {
  return Array.from({ length: numRows }, (_, row) => Array.from(values.subarray(row * width, (row + 1) * width)));
}
