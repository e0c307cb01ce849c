// The page: what comes in, the list of recordings, and the panel of the one that is shown.

import { createBackend } from "./backend.js";
import { announce, clock, count, find, make, save } from "./dom.js";
import { createInside } from "./inside.js";
import { takeFiles } from "./intake.js";
import { createLiveView, startSession } from "./live.js";
import { notify } from "./notice.js";
import { createPlayer } from "./player.js";
import { createRecordings, stem } from "./recordings.js";
import { connectTabs } from "./tabs.js";
import { correctWord, listWords, meanConfidence, textOf } from "./transcript.js";
import { createWords } from "./words.js";
import { write, WRITERS } from "./writers.js";

const FORMAT_NAMES = {
  srt: "SubRip subtitles",
  vtt: "WebVTT subtitles",
  txt: "plain text",
  json: "JSON with words and times",
  jsonl: "JSON, a segment a line",
  tsv: "table of segments",
  ctm: "words for NIST’s scoring tools",
  textgrid: "tiers for Praat",
};

const LOADING = "Loading the recogniser…"; // of megabytes, at the first visit

const PLACES = {
  server: "Recordings are sent to this server and not kept.",
  local: "Recordings never leave this device.",
};

const backend = await createBackend();
const recordings = createRecordings(backend, { readHotWords, onChange: update });
const player = createPlayer({ onTime });
const live = createLiveView();
const inside = createInside(find("#view-inside"), { onSeek: (seconds) => player.seek(seconds) });
const words = createWords({
  onPlay: (seconds) => player.seek(seconds, { play: true }),
  onToggle: player.toggle,
  onPause: player.pause,
  onCorrect: correct,
});
let selected = null;
const narrow = matchMedia("(max-width: 46rem)"); // as in devices.css
const calm = matchMedia("(prefers-reduced-motion: reduce)");
let session = null;
let shownTranscript = null;

const kind = find('meta[name="asr-backend"]').content;
let isReady = kind === "server";
find("#place").textContent = isReady ? PLACES[kind] : LOADING;
backend.ready.then(
  () => {
    isReady = true;
    find("#place").textContent = PLACES[kind];
    if (selected) showState();
  },
  (error) => {
    find("#place").textContent = "";
    notify(error.message);
  },
);

function readHotWords() {
  return find("#hot-words")
    .value.split(",")
    .map((word) => word.trim())
    .filter(Boolean);
}

// What comes in.

function accept({ recordings: found, numOthers }) {
  const added = found.map(({ file, name }) => recordings.add(name, { file }));
  if (added.length) select(added[0]);
  added.forEach(recordings.enqueue);
  if (!added.length) notify(numOthers ? "There is no recording in this folder." : "Nothing was chosen.");
  else if (numOthers) notify(`${count(numOthers, "other file")} in the folder passed over.`, { isError: false });
  else notify("");
}

takeFiles(accept);

// Speaking.

find("#microphone").addEventListener("click", () => (session ? stopSpeaking() : startSpeaking()));
find("#stop").addEventListener("click", stopSpeaking);

async function startSpeaking() {
  const button = find("#microphone");
  button.disabled = true;
  if (!isReady) find("#microphone-hint").textContent = LOADING;
  notify("");
  const name = `Spoken at ${new Date().toLocaleTimeString("en-GB")}`;
  try {
    const started = await startSession(backend, {
      hotWords: readHotWords(),
      onChange: () => session && selected === session.recording && live.show(session),
      onProblem: (message) => notify(message),
      onLost() {
        notify("The microphone was disconnected. What was said until then is kept.");
        if (session) stopSpeaking();
      },
    });
    player.pause();
    const recording = recordings.add(name, { state: "live" });
    session = Object.assign(started, { recording });
    select(recording);
    announce("Recording. Speak now.");
  } catch (error) {
    notify(error.message);
  }
  showMicrophone();
}

async function stopSpeaking() {
  const ended = session;
  const { recording } = ended;
  session = null;
  showMicrophone();
  recordings.change(recording, { state: "working", fraction: 1, abort: { abort: ended.abandon } });
  const { blob, transcript } = await ended.stop();
  recordings.change(recording, {
    file: new File([blob], `${recording.name.replaceAll(":", "-")}.wav`, { type: blob.type }),
  });
  if (transcript) recordings.finish(recording, transcript);
  else recordings.enqueue(recording); // the words are not complete, but the recording is
}

function showMicrophone() {
  const button = find("#microphone");
  button.disabled = false;
  document.body.classList.toggle("speaking", Boolean(session));
  button.setAttribute("aria-pressed", String(Boolean(session)));
  find("#microphone-label").textContent = session ? "Stop" : "Speak";
  find("#microphone-hint").textContent = session ? "0:00" : "Words appear as you talk.";
}

addEventListener("beforeunload", (event) => {
  const isPrecious = session || recordings.all.some(({ history }) => history.length);
  if (isPrecious) event.preventDefault(); // spoken or corrected words would be lost
});

// The list.

const STATES = { waiting: "waiting", working: "working", failed: "failed", live: "recording" };

function describe({ state, fraction, transcript, isCancelled }) {
  if (state === "failed" && isCancelled) return "cancelled";
  if (state === "working" && fraction > 0 && fraction < 1) return `${Math.round(100 * fraction)} %`;
  return STATES[state] ?? clock(Math.round(transcript.duration));
}

function showList() {
  find("#workspace").hidden = !recordings.all.length;
  document.body.classList.toggle("started", recordings.all.length > 0);
  find("#recordings").hidden = recordings.all.length < 2;
  find("#recordings-title").textContent = `${count(recordings.all.length, "recording")}`;
  find("#recordings ul").replaceChildren(...recordings.all.map(makeEntry));
}

