/**
 * The recurrent language model on ONNX Runtime (see `asr/lm/recurrent.py` and `recurrent_network.py`).
 *
 *     words -> adaptive embedding -> LSTM -> projection -> adaptive softmax
 */

import { BEGIN, END, UNKNOWN } from "./ngrams.js";
import { dequantizeRows, readTensors, SCALES } from "./tensors.js";

const HIDDEN_WEIGHT = "lstm.weight_hh_l0";
const MAX_LOGITS = 2 ** 21; // rows of a softmax are computed in blocks of 8 MB

/** An LSTM over words. */
export class RecurrentLM {
  /**
   * @param {object} ort ONNX Runtime
   * @param {Uint8Array} bytes the file `recurrent_lm.safetensors`
   * @param {{affine: object, step: object, log_softmax: object}} sessions of its graphs
   */
  constructor(ort, bytes, sessions) {
    const { tensors, metadata } = readTensors(bytes);
    const config = JSON.parse(metadata.config);
    const words = new TextDecoder().decode(tensors.get("words").data).split("\n");
    const ends = config.class_sizes.map((_, i, sizes) => sizes.slice(0, i + 1).reduce((sum, size) => sum + size));
    const within = ends.filter((end) => end < words.length);
    Object.assign(this, { ort, tensors, sessions, hiddenSize: config.hidden_size, expanded: new Map() });
    const hiddenWeight = tensors.get(HIDDEN_WEIGHT); // stays in 8 bits
    this.hiddenWeight = new ort.Tensor("int8", transpose(hiddenWeight), hiddenWeight.shape.toReversed());
    this.ids = new Map(words.map((word, id) => [word, id]));
    this.boundaries = [0, ...(within.length ? within : [words.length - 1]), words.length];
  }

  /**
   * Score whole sentences; what several begin with is computed once.
   * @param {string[][]} sentences
   * @returns {Promise<number[]>} natural log-probabilities, the ends of the sentences included
   */
  async score(sentences) {
    const encoded = sentences.map((words) => [...words.map((word) => this.ids.get(word) ?? UNKNOWN), END]);
    const tree = buildPrefixTree(encoded);
    const size = this.hiddenSize;
    const distinct = [...new Set(tree.words)];
    const indices = new Map(distinct.map((word, index) => [word, index]));
    const gates = await this.inputGates(distinct);
    const hidden = new Float32Array(tree.words.length * size);
    const cell = new Float32Array(tree.words.length * size);
    for (const level of tree.levels) {
      if (!level.length) continue;
      const parents = level.map((prefix) => tree.parents[prefix]);
      const [nextHidden, nextCell] = await this.step(
        takeRows(gates, level.map((prefix) => indices.get(tree.words[prefix])), 4 * size),
        takeRows(hidden, parents, size),
        takeRows(cell, parents, size),
        level.length,
      );
      level.forEach((prefix, row) => {
        hidden.set(nextHidden.subarray(row * size, (row + 1) * size), prefix * size);
        cell.set(nextCell.subarray(row * size, (row + 1) * size), prefix * size);
      });
    }
    const logProbs = await this.logProbs(takeRows(hidden, tree.parents.slice(1), size), tree.words.slice(1));
    return tree.paths.map((path) => path.reduce((sum, prefix) => sum + logProbs[prefix - 1], 0));
  }

  /** Compute the part of the LSTM's gates that each word gives, a row each. */
  async inputGates(words) {
    const [first, second] = ["lstm.bias_ih_l0", "lstm.bias_hh_l0"].map((name) => this.weight(name).data);
    return this.affine(await this.embed(words), words.length, "lstm.weight_ih_l0", first.map((v, i) => v + second[i]));
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
    const outputs = await this.run("step", {
      gates: this.tensor(gates, [count, 4 * size]),
      hidden: this.tensor(hidden, [count, size]),
      cell: this.tensor(cell, [count, size]),
      hidden_weight: this.hiddenWeight,
      hidden_scales: this.tensor(this.tensors.get(HIDDEN_WEIGHT + SCALES).data, [4 * size]),
    });
    return [outputs.next_hidden.data, outputs.next_cell.data];
  }

