/**
 * The recurrent language model on ONNX Runtime (see `asr/lm/recurrent.py` and `recurrent_network.py`).
 *
 *     words -> adaptive embedding -> LSTM -> projection -> adaptive softmax
 *
 * `recurrent-prefixes.js` scores sentences with it.
 */

import { FLOAT, INT8, bindWeight } from "./graphs.js";
import { END, UNKNOWN } from "./ngrams.js";
import { openSession } from "./sessions.js";
import { SCALES, dequantizeRows, readTensors, toFloats } from "./tensors.js";

const HIDDEN_WEIGHT = "lstm.weight_hh_l0";
const MAX_LOGITS = 2 ** 21; // rows of a softmax are computed in blocks of 8 MB

/** An LSTM over words. */
export class RecurrentLM {
  /**
   * @param {object} ort ONNX Runtime
   * @param {Uint8Array} bytes the file `recurrent_lm.safetensors`
   * @param {{affine: Uint8Array, step: Uint8Array, log_softmax: Uint8Array}} graphs
   */
  constructor(ort, bytes, graphs) {
    const { tensors, metadata } = readTensors(bytes);
    const config = JSON.parse(metadata.config);
    const words = new TextDecoder().decode(tensors.get("words").data).split("\n");
    const ends = config.class_sizes.map((_, i, sizes) => sizes.slice(0, i + 1).reduce((sum, size) => sum + size));
    const within = ends.filter((end) => end < words.length);
    Object.assign(this, { ort, tensors, graphs, hiddenSize: config.hidden_size, sessions: new Map() });
    const [first, second] = ["lstm.bias_ih_l0", "lstm.bias_hh_l0"].map((name) => toFloats(tensors.get(name)));
    this.gateBias = first.map((value, i) => value + second[i]);
    this.projectionBias = toFloats(tensors.get("projection.bias"));
    this.ids = new Map(words.map((word, id) => [word, id]));
    this.boundaries = [0, ...(within.length ? within : [words.length - 1]), words.length];
  }

  /** Return the ids of the words of a sentence, with its end. */
  encode(words) {
    return [...words.map((word) => this.ids.get(word) ?? UNKNOWN), END];
  }

  /** Compute the part of the LSTM's gates that each word gives, a row each. */
  async inputGates(words) {
    return this.affine(await this.embed(words), words.length, "lstm.weight_ih_l0", this.gateBias);
  }

  /** Look words up, a row each. */
  async embed(words) {
    const width = this.tensors.get("lstm.weight_ih_l0").shape[1];
    const vectors = new Float32Array(words.length * width);
    for (const [index, rows] of this.splitClasses(words)) {
      const ofClass = rows.map((row) => words[row] - this.boundaries[index]);
      const name = index ? `embedding.rare.${index - 1}.0.weight` : "embedding.frequent.weight";
      let found = dequantizeRows(this.tensors, name, ofClass);
      if (index) found = await this.affine(found, rows.length, `embedding.rare.${index - 1}.1.weight`);
      rows.forEach((row, i) => vectors.set(found.subarray(i * width, (i + 1) * width), row * width));
    }
    return vectors;
  }

  /** Take the LSTM one word further. */
  async step(gates, hidden, cell, count) {
    const size = this.hiddenSize;
    const session = await this.open("step", "hidden_weight", HIDDEN_WEIGHT);
    const outputs = await session.run({
      gates: this.tensor(gates, [count, 4 * size]),
      hidden: this.tensor(hidden, [count, size]),
      cell: this.tensor(cell, [count, size]),
      hidden_scales: this.tensor(this.tensors.get(HIDDEN_WEIGHT + SCALES).data, [4 * size]),
    });
    return [outputs.next_hidden.data, outputs.next_cell.data];
  }

