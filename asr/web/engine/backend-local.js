/** The browser itself as what recognises (the interface is that of `backend.js`): nothing is sent anywhere. */

const CANNOT_STREAM = "This model gives no words while you speak: they come when you stop.";

const worker = new Worker(new URL("engine/worker.js", import.meta.url), { type: "module" });
const pending = new Map(); // requests without an answer, by their id
let numRequests = 0;

worker.onmessage = ({ data }) => {
  const request = pending.get(data.id);
  if (data.event === "loaded") keepForOffline();
  else if (data.event) request?.onEvent?.(data);
  else if (request) {
    if (!request.isKept) pending.delete(data.id);
    if (data.error === undefined) request.resolve(data.result);
    else request.reject(new Error(data.error));
  }
};
worker.onerror = ({ message }) => {
  const reason = new Error(`The recogniser stopped: ${message ?? "its files cannot be loaded"}. Reload the page.`);
  for (const request of pending.values()) request.reject(reason);
};

export const ready = ask("ready").promise; // the model is loaded while people look at the page
ready.catch(() => {}); // every use reports it

export async function createBackend() {
  return { transcribe, openStream, inspect, ready };
}

async function transcribe(file, { hotWords = [], onProgress = () => {}, signal } = {}) {
  signal?.throwIfAborted();
  const samples = await readSamples(file);
  signal?.throwIfAborted();
  const onEvent = ({ fraction }) => onProgress(fraction);
  const { id, promise } = ask("transcribe", { samples, hotWords }, { transfer: [samples.buffer], onEvent });
  signal?.addEventListener("abort", () => worker.postMessage({ type: "cancel", target: id }), { once: true });
  try {
    return await promise;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

async function inspect(file) {
  const samples = await readSamples(file);
  return ask("inspect", { samples }, { transfer: [samples.buffer] }).promise;
}

async function openStream({ sampleRate, hotWords = [], onPartial, onFinal, onError }) {
  if (!(await ready).canStream) throw Object.assign(new Error(CANNOT_STREAM), { canRecord: true });
  let isOver = false;
  const onEvent = ({ result }) => {
    if (isOver) return;
    if ("committed" in result) onPartial(result);
    else onFinal(result);
  };
  const { id: stream, promise } = ask("openStream", { sampleRate, hotWords }, { onEvent, isKept: true });
  await promise;
  const fail = ({ message }) => {
    if (!isOver) onError(message);
    isOver = true;
  };
  return {
    send(samples) {
      const copy = samples.slice(); // the page goes on to use its own
      ask("accept", { stream, samples: copy }, { transfer: [copy.buffer] }).promise.catch(fail);
    },
    async finish() {
      await ask("finish", { stream }).promise.catch(fail);
      pending.delete(stream);
    },
    abort() {
      isOver = true;
      pending.delete(stream);
      ask("abort", { stream }).promise.catch(() => {});
    },
  };
}

/** Send a request to the worker. */
function ask(type, content = {}, { transfer = [], onEvent, isKept = false } = {}) {
  const id = ++numRequests;
  const promise = new Promise((resolve, reject) => pending.set(id, { resolve, reject, onEvent, isKept }));
  worker.postMessage({ id, type, ...content }, transfer);
  return { id, promise };
}

/** Decode a recording to one channel at the model's rate, with what the browser can read. */
async function readSamples(file) {
  const { sampleRate } = await ready;
  const content = await file.arrayBuffer();
  if (!content.byteLength) throw new Error(`${file.name} is empty. Choose a recording with sound.`);
  let audio;
  try {
    audio = await new OfflineAudioContext(1, 1, sampleRate).decodeAudioData(content);
  } catch {
    throw new Error(`${file.name} is not audio that this browser can read. Convert it, for example to WAV or MP3.`);
  }
  const samples = audio.getChannelData(0).slice();
  for (let channel = 1; channel < audio.numberOfChannels; channel++) {
    audio.getChannelData(channel).forEach((value, i) => { samples[i] += value; });
  }
  return audio.numberOfChannels > 1 ? samples.map((value) => value / audio.numberOfChannels) : samples;
}

/** Keep the page and the model, so that the next visit needs no network; only where the browser allows it. */
function keepForOffline() {
  navigator.serviceWorker?.register(new URL("service-worker.js", import.meta.url)).catch(() => {});
}
