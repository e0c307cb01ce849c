/** Silence is left out, and digital silence that is shorter is filled (see `asr/acoustic/silence.py`). */

import { BLANK } from "./tokenizer.js";

const FRAME = 0.02; // seconds that a level is measured over
const KEPT = 15; // frames of silence, beside sound
const LOUD_FRAMES = 10;
const SILENCE_TO_LOUD = 1e-2; // in power
const FLOOR_QUANTILE = 0.05;
const SILENCE_TO_FLOOR = 10;
const DIGITAL = 1e-4; // of full scale
const DIGITAL_TO_PEAK = 1e-3;
const SHORTEST_DIGITAL = 0.01; // seconds
const NOISE_TO_SPEECH = 0.008;
const SHIFTS = [15, 13, 16]; // of the noise
const FACTORS = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d];
const IMPOSSIBLE = -30; // the logarithm of the probability of all that is no blank

/**
 * Leave out stretches of silence, and fill digital silence that is shorter with faint noise.
 * @param {Float32Array} waveform
 * @param {object} config the `network` section of `config.json`
 * @returns {{waveform: Float32Array, leftOut: number[][]}} with the parts that were left out, in frames of the network
 */
export function leaveOutSilence(waveform, config) {
  const { sample_rate: rate, hop_length: hop, n_fft: size } = config.features;
  const isDigital = findDigitalSilence(waveform, Math.round(SHORTEST_DIGITAL * rate));
  if (!isDigital.includes(0)) return { waveform, leftOut: [] };
  const filled = fill(waveform, isDigital);
  const samplesPerFrame = hop * config.subsampling;
  const numFrames = Math.ceil(Math.max(0, Math.floor((waveform.length - size) / hop) + 1) / config.subsampling);
  const leftOut = findSilence(waveform, isDigital, rate)
    .map(([begin, end]) => [
      Math.ceil(begin / samplesPerFrame),
      Math.min(Math.floor(end / samplesPerFrame), numFrames),
    ])
    .filter(([first, last]) => first < last);
  const isKept = new Uint8Array(waveform.length).fill(1);
  for (const [first, last] of leftOut) isKept.fill(0, first * samplesPerFrame, last * samplesPerFrame);
  const rest = leftOut.length ? filled.filter((_, i) => isKept[i]) : filled;
  return rest.length < size ? { waveform: filled, leftOut: [] } : { waveform: rest, leftOut };
}

/** Insert frames of blank where the network was given nothing. */
export function insertBlanks(logProbs, size, leftOut) {
  return insertFrames(
    logProbs,
    leftOut,
    Float32Array.from({ length: size }, (_, token) => (token === BLANK ? 0 : IMPOSSIBLE)),
  );
}

/** Insert equal frames where some were left out; `leftOut` counts them in the whole. */
export function insertFrames(frames, leftOut, inserted) {
  const { length: width } = inserted;
  const numInserted = leftOut.reduce((sum, [first, last]) => sum + last - first, 0);
  if (!numInserted) return frames;
  const whole = new Float32Array(frames.length + numInserted * width);
  let done = 0; // values of `frames` that are in their place
  let frame = 0;
  for (const [first, last] of [...leftOut, [whole.length / width, 0]]) {
    const values = frames.subarray(done, done + (first - frame) * width);
    whole.set(values, frame * width);
    done += values.length;
    for (frame = first; frame < last; frame++) whole.set(inserted, frame * width);
  }
  return whole;
}

/** Make a sample of white noise of unit variance, the same as in Python. */
function makeNoise(index) {
  let value = index;
  for (let round = 0; round < SHIFTS.length; round++) {
    value = Math.imul(value, FACTORS[round]) >>> 0;
    value = (value ^ (value >>> SHIFTS[round])) >>> 0;
  }
  return Math.fround((value / 2 ** 32 - 0.5) * Math.sqrt(12));
}

/** Put faint noise where a waveform is digitally silent. */
function fill(waveform, isDigital) {
  if (!isDigital.includes(1)) return waveform;
  let energy = 0;
  let numLoud = 0;
  for (let i = 0; i < waveform.length; i++) {
    if (isDigital[i]) continue;
    energy += waveform[i] * waveform[i];
    numLoud++;
  }
  const level = Math.fround(NOISE_TO_SPEECH * Math.sqrt(energy / numLoud));
  const filled = waveform.slice();
  for (let i = 0; i < filled.length; i++) if (isDigital[i]) filled[i] = level * makeNoise(i);
  return filled;
}

/** Find the samples of stretches of silence, but for what is kept of each beside sound. */
function findSilence(waveform, isDigital, rate) {
  const size = Math.round(FRAME * rate);
  const numFrames = Math.floor(waveform.length / size);
  if (numFrames < LOUD_FRAMES) return [];
  const powers = new Float64Array(numFrames);
  const isSilent = new Uint8Array(numFrames).fill(1);
  for (let frame = 0, i = 0; frame < numFrames; frame++) {
    for (const end = i + size; i < end; i++) {
      powers[frame] += (waveform[i] * waveform[i]) / size;
      if (!isDigital[i]) isSilent[frame] = 0;
    }
  }
  const audible = powers.filter((_, i) => !isSilent[i]).sort();
  const loud = audible[Math.max(0, audible.length - LOUD_FRAMES)];
  const threshold = Math.min(
    SILENCE_TO_LOUD * loud,
    SILENCE_TO_FLOOR * audible[Math.floor(FLOOR_QUANTILE * audible.length)],
  );
  powers.forEach((power, i) => {
    if (power <= threshold) isSilent[i] = 1;
  });
  const stretches = [];
  for (const [begin, end] of findStretches(isSilent)) {
    const first = begin ? begin + KEPT : 0;
    const last = end < numFrames ? end - KEPT : numFrames;
    if (first < last) stretches.push([first * size, last * size]);
  }
  return stretches;
}

/** Mark the samples of stretches of digital silence of some length. */
function findDigitalSilence(waveform, shortest) {
  let peak = 0;
  for (let i = 0; i < waveform.length; i++) peak = Math.max(peak, Math.abs(waveform[i]));
  const threshold = Math.fround(Math.min(DIGITAL, DIGITAL_TO_PEAK * peak));
  const isSilent = new Uint8Array(waveform.length);
  let begin = 0; // of the stretch under way
  for (let i = 0; i <= waveform.length; i++) {
    if (i < waveform.length && Math.abs(waveform[i]) <= threshold) continue;
    if (i - begin >= shortest) isSilent.fill(1, begin, i);
    begin = i + 1;
  }
  return isSilent;
}

/** Find where each run of marks begins, and where it has ended. */
function findStretches(marks) {
  const stretches = [];
  for (let begin = marks.indexOf(1); begin >= 0; ) {
    const next = marks.indexOf(0, begin);
    const end = next < 0 ? marks.length : next;
    stretches.push([begin, end]);
    begin = marks.indexOf(1, end);
  }
  return stretches;
}
