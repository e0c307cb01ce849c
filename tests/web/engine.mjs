// Runs one function of the recogniser in JavaScript for a test in Python: a request as JSON on the standard input, its
// answer on the standard output. Arrays of numbers are files of raw single precision, for JSON would take longer.

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

import { align, calibrate, measureCertainty, placeWords } from "../../asr/web/engine/alignment.js";
import { Decoder } from "../../asr/web/engine/decoder.js";
import { Endpointer } from "../../asr/web/engine/endpoint.js";
import { FeatureStream } from "../../asr/web/engine/feature-stream.js";
import { PowerSpectrum } from "../../asr/web/engine/fft.js";
import { joinSegments } from "../../asr/web/engine/joining.js";
import { readLanguageModel } from "../../asr/web/engine/lexicon.js";
import { FrontEnd } from "../../asr/web/engine/mfcc.js";
import { Recognizer } from "../../asr/web/engine/recognizer.js";
import { differences } from "../../asr/web/engine/recombination.js";
import { Resampler } from "../../asr/web/engine/resampling.js";
import { splitRecording } from "../../asr/web/engine/segmenter.js";
import { openFolded, openSession } from "../../asr/web/engine/sessions.js";
import { StreamScorer } from "../../asr/web/engine/stepping.js";
import { insertBlanks, leaveOutSilence } from "../../asr/web/engine/silence.js";
import { readTensors, toFloats } from "../../asr/web/engine/tensors.js";
import { normalizeText } from "../../asr/web/engine/text.js";
import { Tokenizer } from "../../asr/web/engine/tokenizer.js";
import { measureTonality } from "../../asr/web/engine/tonality.js";
import { warmUp } from "../../asr/web/engine/warm-up.js";

const RUNTIME = new URL("../../asr/web/vendor/ort-wasm-simd-threaded.wasm.gz", import.meta.url);
const LOADER = new URL("../../asr/web/vendor/ort.wasm.bundle.min.js.gz", import.meta.url);

const readFloats = (path) => new Float32Array(new Uint8Array(readFileSync(path)).buffer);
const readPosteriors = ({ logProbs, phoneLogProbs, numFrames }) => ({
  logProbs: readFloats(logProbs),
  phoneLogProbs: phoneLogProbs ? readFloats(phoneLogProbs) : null,
  numFrames,
});

