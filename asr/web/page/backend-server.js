// The server that sent this page, as a backend (see backend.js).

import { askForKey, readKey } from "./key.js";
import { toInt16 } from "./wav.js";

const UNREACHABLE =
  "The server cannot be reached. Check that it is running and that you are connected, then try again.";
const REFUSED = "The server takes no more live streams at the moment: the words come when you stop.";
const LOST = "The connection to the server was lost, so the rest of the words comes when you stop.";
const MAX_TRIES = 20; // of a request that the server is too busy for

export function createBackend() {
  return { transcribe, openStream, inspect, ready: Promise.resolve() };
}

async function transcribe(file, { hotWords = [], onProgress, signal } = {}) {
  const form = new FormData();
  form.append("model", "whisper-1"); // the one name that every server of this protocol knows
  form.append("response_format", "verbose_json");
  form.append("timestamp_granularities[]", "word");
  form.append("timestamp_granularities[]", "segment");
  for (const word of hotWords) form.append("keywords[]", word);
  form.append("file", file, file.name);
  const answer = await request("POST", "v1/audio/transcriptions", { form, onProgress, signal });
  return {
    text: answer.text,
    duration: answer.duration,
    explanation: answer.explanation ?? "",
    segments: answer.segments.map(({ start, end, words }) => ({
      start,
      end,
      words: words.map(({ word, ...rest }) => ({ text: word, ...rest })),
    })),
  };
}

async function inspect(file) {
  const form = new FormData();
  form.append("file", file, file.name);
  const { frame_shift: frameShift, ...inspection } = await request("POST", "inspect", { form });
  return { ...inspection, frameShift };
}

async function openStream(options) {
  for (;;) {
    const stream = await connect(options);
    if (stream) return stream;
    // A browser does not tell why a WebSocket was refused; a request to the same server does, and asks for a key.
    const key = readKey();
    await request("GET", "v1/models");
    if (readKey() === key) throw Object.assign(new Error(REFUSED), { canRecord: true });
  }
}

/** Open a stream; resolve to `null` if the server refuses the connection. */
async function connect({ sampleRate, hotWords = [], onPartial, onFinal, onError }) {
  const protocols = readKey() ? [`asr-api-key.${readKey()}`] : [];
  const socket = new WebSocket(new URL("stream", document.baseURI.replace(/^http/, "ws")), protocols);
  socket.binaryType = "arraybuffer";
  const send = (message) => socket.readyState === WebSocket.OPEN && socket.send(message);
  let isOver = false;

  /** End the stream with a message, once. */
  function fail(message) {
    if (!isOver) onError(message);
    isOver = true;
    socket.close();
  }

  const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
  const isReady = await new Promise((resolve, reject) => {
    const handlers = {
      ready: () => resolve(true),
      partial: onPartial,
      final: onFinal,
      done() {
        isOver = true;
        socket.close();
      },
      error({ message }) {
        reject(new Error(message)); // does nothing once the stream is ready
        fail(message);
      },
    };
    socket.onopen = () => {
      send(JSON.stringify({ type: "start", sample_rate: sampleRate, encoding: "pcm_s16le", hot_words: hotWords }));
    };
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      handlers[message.type]?.(message);
    };
    closed.then(() => resolve(false));
  });
  if (!isReady) return null;
  closed.then(() => fail(LOST));
  return {
    send: (samples) => send(toInt16(samples).buffer),
    finish() {
      send('{"type":"end"}');
      return closed;
    },
    abort() {
      isOver = true;
      socket.close();
    },
  };
}

/** Send a request and return the JSON of its answer; ask for the key, and wait while the server is too busy. */
async function request(method, path, options = {}) {
  for (let tries = 1; ; tries++) {
    const { status, text, retryAfter } = await sendOnce(method, path, options);
    if (status === 401 && (await askForKey())) continue;
    if (status === 429 && tries < MAX_TRIES) {
      await pause(retryAfter, options.signal);
      continue;
    }
    const answer = parse(text);
    if (status >= 200 && status < 300 && answer) return answer;
    throw new Error(answer?.error?.message ?? `The server answered with status ${status} and no reason.`);
  }
}

/** Send a request once; by XMLHttpRequest, for only that tells how much has been sent. */
function sendOnce(method, path, { form = null, onProgress = () => {}, signal } = {}) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const sending = new XMLHttpRequest();
    signal?.addEventListener("abort", () => sending.abort(), { once: true });
    sending.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
    sending.upload.onload = () => onProgress(1);
    sending.onload = () => {
      const retryAfter = Number(sending.getResponseHeader("retry-after")) || 1; // s
      resolve({ status: sending.status, text: sending.responseText, retryAfter });
    };
    sending.onerror = () => reject(new Error(UNREACHABLE));
    sending.onabort = () => reject(signal.reason);
    sending.open(method, new URL(path, document.baseURI));
    if (readKey()) sending.setRequestHeader("Authorization", `Bearer ${readKey()}`);
    sending.send(form);
  });
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