  /**
   * Score words: a rare one has the probability of its class times its own within the class.
   * @param {Float32Array} hidden states of the LSTM, row by row
   * @param {number[]} rows the state before each word
   * @param {number[]} words
   */
  async logProbs(hidden, rows, words) {
    const count = hidden.length / this.hiddenSize;
    const vectors = await this.affine(hidden, count, "projection.weight", this.projectionBias);
    const width = vectors.length / count;
    const classes = this.splitClasses(words);
    const targets = words.slice();
    for (const [index, chosen] of classes) {
      if (index) for (const place of chosen) targets[place] = this.boundaries[1] + index - 1;
    }
    const logProbs = await this.logSoftmax(vectors, "softmax.head.weight", rows, targets);
    for (const [index, chosen] of classes) {
      if (!index) continue;
      const before = [...new Set(chosen.map((place) => rows[place]))];
      const short = await this.affine(
        takeRows(vectors, before, width), before.length, `softmax.tail.${index - 1}.0.weight`,
      );
      const within = await this.logSoftmax(
        short,
        `softmax.tail.${index - 1}.1.weight`,
        chosen.map((place) => before.indexOf(rows[place])),
        chosen.map((place) => words[place] - this.boundaries[index]),
      );
      chosen.forEach((place, i) => { logProbs[place] += within[i]; });
    }
    return logProbs;
  }

  /** Return each class of words that occurs, and the rows in which it does. */
  splitClasses(words) {
    const classes = new Map();
    words.forEach((word, row) => {
      const index = this.boundaries.findLastIndex((boundary, i) => i < this.boundaries.length - 1 && word >= boundary);
      classes.set(index, [...(classes.get(index) ?? []), row]);
    });
    return [...classes];
  }

  /** Multiply vectors, in rows, by a matrix and add a bias. */
  async affine(vectors, count, name, bias = new Float32Array(1)) {
    const session = await this.open("affine", "weight", name);
    const outputs = await session.run({
      vectors: this.tensor(vectors, [count, vectors.length / count]),
      bias: this.tensor(bias, [bias.length]),
    });
    return outputs.outputs.data;
  }

  /** Score words by the distributions that vectors give, one in each row. */
  async logSoftmax(vectors, name, rows, words) {
    const session = await this.open("log_softmax", "weight", name);
    const [numRows, width] = this.tensors.get(name).shape;
    const size = Math.max(1, Math.floor(MAX_LOGITS / numRows));
    const logProbs = new Float64Array(words.length);
    for (let first = 0; first * width < vectors.length; first += size) {
      const block = vectors.subarray(first * width, (first + size) * width);
      const chosen = [...rows.keys()].filter((place) => rows[place] >= first && rows[place] < first + size);
      const outputs = await session.run({
        vectors: this.tensor(block, [block.length / width, width]),
        rows: this.indices(chosen.map((place) => rows[place] - first)),
        words: this.indices(chosen.map((place) => words[place])),
      });
      chosen.forEach((place, i) => { logProbs[place] = outputs.log_probs.data[i]; });
    }
    return logProbs;
  }

  /** Return the session of a graph that holds a weight; it is expanded and opened when it is first needed. */
  open(graph, input, name) {
    if (!this.sessions.has(name)) {
      const stored = this.tensors.get(name);
      const isHidden = name === HIDDEN_WEIGHT; // it stays in 8 bits
      const { buffer, byteOffset, byteLength } = isHidden ? transpose(stored) : dequantizeRows(this.tensors, name);
      const data = new Uint8Array(buffer, byteOffset, byteLength);
      const shape = isHidden ? stored.shape.toReversed() : stored.shape;
      const weight = { type: isHidden ? INT8 : FLOAT, shape, numBytes: byteLength };
      const bound = bindWeight(this.graphs[graph], input, weight, name);
      this.sessions.set(name, openSession(this.ort, bound, [{ path: name, data }]));
    }
    return this.sessions.get(name);
  }

  tensor(data, shape) {
    return new this.ort.Tensor("float32", data, shape);
  }

  indices(numbers) {
    return new this.ort.Tensor("int64", BigInt64Array.from(numbers, BigInt), [numbers.length]);
  }
}

/** Return the columns of a matrix of bytes as rows. */
function transpose({ data, shape: [numRows, width] }) {
  const transposed = new Int8Array(data.length);
  for (let row = 0; row < numRows; row++) {
    for (let column = 0; column < width; column++) transposed[column * numRows + row] = data[row * width + column];
  }
  return transposed;
}

/** Return some rows of a matrix, one behind the other. */
function takeRows(matrix, rows, width) {
  const taken = new Float32Array(rows.length * width);
  rows.forEach((row, i) => taken.set(matrix.subarray(row * width, (row + 1) * width), i * width));
  return taken;
}