const FUNCTIONS = {
  normalize: ({ texts }) => texts.map(normalizeText),

  differences: ({ pairs }) => pairs.map(([one, other]) => differences(one, other)),

  mfcc({ config, waveform }) {
    const { data, numFrames, size } = new FrontEnd(config).compute(readFloats(waveform));
    return { features: Array.from(data), numFrames, size };
  },

  powers: ({ frame }) => Array.from(new PowerSpectrum(frame.length).compute(frame)),

  silence({ waveform, config }) {
    const sound = leaveOutSilence(readFloats(waveform), config);
    const { n_fft: size, hop_length: hop } = config.features;
    const numFrames = Math.ceil((Math.floor((sound.waveform.length - size) / hop) + 1) / config.subsampling);
    const blanks = insertBlanks(new Float32Array(numFrames * 2).fill(-1), 2, sound.leftOut);
    return { ...sound, waveform: Array.from(sound.waveform), logProbs: Array.from(blanks) };
  },

  tonality: ({ waveform, sampleRate }) => measureTonality(readFloats(waveform), sampleRate),

  splitRecording({ waveform, sampleRate }) {
    const chunks = splitRecording(readFloats(waveform), sampleRate);
    return chunks.map((chunk) => [chunk.start, chunk.waveform.length, chunk.overlap]);
  },

  resample({ waveform, from, to, blocks }) {
    const samples = readFloats(waveform);
    const resampler = new Resampler(from, to);
    const parts = split(samples, blocks).map((part) => resampler.accept(part));
    return [...parts, resampler.finish()].flatMap((part) => Array.from(part));
  },

  join: ({ left, right, overlap }) => joinSegments(left, right, overlap),

  place({ posteriors, tokens, characters, frameShift, config, duration }) {
    const { logProbs, numFrames } = readPosteriors(posteriors);
    const spans = align(logProbs, numFrames, tokens);
    const words = placeWords(spans, new Tokenizer(characters), frameShift, config.timing, duration);
    const certainties = words.length
      ? ["beam", "greedy"].map((decoder) => measureCertainty(logProbs, numFrames, words, decoder))
      : [];
    const calibrated = words.map((word) => ({ ...word, confidence: calibrate(word.confidence, config.confidence) }));
    return { spans, words: calibrated, certainties };
  },

  async decode({ posteriors, characters, config, lm, internalLM, pronunciations, hotWords }) {
    const tokenizer = new Tokenizer(characters);
    const models = {
      lm: lm ? readLanguageModel(new Uint8Array(readFileSync(lm)), tokenizer) : null,
      logBigrams: internalLM
        ? toFloats(readTensors(new Uint8Array(readFileSync(internalLM))).tensors.get("log_bigrams"))
        : null,
      pronunciations: pronunciations ? JSON.parse(readFileSync(pronunciations)) : null,
      recurrentLM: null,
    };
    const decoder = new Decoder(config, tokenizer, models, hotWords);
    return Promise.all(posteriors.map((each) => decoder.decode(readPosteriors(each))));
  },

  streamFeatures({ config, prior, waveform, pieces }) {
    const stream = new FeatureStream(new FrontEnd(config), prior);
    for (const piece of split(readFloats(waveform), pieces)) stream.accept(piece);
    return { features: Array.from(stream.normalized(0, stream.numFrames)), numFrames: stream.numFrames };
  },

  async findEndpoints({ pause, longest, blocks }) {
    const endpointer = new Endpointer(pause, longest, async ({ begin }) => begin % 2 === 0);
    const found = [];
    for (const block of blocks) {
      found.push([await endpointer.lookAhead(block), await endpointer.find(block), endpointer.hasSpeech]);
    }
    return found;
  },

  async openTogether({ folder, graphs }) {
    const ort = await importRuntime();
    const load = (name) => new Uint8Array(gunzipSync(readFileSync(`${folder}/model/${name}.gz`)));
    const weights = load("weights.safetensors");
    const opening = graphs.map((name) =>
      /model|streaming/.test(name) ? openFolded(ort, load(name), weights) : openSession(ort, load(name)));
    return (await Promise.all(opening)).map((session) => session.outputNames[0]);
  },

  async transcribe({ folder, waveforms, inspected }) {
    const recognizer = await openExport(folder);
    let numRounds = -1;
    await warmUp(recognizer, () => ++numRounds < 2);
    const transcripts = [];
    for (const path of waveforms) transcripts.push(await recognizer.transcribe(readFloats(path)));
    return { numRounds, transcripts, inspection: await recognizer.inspect(readFloats(inspected)) };
  },

  async stream({ folder, waveform, pieces, chunk, context, hotWords }) {
    const recognizer = await openExport(folder);
    const samples = readFloats(waveform);
    const stream = await recognizer.openStream({ sampleRate: recognizer.sampleRate, hotWords });
    const results = [];
    for (const piece of split(samples, pieces)) results.push(...(await stream.accept(piece)));
    results.push(...(await stream.finish()));
    const scorer = new StreamScorer(await recognizer.steps, recognizer.network.frontEnd);
    scorer.accept(samples);
    const steps = [];
    while (scorer.numWaiting >= chunk + context)
      steps.push(Array.from((await scorer.advance(chunk, context)).logProbs));
    return { results, steps, preview: Array.from((await scorer.preview()).logProbs) };
  },
};

/** Cut samples into pieces of about the same length. */
function split(samples, pieces) {
  const size = Math.ceil(samples.length / pieces);
  return Array.from({ length: pieces }, (_, i) => samples.slice(i * size, (i + 1) * size));
}

async function openExport(folder) {
  const { model } = JSON.parse(readFileSync(`${folder}/files.json`));
  const load = async (name) => new Uint8Array(gunzipSync(readFileSync(`${folder}/model/${name}.gz`)));
  return Recognizer.open(await importRuntime(), model, load);
}

async function importRuntime() {
  const source = gunzipSync(readFileSync(LOADER)).toString("base64");
  const ort = await import(`data:text/javascript;base64,${source}`);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = gunzipSync(readFileSync(RUNTIME));
  return ort;
}

const request = JSON.parse(readFileSync(0));
const result = await FUNCTIONS[request.function](request);
process.stdout.write(JSON.stringify(result));
