/** Samples that come in pieces, from one rate to another: a sinc under a Kaiser window, taps for each phase. */

const ZERO_CROSSINGS = 16; // of the sinc on each side
const BETA = 8; // of the window: some 80 dB of stop band
const PASS_BAND = 0.92; // of the lower half rate

/** Resamples one stream. */
export class Resampler {
  /**
   * @param {number} from samples per second that come
   * @param {number} to samples per second wanted
   */
  constructor(from, to) {
    const divisor = greatestDivisor(from, to);
    this.up = to / divisor;
    this.down = from / divisor;
    const cutoff = Math.min(1, to / from) * PASS_BAND;
    this.reach = Math.ceil(ZERO_CROSSINGS / cutoff);
    this.taps = this.layTaps(cutoff);
    this.held = new Float32Array(this.reach); // silence before the start
    this.position = 0; // of the next output, in 1 / up of an input sample, from the first held one whose taps are there
  }

  /** Take samples, and return those that they complete. */
  accept(samples) {
    if (this.up === this.down) return samples;
    const input = new Float32Array(this.held.length + samples.length);
    input.set(this.held);
    input.set(samples, this.held.length);
    const width = 2 * this.reach + 1;
    const output = [];
    let first = Math.floor(this.position / this.up);
    while (first + width <= input.length) {
      const phase = (this.position % this.up) * width;
      let sum = 0;
      for (let i = 0; i < width; i++) sum += input[first + i] * this.taps[phase + i];
      output.push(sum);
      this.position += this.down;
      first = Math.floor(this.position / this.up);
    }
    const used = Math.min(first, input.length);
    this.held = input.slice(used);
    this.position -= used * this.up;
    return Float32Array.from(output);
  }

  /** Return the last samples, as if silence followed. */
  finish() {
    return this.up === this.down ? new Float32Array(0) : this.accept(new Float32Array(this.reach));
  }

  layTaps(cutoff) {
    const width = 2 * this.reach + 1;
    const taps = new Float32Array(this.up * width);
    for (let phase = 0; phase < this.up; phase++) {
      let sum = 0;
      for (let i = 0; i < width; i++) {
        const time = i - this.reach - phase / this.up;
        const inside = Math.max(0, 1 - (time / (this.reach + 1)) ** 2);
        taps[phase * width + i] = sinc(cutoff * time) * bessel(BETA * Math.sqrt(inside));
        sum += taps[phase * width + i];
      }
      for (let i = 0; i < width; i++) taps[phase * width + i] /= sum;
    }
    return taps;
  }
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** Return the modified Bessel function of order 0. */
function bessel(x) {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / 2 / k) ** 2;
    sum += term;
  }
  return sum;
}

function greatestDivisor(one, other) {
  return other === 0 ? one : greatestDivisor(other, one % other);
}
