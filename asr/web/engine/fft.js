/** Discrete Fourier transforms of real frames: radix 2, and Bluestein's algorithm for all other lengths. */

/** The power spectrum of frames of one length. */
export class PowerSpectrum {
  /** @param {number} size samples in a frame */
  constructor(size) {
    this.size = size;
    this.numBins = Math.floor(size / 2) + 1;
    this.isPowerOfTwo = (size & (size - 1)) === 0;
    let length = this.isPowerOfTwo ? Math.max(1, size / 2) : 1;
    while (!this.isPowerOfTwo && length < 2 * size) length *= 2;
    this.real = new Float64Array(length);
    this.imaginary = new Float64Array(length);
    this.twiddles = layTwiddles(length);
    this.power = new Float64Array(this.numBins);
    if (this.isPowerOfTwo) this.turns = layTwiddles(size);
    else this.layChirp(length);
  }

  /**
   * Transform one frame.
   * @param {ArrayLike<number>} frame
   * @returns {Float64Array} squared magnitudes of the bins up to half of the sample rate; overwritten by the next call
   */
  compute(frame) {
    const { size, real, imaginary, power, numBins } = this;
    if (this.isPowerOfTwo) {
      this.transformReal(frame);
      return power;
    }
    imaginary.fill(0);
    real.fill(0);
    for (let i = 0; i < size; i++) {
      real[i] = frame[i] * this.chirp[2 * i];
      imaginary[i] = frame[i] * this.chirp[2 * i + 1];
    }
    this.convolve();
    for (let bin = 0; bin < numBins; bin++) power[bin] = real[bin] * real[bin] + imaginary[bin] * imaginary[bin];
    return power;
  }

  /** Transform even samples as real and odd ones as imaginary parts, and take the two spectra apart again. */
  transformReal(frame) {
    const { size, real, imaginary, power, turns } = this;
    const half = size >> 1;
    if (!half) {
      power[0] = frame[0] * frame[0];
      return;
    }
    for (let i = 0; i < half; i++) {
      real[i] = frame[2 * i];
      imaginary[i] = frame[2 * i + 1];
    }
    transform(real, imaginary, this.twiddles);
    for (let bin = 0; bin <= half; bin++) {
      const one = bin === half ? 0 : bin;
      const other = bin === 0 ? 0 : half - bin;
      const evenReal = (real[one] + real[other]) / 2;
      const evenImaginary = (imaginary[one] - imaginary[other]) / 2;
      const oddReal = (imaginary[one] + imaginary[other]) / 2;
      const oddImaginary = (real[other] - real[one]) / 2;
      // exp(-2 pi i bin / size); that of the last bin is -1.
      const cosine = bin === half ? -1 : turns[2 * bin];
      const sine = bin === half ? 0 : turns[2 * bin + 1];
      const x = evenReal + oddReal * cosine - oddImaginary * sine;
      const y = evenImaginary + oddReal * sine + oddImaginary * cosine;
      power[bin] = x * x + y * y;
    }
  }

  /** Lay out exp(-i pi n^2 / N), and the transform of its conjugate. */
  layChirp(length) {
    const { size } = this;
    this.chirp = new Float64Array(2 * size);
    this.filter = [new Float64Array(length), new Float64Array(length)];
    for (let i = 0; i < size; i++) {
      const angle = (Math.PI * ((i * i) % (2 * size))) / size;
      this.chirp[2 * i] = Math.cos(angle);
      this.chirp[2 * i + 1] = -Math.sin(angle);
      for (const at of [i, (length - i) % length]) {
        this.filter[0][at] = Math.cos(angle);
        this.filter[1][at] = Math.sin(angle);
      }
    }
    transform(this.filter[0], this.filter[1], this.twiddles);
  }

  /** Convolve with the conjugate chirp. What is left out, a factor of magnitude 1, changes no power. */
  convolve() {
    const { real, imaginary, filter, twiddles } = this;
    transform(real, imaginary, twiddles);
    for (let i = 0; i < real.length; i++) {
      const product = real[i] * filter[0][i] - imaginary[i] * filter[1][i];
      imaginary[i] = -(real[i] * filter[1][i] + imaginary[i] * filter[0][i]); // conjugate, to transform back
      real[i] = product;
    }
    transform(real, imaginary, twiddles);
    for (let i = 0; i < real.length; i++) {
      real[i] /= real.length;
      imaginary[i] /= real.length;
    }
  }
}

function layTwiddles(length) {
  const twiddles = new Float64Array(length);
  for (let i = 0; i < length / 2; i++) {
    twiddles[2 * i] = Math.cos((-2 * Math.PI * i) / length);
    twiddles[2 * i + 1] = Math.sin((-2 * Math.PI * i) / length);
  }
  return twiddles;
}

/** Transform in place, Cooley and Tukey (1965). */
function transform(real, imaginary, twiddles) {
  const length = real.length;
  for (let i = 1, j = 0; i < length; i++) { // bit reversal
    let bit = length >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      const x = real[i];
      const y = imaginary[i];
      real[i] = real[j];
      imaginary[i] = imaginary[j];
      real[j] = x;
      imaginary[j] = y;
    }
  }
  const isFour = length % 4 === 0;
  if (isFour) transformFours(real, imaginary);
  for (let half = isFour ? 4 : 1; half < length; half *= 2) {
    const stride = length / half;
    for (let start = 0; start < length; start += 2 * half) {
      for (let k = 0, at = 0; k < half; k++, at += stride) {
        const even = start + k;
        const odd = even + half;
        const x = real[odd] * twiddles[at] - imaginary[odd] * twiddles[at + 1];
        const y = real[odd] * twiddles[at + 1] + imaginary[odd] * twiddles[at];
        real[odd] = real[even] - x;
        imaginary[odd] = imaginary[even] - y;
        real[even] += x;
        imaginary[even] += y;
      }
    }
  }
}

/** Transform four neighbours each, for which nothing has to be multiplied. */
function transformFours(real, imaginary) {
  for (let i = 0; i < real.length; i += 4) {
    const sumReal = real[i] + real[i + 1];
    const sumImaginary = imaginary[i] + imaginary[i + 1];
    const differenceReal = real[i] - real[i + 1];
    const differenceImaginary = imaginary[i] - imaginary[i + 1];
    const otherSumReal = real[i + 2] + real[i + 3];
    const otherSumImaginary = imaginary[i + 2] + imaginary[i + 3];
    const otherDifferenceReal = real[i + 2] - real[i + 3];
    const otherDifferenceImaginary = imaginary[i + 2] - imaginary[i + 3];
    real[i] = sumReal + otherSumReal;
    imaginary[i] = sumImaginary + otherSumImaginary;
    real[i + 1] = differenceReal + otherDifferenceImaginary; // times -i
    imaginary[i + 1] = differenceImaginary - otherDifferenceReal;
    real[i + 2] = sumReal - otherSumReal;
    imaginary[i + 2] = sumImaginary - otherSumImaginary;
    real[i + 3] = differenceReal - otherDifferenceImaginary;
    imaginary[i + 3] = differenceImaginary + otherDifferenceReal;
  }
}
