// The server that sent this page, as a backend (see backend.js).

import { askForKey, readKey } from "./key.js";
import { toInt16 } from "./wav.js";

const UNREACHABLE = "The server cannot be reached. Check that it is running and that you are connected, then try again.";
const LOST = "The connection to the server was lost. What was recorded so far is kept.";
const MAX_TRIES = 20; // of a request that the server is too busy for

export function createBackend() {
  return { transcribe, openStream, inspect };
}

async function transcribe(file, { hotWords = [], onProgress = () => {}, signal } = {}) {
  const form = new FormData();
  form.append("model", "whisper-1"); // the one name that every server of this protocol knows
  form.append("response_format", "verbose_json");
  form.append("timestamp_granularities[]", "word");
  form.append("timestamp_granularities[]", "segment");
  for (const word of hotWords) form.append("keywords[]", word);
  form.append("file", file, file.name);
  const answer = await post("v1/audio/transcriptions", form, { onProgress, signal });
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
  const { frame_shift: frameShift, ...inspection } = await post("inspect", form);
  return { ...inspection, frameShift };
}

async function openStream({ sampleRate, hotWords = [], onPartial, onFinal, onError }) {
  const socket = new WebSocket(new URL("stream", document.baseURI.replace(/^http/, "ws")));
  socket.binaryType = "arraybuffer";
  let isOver = false;
  let close;
  const closed = new Promise((resolve) => (close = resolve));

  const opened = new Promise((resolve, reject) => {
    const fail = (message) => {
      if (isOver) return;
      isOver = true;
      reject(new Error(message)); // does nothing once the stream is open
      onError(message);
    };
    const handlers = {
      ready: resolve,
      partial: onPartial,
      final: onFinal,
      done: () => (isOver = true),
      error: ({ message }) => fail(message),
    };
    socket.onopen = () => {
      socket.send(
        JSON.stringify({ type: "start", sample_rate: sampleRate, encoding: "pcm_s16le", hot_words: hotWords }),
      );
    };
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      handlers[message.type]?.(message);
      if (isOver) socket.close();
    };
    socket.onclose = () => {
      fail(LOST);
      close();
    };
  });
  await opened;
  return {
    send(samples) {
      if (socket.readyState === WebSocket.OPEN) socket.send(toInt16(samples).buffer);
    },
    finish() {
      if (socket.readyState === WebSocket.OPEN) socket.send('{"type":"end"}');
      return closed;
    },
    abort() {
      isOver = true;
      socket.close();
    },
  };
}

/** Send a form and return the JSON of the answer; wait and try again while the server is too busy. */
async function post(path, form, options = {}) {
  for (let tries = 1; ; tries++) {
    const { status, text, retryAfter } = await send(path, form, options);
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

/** Send a form once; XMLHttpRequest, for only that tells how much has been sent. */
function send(path, form, { onProgress = () => {}, signal } = {}) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const request = new XMLHttpRequest();
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
    request.upload.onload = () => onProgress(1);
    request.onload = () => {
      const retryAfter = Number(request.getResponseHeader("retry-after")) || 1;
      resolve({ status: request.status, text: request.responseText, retryAfter });
    };
    request.onerror = () => reject(new Error(UNREACHABLE));
    request.onabort = () => reject(signal?.reason ?? new Error(UNREACHABLE));
    request.open("POST", new URL(path, document.baseURI));
    if (readKey()) request.setRequestHeader("Authorization", `Bearer ${readKey()}`);
    request.send(form);
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
