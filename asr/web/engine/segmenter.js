/**
 * Long recordings to chunks that the network can take, cut in silences: `asr/segmentation/` with its default settings,
 * over samples that are all in memory. It cuts where that cuts.
 */

import { PowerSpectrum } from "./fft.js";

const FRAME_DURATION = 0.032; // seconds
const BLOCK_FRAMES = 32;
const THRESHOLD = 0.5;
const NEG_THRESHOLD = 0.35;
const MIN_SPEECH = 0.1;
const MIN_SILENCE = 0.15;
const MAX_SILENCE = 0.6;
const SPEECH_PAD = 0.3;
const MAX_SPEECH = 20;
const OVERLAP = 4;

// Of the energy detector.
const NUM_BANDS = 8;
const MIN_FREQUENCY = 100;
const MAX_FREQUENCY = 8000;
const MOMENT = 4; // frames
const BLOCKS_BEFORE = 30;
const BLOCKS_AFTER = 3;
const MIN_NOISE = 1e-5;
const TINY = 1e-30;
const EVEN_RATIO = 3;

/**
 * Cut a recording.
 * @param {Float32Array} waveform
 * @param {number} sampleRate
 * @returns {{start: number, waveform: Float32Array, overlap: number}[]} seconds from the start, samples, and seconds
 *   that repeat the end of the chunk before; none where there are many samples and no speech
 */
export function splitRecording(waveform, sampleRate) {
  if (waveform.length <= Math.round(MAX_SPEECH * sampleRate)) {
    return waveform.length ? [{ start: 0, waveform, overlap: 0 }] : [];
  }
  return new Cutter(waveform, sampleRate).cut();
}

/** Cuts a recording of more than one chunk. */
class Cutter {
  constructor(waveform, sampleRate) {
    this.waveform = waveform;
    this.frameLength = Math.round(FRAME_DURATION * sampleRate);
    this.sampleRate = sampleRate;
    const count = (duration) => roundHalfToEven((duration * sampleRate) / this.frameLength);
    this.minSpeech = count(MIN_SPEECH);
    this.minSilence = Math.max(1, count(MIN_SILENCE));
    this.maxSilence = Math.max(1, count(MAX_SILENCE));
    this.pad = count(SPEECH_PAD);
    this.maxLength = Math.floor((MAX_SPEECH * sampleRate) / this.frameLength);
    this.margin = this.minSpeech + this.minSilence + 2 * this.pad;
    this.overlap = Math.min(count(OVERLAP), Math.floor(this.maxLength / 2));
    this.blockEnds = layBlocks(waveform.length, this.frameLength); // in frames
    this.speech = this.detect();
  }

  cut() {
    const chunks = [];
    const toSeconds = (frames) => (frames * this.frameLength) / this.sampleRate;
    let start = 0;
    let given = 0; // the frames before are in a chunk already
    for (let end = 0, isOver = false; ;) {
      [end, isOver] = this.readOn(start, end, isOver);
      const held = end - start;
      const spans = this.findSpans(start, end, isOver);
      if (!spans.length && isOver) return chunks;
      const leading = spans.length ? spans[0][0] - this.pad : held - this.margin;
      if (leading > 0) {
        start += leading;
        continue;
      }
      const cut = this.chooseCut(spans, held, isOver);
      const length = cut || this.maxLength;
      const first = start * this.frameLength;
      chunks.push({
        start: toSeconds(start),
        waveform: this.waveform.slice(first, first + length * this.frameLength),
        overlap: toSeconds(Math.max(0, given - start)),
      });
      given = start + length;
      start += cut || length - this.overlap;
    }
  }

  /** Read block by block until enough frames are held, as a reader of a stream does; none follows the last block. */
  readOn(start, end, isOver) {
    while (end - start < this.maxLength + this.margin && !isOver) {
      const next = this.blockEnds.find((blockEnd) => blockEnd > end);
      if (next === undefined) isOver = true;
      else end = next;
    }
    return [Math.max(end, start), isOver];
  }

  /** List where speech starts and ends; what may go on after the last frame is kept, however short. */
  findSpans(first, last, isOver) {
    const spans = [];
    const held = last - first;
    for (let i = 0; i < held; i++) {
      if (!this.speech[first + i]) continue;
      const start = i;
      while (i < held && this.speech[first + i]) i++;
      if (spans.length && start - spans.at(-1)[1] < this.minSilence) spans.at(-1)[1] = i;
      else spans.push([start, i]);
    }
    return spans.filter(([start, end]) => end - start >= this.minSpeech || (!isOver && end === held));
  }

