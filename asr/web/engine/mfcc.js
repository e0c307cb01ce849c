/** The front end: a waveform becomes normalised MFCCs, as `asr/acoustic/mfcc.py` computes them. */

import { PowerSpectrum } from "./fft.js";

const LOG_FLOOR = 1e-8;
export const VARIANCE_FLOOR = 1e-5;
export const DELTA_REACH = 2; // frames on each side that a slope is fitted to

/** Computes features by the settings `network.features` of `config.json`. */
export class FrontEnd {
  constructor(config) {
    this.config = config;
    this.spectrum = new PowerSpectrum(config.n_fft);
    this.window = layWindow(config);
    this.filters = layMelFilters(config, this.spectrum.numBins);
    this.dct = layDct(config);
  }

  /** Count the frames of a waveform. */
  countFrames(numSamples) {
    const { n_fft: size, hop_length: hop } = this.config;
    return Math.max(0, Math.floor((numSamples - size) / hop) + 1);
  }

  /**
   * Compute normalised features.
   * @param {Float32Array} waveform at the model's rate, full scale at 1
   * @returns {{data: Float32Array, numFrames: number, size: number}} the frames, row by row
   */
  compute(waveform) {
    const numFrames = this.countFrames(waveform.length);
    const { n_mfcc: width, delta_order: order } = this.config;
    const streams = [normalize(this.computeCoefficients(waveform, numFrames), width)];
    for (let i = 0; i < order; i++) streams.push(normalize(fitSlopes(streams.at(-1), width), width));
    const size = width * streams.length;
    const data = new Float32Array(numFrames * size);
    streams.forEach((stream, i) => {
      for (let frame = 0; frame < numFrames; frame++) {
        data.set(stream.subarray(frame * width, (frame + 1) * width), frame * size + i * width);
      }
    });
    return { data, numFrames, size };
  }

  /** Compute cepstral coefficients as they are, row by row; `last` is the sample before the first. */
  computeCoefficients(waveform, numFrames, last = 0) {
    const { n_fft: length, hop_length: hop, n_mels: numMels, n_mfcc: width, preemphasis } = this.config;
    const { window, filters, dct, spectrum } = this;
    const frame = new Float64Array(length);
    const logMels = new Float64Array(numMels);
    const features = new Float32Array(numFrames * width);
    for (let index = 0; index < numFrames; index++) {
      const start = index * hop;
      let before = start ? waveform[start - 1] : last;
      for (let i = 0; i < length; i++) {
        const sample = waveform[start + i];
        frame[i] = (sample - preemphasis * before) * window[i];
        before = sample;
      }
      const power = spectrum.compute(frame);
      for (let mel = 0; mel < numMels; mel++) {
        const { first, weights } = filters[mel];
        let sum = LOG_FLOOR;
        for (let i = 0; i < weights.length; i++) sum += power[first + i] * weights[i];
        logMels[mel] = Math.log(sum);
      }
      for (let k = 0; k < width; k++) {
        let sum = 0;
        for (let mel = 0; mel < numMels; mel++) sum += logMels[mel] * dct[k * numMels + mel];
        features[index * width + k] = sum;
      }
    }
    return features;
  }
}

/** Lay out the Hann window, padded to the size of a frame. */
function layWindow({ n_fft: size, win_length: length }) {
  const window = new Float64Array(size);
  const before = Math.floor((size - length) / 2);
  for (let i = 0; i < length; i++) window[before + i] = 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / length);
  return window;
}

/** Lay out triangles of height 1, equally spaced on the mel scale: the first bin and the weights of each. */
function layMelFilters({ sample_rate: rate, n_mels: numMels, f_min: low, f_max: high }, numBins) {
  const toMel = (frequency) => 2595 * Math.log10(1 + frequency / 700);
  const step = (toMel(high) - toMel(low)) / (numMels + 1);
  const edges = Array.from({ length: numMels + 2 }, (_, i) => 700 * (10 ** ((toMel(low) + i * step) / 2595) - 1));
  const binWidth = Math.floor(rate / 2) / (numBins - 1);
  return Array.from({ length: numMels }, (_, mel) => {
    const [left, middle, right] = edges.slice(mel, mel + 3);
    const weights = Array.from({ length: numBins }, (__, bin) =>
      Math.max(0, Math.min((bin * binWidth - left) / (middle - left), (right - bin * binWidth) / (right - middle))));
    const first = Math.max(0, weights.findIndex((weight) => weight > 0));
    const last = weights.findLastIndex((weight) => weight > 0);
    return { first, weights: Float64Array.from(weights.slice(first, last + 1)) };
  });
}

/** Lay out the orthonormal DCT-II, a row for each coefficient. */
function layDct({ n_mels: numMels, n_mfcc: width }) {
  return Float64Array.from({ length: width * numMels }, (_, i) => {
    const [k, mel] = [Math.floor(i / numMels), i % numMels];
    return Math.cos((Math.PI / numMels) * (mel + 0.5) * k) * Math.sqrt((k ? 2 : 1) / numMels);
  });
}

/** Give each feature zero mean, and all together unit variance. */
function normalize(features, width) {
  const numFrames = features.length / width;
  const means = new Float64Array(width);
  for (let i = 0; i < features.length; i++) means[i % width] += features[i] / numFrames;
  let power = 0;
  for (let i = 0; i < features.length; i++) {
    const difference = features[i] - means[i % width];
    power += (difference * difference) / features.length;
  }
  const scale = 1 / Math.sqrt(power + VARIANCE_FLOOR);
  const normalized = new Float32Array(features.length);
  for (let i = 0; i < features.length; i++) normalized[i] = (features[i] - means[i % width]) * scale;
  return normalized;
}

/** Fit a slope to five neighbouring frames; the frames outside an utterance count as its mean, zero. */
export function fitSlopes(features, width) {
  const norm = 2 * (1 + DELTA_REACH ** 2);
  const at = (i) => (i >= 0 && i < features.length ? features[i] : 0);
  return features.map((_, i) => {
    let slope = 0;
    for (let reach = 1; reach <= DELTA_REACH; reach++) slope += reach * (at(i + reach * width) - at(i - reach * width));
    return slope / norm;
  });
}
