/** Sessions of ONNX Runtime, one opened after the other: it holds the weights of one graph at a time while it opens it. */

import { readTensors, toFloats } from "./tensors.js";

const WEIGHTS = "weights"; // what folded graphs call the file of their weights

let last = Promise.resolve();

/**
 * Open a session.
 * @param {object} ort ONNX Runtime
 * @param {Uint8Array} graph
 * @param {object} options those of `InferenceSession.create`
 */
export function openSession(ort, graph, options = {}) {
  const opened = last.then(() => ort.InferenceSession.create(graph, options));
  last = opened.catch(() => {});
  return opened;
}

/**
 * Open a session for a graph of `asr/acoustic/folding.py`, in which nothing is left to optimise.
 * @param {object} ort ONNX Runtime
 * @param {Uint8Array} graph
 * @param {Uint8Array} weights the file `weights.safetensors`, in half precision
 */
export function openFolded(ort, graph, weights) {
  const { buffer } = toFloats(readTensors(weights).tensors.get(WEIGHTS));
  const externalData = [{ path: WEIGHTS, data: new Uint8Array(buffer) }];
  return openSession(ort, graph, { externalData, graphOptimizationLevel: "disabled" });
}
