// Runs one function of the recogniser in JavaScript for a test in Python: a request as JSON on the standard input, its
// answer on the standard output. Arrays of numbers are files of raw single precision, for JSON would take longer.

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

import { align, calibrate, measureCertainty, placeWords } from "../../asr/web/engine/alignment.js";
import { Decoder } from "../../asr/web/engine/decoder.js";
import { PowerSpectrum } from "../../asr/web/engine/fft.js";
import { joinSegments } from "../../asr/web/engine/joining.js";
import { FrontEnd } from "../../asr/web/engine/mfcc.js";
import { readNGrams } from "../../asr/web/engine/ngrams.js";
import { Recognizer } from "../../asr/web/engine/recognizer.js";
import { Resampler } from "../../asr/web/engine/resampling.js";
import { splitRecording } from "../../asr/web/engine/segmenter.js";
import { StreamingRecognizer } from "../../asr/web/engine/streaming.js";
import { insertBlanks, leaveOutSilence } from "../../asr/web/engine/silence.js";
import { readTensors, toFloats } from "../../asr/web/engine/tensors.js";
import { normalizeText } from "../../asr/web/engine/text.js";
import { Tokenizer } from "../../asr/web/engine/tokenizer.js";
import { measureTonality } from "../../asr/web/engine/tonality.js";

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

  split({ waveform, sampleRate }) {
    const chunks = splitRecording(readFloats(waveform), sampleRate);
    return chunks.map((chunk) => [chunk.start, chunk.waveform.length, chunk.overlap]);
  },

  resample({ waveform, from, to, blocks }) {
    const samples = readFloats(waveform);
    const resampler = new Resampler(from, to);
    const size = Math.ceil(samples.length / blocks);
    const parts = Array.from({ length: blocks }, (_, i) => resampler.accept(samples.slice(i * size, (i + 1) * size)));
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
    const models = {
      lm: lm ? readNGrams(new Uint8Array(readFileSync(lm))) : null,
      logBigrams: internalLM
        ? toFloats(readTensors(new Uint8Array(readFileSync(internalLM))).tensors.get("log_bigrams"))
        : null,
      pronunciations: pronunciations ? JSON.parse(readFileSync(pronunciations)) : null,
      recurrentLM: null,
    };
    const decoder = new Decoder(config, new Tokenizer(characters), models, hotWords);
    return Promise.all(posteriors.map((each) => decoder.decode(readPosteriors(each))));
  },

  async transcribe({ folder, waveforms, inspected, streamed, pieces }) {
    const ort = await importRuntime();
    const { model } = JSON.parse(readFileSync(`${folder}/files.json`));
    const load = async (name) => new Uint8Array(gunzipSync(readFileSync(`${folder}/model/${name}.gz`)));
    const recognizer = await Recognizer.open(ort, model, load);
    const transcripts = [];
    for (const path of waveforms) transcripts.push(await recognizer.transcribe(readFloats(path)));
    const samples = readFloats(streamed);
    const stream = new StreamingRecognizer(recognizer, { sampleRate: recognizer.sampleRate });
    const size = Math.ceil(samples.length / pieces);
    const results = [];
    for (let i = 0; i < pieces; i++) results.push(...(await stream.accept(samples.slice(i * size, (i + 1) * size))));
    results.push(...(await stream.finish()));
    return { transcripts, inspection: await recognizer.inspect(readFloats(inspected)), results };
  },
};

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
