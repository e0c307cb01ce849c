/** How far a waveform is made of a few pure tones (see `asr/audio/tonality.py`). */

import { PowerSpectrum } from "./fft.js";

export const TONAL = 0.9; // from here on a waveform is no speech

const FRAME_DURATION = 0.064; // seconds, to the next power of 2
const NUM_FRAMES = 40; // looked at at most, evenly spread
const NUM_TONES = 3;
const BINS_BESIDE = 3; // of a tone, on each side
const PREEMPHASIS = 0.97;
const MIN_ENERGY = 1e-3; // of the loudest frame, for a frame to count
const QUANTILE = 0.1;

/**
 * Measure which fraction of the energy of a waveform its three strongest tones hold.
 * @param {Float32Array} waveform not empty
 * @param {number} sampleRate
 * @returns {number} in [0, 1]; 0 for silence
 */
export function measureTonality(waveform, sampleRate) {
  const size = 2 ** Math.max(4, Math.round(Math.log2(FRAME_DURATION * sampleRate)));
  const room = Math.max(0, waveform.length - size);
  const numFrames = Math.min(NUM_FRAMES, 1 + Math.floor((2 * room) / size));
  const spectrum = new PowerSpectrum(size);
  const frame = new Float64Array(size);
  const window = Float64Array.from(frame, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (size - 1)));
  const found = [];
  for (let number = 0; number < numFrames; number++) {
    const start = numFrames > 1 ? Math.floor((number * room) / (numFrames - 1)) : 0;
    for (let i = 0; i < size; i++) {
      const at = start + i;
      const value = at < waveform.length ? waveform[at] - (at ? PREEMPHASIS * waveform[at - 1] : 0) : 0;
      frame[i] = value * window[i];
    }
    found.push(divideEnergy(spectrum.compute(frame)));
  }
  const loudest = Math.max(...found.map(({ energy }) => energy));
  const fractions = found
    .filter(({ energy }) => energy > MIN_ENERGY * loudest)
    .map(({ tonal, energy }) => tonal / energy);
  return fractions.length ? quantile(fractions.sort((a, b) => a - b), QUANTILE) : 0;
}

/** Measure the energy of a spectrum, and how much of it its strongest tones hold; they are removed from it. */
function divideEnergy(power) {
  const energy = sum(power);
  for (let tone = 0; tone < NUM_TONES; tone++) {
    let peak = 0;
    for (let bin = 1; bin < power.length; bin++) if (power[bin] > power[peak]) peak = bin;
    power.fill(0, Math.max(0, peak - BINS_BESIDE), peak + BINS_BESIDE + 1);
  }
  return { energy, tonal: energy - sum(power) };
}

function sum(values) {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i];
  return total;
}

/** Interpolate between sorted values. */
function quantile(sorted, fraction) {
  const position = fraction * (sorted.length - 1);
  const index = Math.floor(position);
  const next = sorted[Math.min(index + 1, sorted.length - 1)];
  return sorted[index] + (position - index) * (next - sorted[index]);
}
