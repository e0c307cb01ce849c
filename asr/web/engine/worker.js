/**
 * The recogniser in a thread of its own, so that the page stays responsive.
 *
 * A request is {id, type, ...}, and its answer {id, result} or {id, error}; {id, event, ...} may come before. Once all
 * files are there for this visit and the next, {event: "loaded"} comes by itself.
 */

// The rest comes beside the model.
import { fetchCompressed, keepFiles, loadCompressed, loadManifest } from "./loading.js";
import { warmUp } from "./warm-up.js";

const ROOT = new URL("../", import.meta.url);
const RUNTIME = "vendor/ort-wasm-simd-threaded.wasm";
const LM = "lm.safetensors";
const FIRST = [
  // of the model, what is small before what is large; the rest is wanted later
  "config.json",
  "tokenizer.json",
  "affine.onnx",
  "step.onnx",
  "log_softmax.onnx",
  "model.onnx",
  "internal_lm.safetensors",
  "weights.safetensors",
  LM,
];
const ABORTED = "cancelled";

const aborted = new Set();
const streams = new Map();
// Work takes turns, for there is one thread. What somebody waits for is done between the chunks of a long recording.
const urgent = [];
const patient = [];
let isWorking = false;
const opened = open().catch((error) => {
  const reason = error.message ?? String(error);
  throw new Error(
    `The recogniser cannot be loaded: ${reason}. Reload the page; if that does not help, export it again.`,
  );
});
prepare().catch(() => {}); // every request reports it

/** Do what can wait until there is nothing else to do. */
async function prepare() {
  const recognizer = await opened;
  await recognizer.loaded;
  await takeTurn(patient, () => warmUp(recognizer, () => !urgent.length && !patient.length)).catch(() => {});
  await takeTurn(patient, async () => {}); // after what was asked for meanwhile
  await keepFiles();
  postMessage({ event: "loaded" });
}

/** Open the recogniser; what it needs first is fetched all at once, beside the code. */
async function open() {
  const code = Promise.all([import("../vendor/ort.wasm.bundle.min.js"), import("./recognizer.js")]);
  const { version, model } = await loadManifest(ROOT);
  const fetching = new Map();
  const begin = (path, load) => fetching.set(path, load(ROOT, version, path));
  const take = (path) => {
    const content = fetching.get(path) ?? loadCompressed(ROOT, version, path);
    fetching.delete(path); // for it may be large
    return content;
  };
  begin(RUNTIME, loadCompressed);
  for (const name of FIRST.filter((each) => model.includes(each))) {
    begin(`model/${name}`, name === LM ? fetchCompressed : loadCompressed);
  }
  for (const each of [code, ...fetching.values()]) each.catch(() => {}); // reported where it is awaited
  const [ort, { Recognizer }] = await code;
  ort.env.wasm.numThreads = 1; // more would need cross-origin isolation
  ort.env.wasm.wasmBinary = await take(RUNTIME);
  const takeModel = (name) => take(`model/${name}`);
  return Recognizer.open(ort, model, takeModel, (name, tokenizer) => readLM(takeModel(name), tokenizer));
}

/** Read the language model in a thread of its own, while this one opens the network. */
async function readLM(content, { characters }) {
  const reader = new Worker(new URL("lm-worker.js", import.meta.url), { type: "module" });
  const bytes = await content;
  return new Promise((resolve, reject) => {
    reader.onmessage = ({ data: { lm, error } }) => (lm ? resolve(lm) : reject(new Error(error)));
    reader.onerror = ({ message }) => reject(new Error(message ?? "lm-worker.js is missing"));
    reader.postMessage({ bytes, characters });
  });
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
      await new Promise((resolve) => setTimeout(resolve)); // lets messages in
      if (aborted.delete(id)) throw new Error(ABORTED);
      while (urgent.length) await urgent.shift()();
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
  takeTurn(data.type === "transcribe" ? patient : urgent, async () => {
    try {
      postMessage({ id: data.id, result: await HANDLERS[data.type](data) });
    } catch (error) {
      postMessage({ id: data.id, error: error.message ?? String(error) });
    }
    aborted.delete(data.id);
  });
};

/** Do something when its turn has come. */
function takeTurn(turns, work) {
  const done = new Promise((resolve, reject) => turns.push(() => work().then(resolve, reject)));
  workThrough();
  return done;
}

async function workThrough() {
  if (isWorking) return;
  isWorking = true;
  for (let next; (next = urgent.shift() ?? patient.shift()); ) await next();
  isWorking = false;
}
