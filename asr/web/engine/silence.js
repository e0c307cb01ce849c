/** Digital silence is left out at the ends and filled inside (see `asr/acoustic/silence.py`). */

import { BLANK } from "./tokenizer.js";

const SILENT = 1e-4; // of full scale
const SILENT_TO_PEAK = 1e-3;
const SHORTEST = 0.01; // seconds
const KEPT = 0.2; // seconds, at the ends
const NOISE_TO_SPEECH = 0.008;
const IMPOSSIBLE = -30; // the logarithm of the probability of all that is no blank

/**
 * Leave out digital silence at the ends of a waveform, and fill it inside with faint noise.
 * @param {Float32Array} waveform
 * @param {object} config the `network` section of `config.json`
 * @returns {{waveform: Float32Array, before: number, after: number}} with the frames of the network left out
 */
export function leaveOutSilence(waveform, config) {
  const { sample_rate: rate, hop_length: hop, n_fft: size } = config.features;
  const isSilent = findSilence(waveform, Math.round(SHORTEST * rate));
  const first = isSilent.indexOf(0);
  const last = isSilent.lastIndexOf(0);
  if (first < 0 || !isSilent.includes(1)) return { waveform, before: 0, after: 0 };
  let energy = 0;
  for (let i = first; i <= last; i++) if (!isSilent[i]) energy += waveform[i] ** 2;
  const numLoud = isSilent.length - isSilent.reduce((sum, silent) => sum + silent, 0);
  const noise = makeNoise(waveform.length);
  const level = Math.fround(NOISE_TO_SPEECH * Math.sqrt(energy / numLoud));
  const filled = waveform.map((sample, i) => (isSilent[i] ? level * noise[i] : sample));
  const kept = Math.round(KEPT * rate);
  const samplesPerFrame = hop * config.subsampling;
  const countFrames = (samples) => Math.ceil(Math.max(0, Math.floor((samples - size) / hop) + 1) / config.subsampling);
  const before = Math.floor(Math.max(0, first - kept) / samplesPerFrame);
  const rest = filled.subarray(before * samplesPerFrame, last + 1 + kept);
  const after = countFrames(waveform.length) - before - countFrames(rest.length);
  return rest.length < size || after < 0 ? { waveform: filled, before: 0, after: 0 } : { waveform: rest, before, after };
}

/** Put frames of blank around those of the network. */
export function surroundWithBlanks(logProbs, size, { before, after }) {
  if (!before && !after) return logProbs;
  const all = new Float32Array(logProbs.length + (before + after) * size).fill(IMPOSSIBLE);
  all.set(logProbs, before * size);
  const inside = logProbs.length / size;
  for (let frame = 0; frame < before + after; frame++) {
    all[(frame < before ? frame : frame + inside) * size + BLANK] = 0;
  }
  return all;
}

/** Make white noise of unit variance, the same as in Python. */
export function makeNoise(numSamples) {
  return Float32Array.from({ length: numSamples }, (_, i) => {
    let value = i;
    for (const [shift, factor] of [[15, 0x9e3779b1], [13, 0x85ebca77], [16, 0xc2b2ae3d]]) {
      value = Math.imul(value, factor) >>> 0;
      value = (value ^ (value >>> shift)) >>> 0;
    }
    return (value / 2 ** 32 - 0.5) * Math.sqrt(12);
  });
}

/** Mark the samples of stretches of digital silence of some length. */
function findSilence(waveform, shortest) {
  const peak = waveform.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  const threshold = Math.fround(Math.min(SILENT, SILENT_TO_PEAK * peak));
  const isSilent = new Uint8Array(waveform.length);
  for (let begin = 0; begin < waveform.length; ) {
    let end = begin;
    while (end < waveform.length && Math.abs(waveform[end]) <= threshold) end++;
    if (end - begin >= shortest) isSilent.fill(1, begin, end);
    begin = end + 1;
  }
  return isSilent;
}
