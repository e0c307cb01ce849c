// The recordings of this visit, and the queue in which they are transcribed, one after the other.
//
// A recording is {id, name, file, state, fraction, transcript, history, error, peaks, inspection, abort}; its state
// is `waiting`, `working`, `done`, `failed` or `live`. `history` holds the transcripts that corrections replaced, and
// `abort` has the method `abort`, which gives up what is being done.

/** Take what is before the last point: `talks/monday.mp3` -> `talks/monday`. */
export const stem = (name) => name.replace(/(?<=[^/])\.[^./]+$/, "");

export function createRecordings(backend, { readHotWords, onChange }) {
  const all = [];
  let nextId = 1;
  let isWorking = false;

  function add(name, fields) {
    const recording = {
      id: nextId++,
      name,
      file: null,
      state: "waiting",
      fraction: 0,
      transcript: null,
      history: [],
      error: "",
      peaks: null,
      inspection: null,
      abort: null,
      ...fields,
    };
    all.push(recording);
    return recording;
  }

  function change(recording, fields) {
    Object.assign(recording, fields);
    onChange(recording);
  }

  /** Put a recording into the queue. */
  function enqueue(recording) {
    change(recording, { state: "waiting", fraction: 0, error: "", hotWords: readHotWords() });
    work();
  }

  async function work() {
    const recording = all.find(({ state }) => state === "waiting");
    if (isWorking || !recording) return;
    isWorking = true;
    recording.abort = new AbortController();
    change(recording, { state: "working" });
    try {
      const transcript = await backend.transcribe(recording.file, {
        hotWords: recording.hotWords,
        onProgress: (fraction) => change(recording, { fraction }),
        signal: recording.abort.signal,
      });
      finish(recording, transcript);
    } catch (error) {
      const isCancelled = recording.abort.signal.aborted;
      if (isCancelled && recording.transcript) change(recording, { state: "done" });
      else change(recording, { state: "failed", error: isCancelled ? "Cancelled." : error.message, isCancelled });
    }
    isWorking = false;
    work();
  }

  /** Give a recording its transcript; the one that it had can be brought back. */
  function finish(recording, transcript) {
    const history = recording.transcript ? [...recording.history, recording.transcript] : [];
    change(recording, { state: "done", transcript, history });
  }

  function cancel(recording) {
    if (recording.state === "working") recording.abort.abort();
    else if (recording.state === "waiting") {
      if (recording.transcript) change(recording, { state: "done" });
      else change(recording, { state: "failed", error: "Cancelled.", isCancelled: true });
    }
  }

  return { all, add, change, enqueue, finish, cancel };
}
