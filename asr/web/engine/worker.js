/**
 * The recogniser in a thread of its own, so that the page stays responsive.
 *
 * A request is {id, type, ...}, and its answer {id, result} or {id, error}; {id, event, ...} may come before. Once all
 * files are there for this visit and the next, {event: "loaded"} comes by itself.
 */

import * as ort from "../vendor/ort.wasm.bundle.min.js";
import { keepFiles, loadCompressed, loadManifest } from "./loading.js";
import { Recognizer } from "./recognizer.js";

const ROOT = new URL("../", import.meta.url);
const ABORTED = "cancelled";

const opened = open();
opened
  .then(({ loaded }) => loaded)
  .then(keepFiles)
  .then(() => postMessage({ event: "loaded" }))
  .catch(() => {}); // every request reports it
const aborted = new Set();
const streams = new Map();
let queue = Promise.resolve(); // requests take turns, for there is one thread

async function open() {
  const { version, model } = await loadManifest(ROOT);
  ort.env.wasm.numThreads = 1; // more would need cross-origin isolation
  ort.env.wasm.wasmBinary = await loadCompressed(ROOT, version, "vendor/ort-wasm-simd-threaded.wasm");
  return Recognizer.open(ort, model, (name) => loadCompressed(ROOT, version, `model/${name}`));
}

const HANDLERS = {
  async ready() {
    const { sampleRate, canStream } = await opened;
    return { sampleRate, canStream };
  },

  async transcribe({ id, samples, hotWords }) {
    const recognizer = await opened;
    const onProgress = async (fraction) => {
      postMessage({ id, event: "progress", fraction });
      await new Promise((resolve) => setTimeout(resolve)); // lets a message that cancels in
      if (aborted.delete(id)) throw new Error(ABORTED);
    };
    return recognizer.transcribe(samples, { hotWords, onProgress });
  },

  async inspect({ samples }) {
    return (await opened).inspect(samples);
  },

  async openStream({ id, sampleRate, hotWords }) {
    streams.set(id, await (await opened).openStream({ sampleRate, hotWords }));
  },

  async accept({ id, stream, samples }) {
    const results = await streams.get(stream)?.accept(samples);
    for (const result of results ?? []) postMessage({ id: stream, event: "result", result });
  },

  async finish({ stream }) {
    const results = await streams.get(stream)?.finish();
    streams.delete(stream);
    for (const result of results ?? []) postMessage({ id: stream, event: "result", result });
  },

  async abort({ stream }) {
    streams.delete(stream);
  },
};

onmessage = ({ data }) => {
  if (data.type === "cancel") {
    aborted.add(data.target);
    return;
  }
  queue = queue.then(async () => {
    try {
      postMessage({ id: data.id, result: await HANDLERS[data.type](data) });
    } catch (error) {
      postMessage({ id: data.id, error: error.message ?? String(error) });
    }
    aborted.delete(data.id);
  });
};
