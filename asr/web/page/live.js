// Speaking: the microphone to the backend, and the words that come back while one speaks.

import { clock, color, find, make, onAppearance, prepareCanvas } from "./dom.js";
import { findPeaks, PEAKS_PER_SECOND } from "./peaks.js";
import { openMicrophone } from "./recorder.js";
import { joinWords } from "./transcript.js";
import { encodeWav, toInt16 } from "./wav.js";

const BAR = 3; // px, with the gap after it
const MIN_LEVEL = 0.05; // full height of the picture at least, so that silence looks like silence

/**
 * Start to record and to transcribe.
 *
 * `onChange()` is called where something new is to be shown, `onProblem(message)` where the words stop coming; the
 * recording goes on all the same. `onLost()` is called where the microphone is gone, and nothing more comes. Returns
 * {segments, committed, tail, peaks, seconds(), stop(), abandon()}; `stop` resolves to {blob, transcript}, whose
 * transcript is `null` where the words are not complete, as after `abandon`.
 */
export async function startSession(backend, { hotWords, onChange, onProblem, onLost }) {
  const microphone = await openMicrophone();
  const blocks = [];
  const session = { segments: [], committed: "", tail: "", peaks: [], seconds, stop, abandon };
  let numSamples = 0;
  let isComplete = true;
  let stream = null;

  function seconds() {
    return numSamples / microphone.sampleRate;
  }

  const fail = (message) => {
    isComplete = false;
    onProblem(message);
  };

  try {
    stream = await backend.openStream({
      sampleRate: microphone.sampleRate,
      hotWords,
      onPartial({ committed, tail }) {
        Object.assign(session, { committed, tail });
        onChange();
      },
      onFinal({ start, end, words }) {
        session.segments.push({ start, end, words });
        Object.assign(session, { committed: "", tail: "" });
        onChange();
      },
      onError: (message) => stream && fail(message), // before that, it is thrown
    });
  } catch (error) {
    if (!error.canRecord) {
      await microphone.stop();
      throw error;
    }
    fail(error.message);
  }

  microphone.start((block) => {
    stream?.send(block);
    numSamples += block.length;
    blocks.push(toInt16(block));
    session.peaks.push(...findPeaks(block, microphone.sampleRate));
    onChange();
  }, onLost);

  async function stop() {
    await microphone.stop();
    if (isComplete) await stream.finish();
    const blob = encodeWav(blocks, microphone.sampleRate);
    const segments = session.segments;
    return { blob, transcript: isComplete ? { duration: seconds(), explanation: "", segments } : null };
  }

  function abandon() {
    isComplete = false;
    stream?.abort();
  }

  return session;
}

/** Show a session: the level of the last seconds, what is certain, and in grey what may still change. */
export function createLiveView() {
  const canvas = find("#level");
  const text = find("#live-text");
  let session = null;

  function show(shown) {
    session = shown;
    const said = session.segments.map(({ words }) => `${joinWords(words)} `);
    text.replaceChildren(
      ...said.map((segment) => make("span", { class: "final" }, segment)),
      make("span", {}, session.committed ? `${session.committed} ` : ""),
      make("span", { class: "tail" }, session.tail),
    );
    if (!text.textContent.trim()) text.append(make("span", { class: "tail" }, "Listening…"));
    find("#microphone-hint").textContent = clock(session.seconds());
    draw();
  }

  function draw() {
    if (!session || !canvas.clientWidth) return;
    const { context, width, height } = prepareCanvas(canvas);
    const perBar = Math.round(PEAKS_PER_SECOND / 20);
    const numBars = Math.floor(width / BAR);
    const total = Math.floor(session.peaks.length / perBar);
    const recent = session.peaks.slice(-numBars * perBar);
    const loudest = recent.reduce((most, peak) => Math.max(most, peak), MIN_LEVEL);
    context.fillStyle = color("--wave-live");
    for (let bar = Math.max(0, total - numBars); bar < total; bar++) {
      const peak = Math.max(...session.peaks.slice(bar * perBar, (bar + 1) * perBar));
      const half = Math.max(1, (peak / loudest) * (height / 2 - 2));
      const x = (bar - Math.max(0, total - numBars)) * BAR;
      context.fillRect(x, height / 2 - half, BAR - 1, 2 * half);
    }
  }

  onAppearance(canvas, draw);
  return { show };
}