function makeEntry(recording) {
  return make(
    "li",
    {},
    make(
      "button",
      {
        type: "button",
        class: recording.state,
        "aria-current": recording === selected ? "true" : null,
        data: { id: recording.id },
        onclick: () => select(recording),
      },
      make("span", { class: "name" }, recording.name),
      make("span", { class: "faint" }, describe(recording)),
    ),
  );
}

function showEntry(recording) {
  const old = find(`#recordings button[data-id="${recording.id}"]`);
  if (!old) return;
  const hadFocus = document.activeElement === old;
  const entry = makeEntry(recording);
  old.parentElement.replaceWith(entry);
  if (hadFocus) entry.firstChild.focus();
}

function select(recording) {
  selected = recording;
  shownTranscript = null;
  player.pause();
  showList();
  showPanel();
  if (narrow.matches) find("#panel").scrollIntoView({ behavior: calm.matches ? "auto" : "smooth" }); // below the rest
}

/** Show what became of a recording. */
function update(recording) {
  showEntry(recording);
  if (recording === selected) showPanel();
  if (recording.state === "failed" && !recording.isCancelled) announce(`${recording.name} failed: ${recording.error}`);
}

// The panel.

function showPanel() {
  const { name, state, transcript } = selected;
  find("#title").textContent = name;
  find("#live").hidden = state !== "live";
  find("#result").hidden = state !== "done";
  find("#facts").textContent = state === "done" ? listFacts(transcript) : "";
  showState();
  if (state === "live" && session) live.show(session);
  if (state === "done") showResult();
}

function listFacts(transcript) {
  const all = listWords(transcript);
  const numCorrected = all.filter(({ corrected }) => corrected).length;
  const confidence = meanConfidence(all);
  return [
    clock(transcript.duration, { tenths: true }),
    count(all.length, "word"),
    confidence === null ? "" : `mean confidence ${Math.round(100 * confidence)} %`,
    numCorrected ? `${numCorrected} corrected` : "",
  ]
    .filter(Boolean)
    .join(" · ");
}

function showState() {
  const { state, fraction, error } = selected;
  const isFailed = state === "failed";
  find("#state").hidden = !["waiting", "working", "failed"].includes(state);
  find("#state").classList.toggle("error", isFailed);
  const progress = find("#progress");
  progress.hidden = isFailed;
  if (fraction > 0 && fraction < 1) progress.value = fraction;
  else progress.removeAttribute("value");
  const working = kind === "server" && fraction < 1 ? "Sending…" : isReady ? "Recognising…" : LOADING;
  const texts = { waiting: "Waiting for its turn.", working, failed: error };
  const text = texts[state] ?? "";
  if (find("#state-text").textContent !== text) find("#state-text").textContent = text;
  find("#cancel").hidden = isFailed;
  find("#retry").hidden = !isFailed;
}

function showResult() {
  const { transcript, history } = selected;
  find("#undo").disabled = !history.length;
  if (shownTranscript === transcript) return;
  shownTranscript = transcript;
  player.show(selected);
  words.show(transcript);
  announce(`${selected.name}: ${count(listWords(transcript).length, "word")}.`);
  if (!find("#view-inside").hidden) lookInside();
}

function correct(index, text) {
  const { transcript, history } = selected;
  const corrected = correctWord(transcript, index, text);
  if (corrected !== transcript) {
    Object.assign(selected, { transcript: corrected, history: [...history, transcript] });
    shownTranscript = corrected;
    find("#undo").disabled = false;
    find("#facts").textContent = listFacts(corrected);
  }
  return corrected;
}

function onTime(seconds) {
  words.mark(seconds, { isPlaying: player.isPlaying() });
  inside.move(seconds);
}

find("#cancel").addEventListener("click", () => recordings.cancel(selected));
find("#retry").addEventListener("click", () => recordings.enqueue(selected));
find("#again").addEventListener("click", () => recordings.enqueue(selected));
find("#undo").addEventListener("click", () => {
  const { history } = selected;
  recordings.change(selected, { transcript: history.at(-1), history: history.slice(0, -1) });
});
find("#correct").addEventListener("click", ({ currentTarget }) => {
  const isOn = currentTarget.getAttribute("aria-pressed") !== "true";
  currentTarget.setAttribute("aria-pressed", String(isOn));
  words.setCorrecting(isOn);
});
find("#copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(textOf(selected.transcript));
    announce("The text was copied.");
  } catch {
    notify("This browser does not let the page copy; download the text instead.");
  }
});
find("#formats").append(
  ...Object.keys(WRITERS).map((format) =>
    make(
      "button",
      {
        type: "button",
        title: FORMAT_NAMES[format],
        "aria-label": `${format}: ${FORMAT_NAMES[format]}`,
        data: { format },
        onclick: () => {
          const name = stem(selected.name).split("/").at(-1);
          save(`${name.replaceAll(":", "-")}.${format}`, write(format, selected.transcript, { name }));
        },
      },
      format,
    ),
  ),
);

// The two views.

connectTabs([find("#tab-words"), find("#tab-inside")], (tab) => tab.id === "tab-inside" && lookInside());

async function lookInside() {
  const recording = selected;
  try {
    if (!recording.inspection) {
      inside.showMessage("Looking inside…");
      recording.inspection = await backend.inspect(recording.file);
    }
    if (recording === selected) inside.show(recording.inspection, player.time());
  } catch (error) {
    if (recording === selected) inside.showMessage(error.message, { isError: true });
  }
}