  /** Score each word after a state: a rare one has the probability of its class times its own within the class. */
  async logProbs(hidden, words) {
    const width = this.tensors.get("projection.weight").shape[0];
    const vectors = await this.affine(hidden, words.length, "projection.weight", this.weight("projection.bias").data);
    const classes = this.splitClasses(words);
    const targets = words.slice();
    for (const [index, rows] of classes) if (index) for (const row of rows) targets[row] = this.boundaries[1] + index - 1;
    const logProbs = await this.logSoftmax(vectors, "softmax.head.weight", targets);
    for (const [index, rows] of classes) {
      if (!index) continue;
      const short = await this.affine(
        takeRows(vectors, rows, width), rows.length, `softmax.tail.${index - 1}.0.weight`,
      );
      const ofClass = rows.map((row) => words[row] - this.boundaries[index]);
      const within = await this.logSoftmax(short, `softmax.tail.${index - 1}.1.weight`, ofClass);
      rows.forEach((row, i) => { logProbs[row] += within[i]; });
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
    const outputs = await this.run("affine", {
      vectors: this.tensor(vectors, [count, vectors.length / count]),
      weight: this.weight(name),
      bias: this.tensor(bias, [bias.length]),
    });
    return outputs.outputs.data;
  }

  /** Score one word after each vector. */
  async logSoftmax(vectors, name, words) {
    const weight = this.weight(name);
    const width = weight.dims[1];
    const size = Math.max(1, Math.floor(MAX_LOGITS / weight.dims[0]));
    const logProbs = new Float64Array(words.length);
    for (let first = 0; first < words.length; first += size) {
      const block = BigInt64Array.from(words.slice(first, first + size), BigInt);
      const rows = vectors.subarray(first * width, (first + block.length) * width);
      const outputs = await this.run("log_softmax", {
        vectors: this.tensor(rows, [block.length, width]),
        weight,
        rows: new this.ort.Tensor("int64", BigInt64Array.from(block.keys(), BigInt), [block.length]),
        words: new this.ort.Tensor("int64", block, [block.length]),
      });
      logProbs.set(outputs.log_probs.data, first);
    }
    return logProbs;
  }

  /** Return a weight in single precision, expanded once. */
  weight(name) {
    if (!this.expanded.has(name)) {
      this.expanded.set(name, this.tensor(dequantizeRows(this.tensors, name), this.tensors.get(name).shape));
    }
    return this.expanded.get(name);
  }

  tensor(data, shape) {
    return new this.ort.Tensor("float32", data, shape);
  }

  run(graph, inputs) {
    return this.sessions[graph].run(inputs);
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

/** Return some rows of a matrix, one behind the other; row -1 is zeros. */
function takeRows(matrix, rows, width) {
  const taken = new Float32Array(rows.length * width);
  rows.forEach((row, i) => { if (row >= 0) taken.set(matrix.subarray(row * width, (row + 1) * width), i * width); });
  return taken;
}

/**
 * List the different prefixes of sentences, `<s>` first, then those of one word, of two and so on.
 * @returns {{words: number[], parents: number[], levels: number[][], paths: number[][]}} the last word and the parent
 *   of each prefix; the prefixes of each length that go on; those of each sentence, without `<s>`
 */
function buildPrefixTree(encoded) {
  const words = [BEGIN];
  const parents = [-1];
  const levels = [[0]];
  const paths = encoded.map(() => []);
  const known = new Map();
  const longest = Math.max(...encoded.map((sentence) => sentence.length));
  for (let depth = 0; depth < longest; depth++) {
    const level = new Set();
    encoded.forEach((sentence, i) => {
      if (depth >= sentence.length) return;
      const parent = paths[i].at(-1) ?? 0;
      const isEnd = depth === sentence.length - 1;
      const key = `${parent} ${sentence[depth]} ${isEnd}`;
      if (!known.has(key)) {
        known.set(key, words.length);
        words.push(sentence[depth]);
        parents.push(parent);
      }
      paths[i].push(known.get(key));
      if (!isEnd) level.add(known.get(key));
    });
    levels.push([...level]);
  }
  return { words, parents, levels, paths };
}