  /** Choose the frame to cut before, if a silence is near: a long one, if possible far from both ends. */
  chooseCut(spans, numFrames, isOver) {
    let best = 0;
    let bestScore = 0;
    const bounds = [...spans, [numFrames, numFrames]];
    for (let i = 0; i + 1 < bounds.length; i++) {
      const start = bounds[i][1];
      const end = bounds[i + 1][0];
      const isLast = isOver && end === numFrames;
      const room = isLast ? end - start : Math.floor((end - start) / 2);
      const cut = Math.min(start + Math.min(this.pad, room), this.maxLength);
      if (start > this.maxLength - (isLast ? 0 : Math.floor(this.minSilence / 2))) break;
      if (isLast || end - start >= this.maxSilence) return cut;
      const context = Math.min(start, Math.floor(this.maxLength / 2), isOver ? numFrames - end : start);
      if ((end - start) * context > bestScore) [best, bestScore] = [cut, (end - start) * context];
    }
    return best;
  }

  /** Call each frame speech or not; between the two thresholds it is what the frame before is. */
  detect() {
    let isSpeech = 0;
    return Uint8Array.from(this.probabilities(), (probability) => {
      if (probability >= THRESHOLD) isSpeech = 1;
      else if (probability < NEG_THRESHOLD) isSpeech = 0;
      return isSpeech;
    });
  }

  /** Compare the power in each band of each frame with the noise in that band (see `EnergyDetector`). */
  probabilities() {
    const powers = this.bandPowers();
    const blocks = this.blockEnds.map((end, i) => [i ? this.blockEnds[i - 1] : 0, end]);
    const extremes = blocks.map(([begin, end]) => findExtremes(powers.slice(begin, end)));
    return blocks.flatMap(([begin, end], index) => {
      const last = Math.min(index + BLOCKS_AFTER, blocks.length - 1);
      const near = extremes.slice(Math.max(0, last - BLOCKS_BEFORE - BLOCKS_AFTER), last + 1);
      const loudest = Math.max(...near.map((each) => each.loudest));
      const noise = Array.from({ length: NUM_BANDS }, (_, band) =>
        Math.max(Math.min(...near.map((each) => each.quietest[band])), MIN_NOISE * loudest) + TINY);
      return powers.slice(begin, end).map((bands) => {
        const ratio = bands.reduce((sum, power, band) => sum + power / noise[band], 0) / NUM_BANDS;
        return ratio / (ratio + EVEN_RATIO);
      });
    });
  }

  /** Return the mean power of each frame in each band, equally wide on the mel scale. */
  bandPowers() {
    const { frameLength, sampleRate, waveform } = this;
    const spectrum = new PowerSpectrum(frameLength);
    const window = Array.from({ length: frameLength }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / frameLength));
    const bands = layBands(spectrum.numBins, frameLength, sampleRate);
    const frame = new Float64Array(frameLength);
    return Array.from({ length: this.blockEnds.at(-1) }, (_, index) => {
      for (let i = 0; i < frameLength; i++) frame[i] = (waveform[index * frameLength + i] ?? 0) * window[i];
      const power = spectrum.compute(frame);
      return bands.map(({ first, end }) => {
        let sum = 0;
        for (let bin = first; bin < end; bin++) sum += power[bin];
        return sum / Math.max(1, end - first);
      });
    });
  }
}

/** Return where blocks of 32 frames end; the last one holds what remains and is the only longer one. */
function layBlocks(numSamples, frameLength) {
  const size = BLOCK_FRAMES * frameLength;
  const numWhole = Math.max(0, Math.floor(numSamples / size) - 1);
  const ends = Array.from({ length: numWhole }, (_, i) => (i + 1) * BLOCK_FRAMES);
  return [...ends, Math.ceil(numSamples / frameLength)];
}

/** Return the least power of each band over four frames, and the greatest of all bands. */
function findExtremes(powers) {
  const length = Math.min(MOMENT, powers.length);
  const quietest = new Array(NUM_BANDS).fill(Infinity);
  let loudest = -Infinity;
  for (let i = 0; i + length <= powers.length; i++) {
    for (let band = 0; band < NUM_BANDS; band++) {
      let mean = 0;
      for (let j = i; j < i + length; j++) mean += powers[j][band] / length;
      quietest[band] = Math.min(quietest[band], mean);
      loudest = Math.max(loudest, mean);
    }
  }
  return { quietest, loudest };
}

/** Return the bins of each band. */
function layBands(numBins, frameLength, sampleRate) {
  const toMel = (frequency) => 2595 * Math.log10(1 + frequency / 700);
  const low = toMel(MIN_FREQUENCY);
  const high = toMel(Math.min(MAX_FREQUENCY, sampleRate / 2));
  const edges = Array.from({ length: NUM_BANDS + 1 }, (_, i) =>
    700 * (10 ** ((low + (i * (high - low)) / NUM_BANDS) / 2595) - 1));
  const firstFrom = (frequency) => {
    const bin = Array.from({ length: numBins }, (_, i) => (i * sampleRate) / frameLength).findIndex(
      (f) => f >= frequency,
    );
    return bin < 0 ? numBins : bin;
  };
  return edges.slice(0, -1).map((edge, i) => ({ first: firstFrom(edge), end: firstFrom(edges[i + 1]) }));
}

function roundHalfToEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}
