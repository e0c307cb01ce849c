/** Sessions of ONNX Runtime, opened one after the other: it holds the weights of one graph while it opens it. */

import { readTensors, toFloats } from "./tensors.js";

const WEIGHTS = "weights"; // what folded graphs call the file of their weights

let last = Promise.resolve();

/**
 * Open a session for a graph in which nothing is left to optimise: code that looks for it would have to be compiled.
 * @param {object} ort ONNX Runtime
 * @param {Uint8Array} graph
 * @param {object[]} externalData the files of weights that the graph refers to
 */
export function openSession(ort, graph, externalData = []) {
  const opened = last.then(() =>
    ort.InferenceSession.create(graph, { externalData, graphOptimizationLevel: "disabled" }),
  );
  last = opened.catch(() => {});
  return opened;
}

/**
 * Open a session for a graph of `asr/acoustic/folding.py`.
 * @param {object} ort ONNX Runtime
 * @param {Uint8Array} graph
 * @param {Uint8Array} weights the file `weights.safetensors`, in half precision
 */
export function openFolded(ort, graph, weights) {
  const { buffer } = toFloats(readTensors(weights).tensors.get(WEIGHTS));
  return openSession(ort, graph, [{ path: WEIGHTS, data: new Uint8Array(buffer) }]);
}
