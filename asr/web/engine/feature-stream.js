/** Features of sound that is still coming in, normalised by what came so far (see `asr/acoustic/feature_stream.py`). */

import { DELTA_REACH, VARIANCE_FLOOR, fitSlopes } from "./mfcc.js";

const PRIOR_DURATION = 2; // seconds that the statistics of the training data count like

/** Computes the features of one stretch of sound, from its first sample on. */
export class FeatureStream {
  /**
   * @param {import("./mfcc.js").FrontEnd} frontEnd
   * @param {{mean: number[], variance: number[]}} prior what features are like before any sound has come
   */
  constructor(frontEnd, { mean, variance }) {
    const { sample_rate: rate, hop_length: hop, n_mfcc: width } = frontEnd.config;
    Object.assign(this, { frontEnd, width, size: mean.length, numFrames: 0 });
    this.count = Math.floor((PRIOR_DURATION * rate) / hop);
    this.sum = Float64Array.from(mean, (value) => this.count * value);
    this.meanSquare = variance.map((value, order) => // of each order of slopes, summed over frames
      this.count * (value + average(mean.slice(order * width, (order + 1) * width), (each) => each * each)));
    this.samples = new Float32Array(0); // from the start of the next frame on
    this.lastSample = 0; // before them
    this.context = null; // coefficients that the next slopes reach back to
    this.frames = new Float32Array(0); // row by row
  }

  /** Take the next samples, any number of them, at the rate of the model. */
  accept(samples) {
    this.samples = concatenate(this.samples, samples);
    const numFrames = this.frontEnd.countFrames(this.samples.length);
    if (!numFrames) return;
    const coefficients = this.frontEnd.computeCoefficients(this.samples, numFrames, this.lastSample);
    const used = numFrames * this.frontEnd.config.hop_length;
    this.lastSample = this.samples[used - 1];
    this.samples = this.samples.slice(used);
    this.add(this.stack(coefficients));
  }

  /**
   * Return frames normalised by the statistics up to now, row by row.
   * @param {number} start the first frame
   * @param {number} end the frame after the last; those that have not come are left out
   */
  normalized(start, end) {
    const { size, width, count } = this;
    const means = this.sum.map((value) => value / count);
    const scales = this.meanSquare.map((value, order) => {
      const square = average(means.subarray(order * width, (order + 1) * width), (each) => each * each);
      return 1 / Math.sqrt(Math.max(0, value / count - square) + VARIANCE_FLOOR);
    });
    const normalized = this.frames.slice(start * size, Math.min(end, this.numFrames) * size);
    for (let i = 0; i < normalized.length; i++) {
      const feature = i % size;
      normalized[i] = (normalized[i] - means[feature]) * scales[Math.floor(feature / width)];
    }
    return normalized;
  }

  /** Put the slopes beside the coefficients; the last frames wait for those that their slopes reach to. */
  stack(coefficients) {
    const { width, size } = this;
    const numOrders = size / width;
    const reach = DELTA_REACH * (numOrders - 1);
    // Before the start it was as at the start.
    this.context ??= repeat(coefficients.subarray(0, width), reach);
    const streams = [concatenate(this.context, coefficients)];
    const numFrames = Math.max(0, streams[0].length / width - 2 * reach);
    this.context = streams[0].slice(numFrames * width);
    while (streams.length < numOrders) streams.push(fitSlopes(streams.at(-1), width));
    const frames = new Float32Array(numFrames * size);
    streams.forEach((stream, order) => {
      for (let frame = 0; frame < numFrames; frame++) {
        const row = stream.subarray((reach + frame) * width, (reach + frame + 1) * width);
        frames.set(row, frame * size + order * width);
      }
    });
    return frames;
  }

  /** Keep frames, and count them in. */
  add(frames) {
    const { size, width } = this;
    this.frames = concatenate(this.frames, frames);
    this.numFrames += frames.length / size;
    this.count += frames.length / size;
    for (let i = 0; i < frames.length; i++) {
      const feature = i % size;
      this.sum[feature] += frames[i];
      this.meanSquare[Math.floor(feature / width)] += frames[i] ** 2 / width;
    }
  }
}

/** Return one array behind another. */
export function concatenate(first, second) {
  const joined = new Float32Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}

function repeat(row, times) {
  const rows = new Float32Array(times * row.length);
  for (let i = 0; i < times; i++) rows.set(row, i * row.length);
  return rows;
}

function average(values, measure) {
  return values.reduce((sum, value) => sum + measure(value), 0) / values.length;
}
