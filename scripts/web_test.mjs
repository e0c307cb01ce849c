// The part of scripts/web_test that drives Chromium: node web_test.mjs URL PID_OF_THE_SERVER FOLDER SAMPLES

import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { loadavg } from "node:os";
import { basename, join } from "node:path";

const puppeteer = createRequire(import.meta.url)("puppeteer-core");
const [url, server, folder, samples] = process.argv.slice(2);
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const MAX_START = 10; // seconds of CPU time until it is ready, twice what a crowded machine takes
const MIN_SPEED = 10; // times real time, by CPU time; far below what an idle machine reaches
const TICKS_PER_SECOND = 100; // of /proc on Linux
const RATE = 16_000; // samples per second of what is made for the test
const BLOCK = 1600; // samples of a stream given at once, as in scripts/stream_recording.py
const WAV_HEADER = 44; // bytes
const TIME_LIMIT = 900_000; // milliseconds of one step; a machine may be busy
const failures = [];

const check = (name, isRight, found = "") => {
  console.log(`${isRight ? "ok  " : "FAIL"} ${name}${found && ` (${found})`}`);
  if (!isRight) failures.push(name);
};

const browser = await puppeteer.launch({
  executablePath: CHROMIUM,
  protocolTimeout: TIME_LIMIT,
  timeout: TIME_LIMIT,
  args: [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    `--use-file-for-fake-audio-capture=${folder}/spoken.wav%noloop`,
  ],
});

/** Return the seconds of CPU time that all processes of the browser have taken. */
function readCpuTime() {
  const ticks = new Map(); // the parent of each process, and its ticks
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /, "").split(" ").map(Number);
      ticks.set(Number(pid), { parent: fields[1], ticks: fields[11] + fields[12] }); // user and system
    } catch {
      // ended meanwhile
    }
  }
  const family = new Set([browser.process().pid]);
  for (let count = 0; count !== family.size; ) {
    count = family.size;
    for (const [pid, { parent }] of ticks) if (family.has(parent)) family.add(pid);
  }
  return [...family].reduce((sum, pid) => sum + (ticks.get(pid)?.ticks ?? 0) / TICKS_PER_SECOND, 0);
}

/** Transcribe a file in the page; `begin` is called once the page holds the file. */
async function transcribe(page, path, begin = () => {}) {
  await page.evaluate(
    (name, content) => {
      globalThis.chosen = new File([Uint8Array.from(atob(content), (character) => character.charCodeAt(0))], name);
    },
    basename(path),
    readFileSync(path).toString("base64"),
  );
  begin();
  return page.evaluate(async () => {
    const backend = await (await import("./backend-local.js")).createBackend();
    const progress = [];
    const transcript = await backend.transcribe(globalThis.chosen, {
      onProgress: (fraction) => progress.push(fraction),
    });
    return { ...transcript, progress };
  });
}

const listWords = ({ segments }) => segments.flatMap(({ words }) => words);
const readExpected = (path) =>
  JSON.parse(readFileSync(join(folder, "expected", `${basename(path).replace(/\.\w+$/, "")}.json`)));

/** Compare texts, times and confidences with those of Python. */
function compare(found, path) {
  const [words, expected] = [listWords(found), listWords(readExpected(path))];
  const isSame = found.text === readExpected(path).text;
  const distances = (key) => (isSame ? words.map((word, i) => Math.abs(word[key] - expected[i][key])) : []);
  const haveSameTimes = [...distances("start"), ...distances("end")].every((each) => each < 0.005);
  // Where two alignments of a word are about equally likely, rounding decides: with noise of 0.001 on the
  // log-probabilities of the long recording, the confidences of two of its 280 words change by 0.012 and 0.05.
  const differing = distances("confidence").filter((each) => each >= 0.005);
  const haveSameConfidence = differing.length <= words.length / 100 && differing.every((each) => each < 0.06);
  const isClose = haveSameTimes && haveSameConfidence;
  check(`${basename(path)}: same words, times and confidences`, isSame && isClose, found.text.slice(0, 60));
}

/** Look inside a recording while a longer one is transcribed, which is then cancelled; return what came in order. */
function interrupt(page) {
  return page.evaluate(async () => {
    const backend = await (await import("./backend-local.js")).createBackend();
    const abort = new AbortController();
    const order = [];
    const long = backend.transcribe(globalThis.longest, { signal: abort.signal }).then(
      () => order.push("transcribed"),
      (error) => order.push(error.name),
    );
    await backend.inspect(globalThis.chosen);
    order.push("inspected");
    abort.abort();
    await long;
    return order;
  });
}

/** Transcribe two recordings by hand; return what the page says of the first, and of the second. */
async function usePage(page, paths) {
  const [chooser] = await Promise.all([page.waitForFileChooser(), page.click("#choose-files")]);
  await chooser.accept(paths);
  await page.waitForFunction(() => /\d %/.test(document.querySelector("#recordings .working .faint")?.textContent));
  const working = await page.$eval("#state-text", (element) => element.textContent);
  await page.click("#cancel");
  const isDone = () => document.querySelectorAll("#recordings .done, #recordings .failed").length === 2;
  await page.waitForFunction(isDone);
  const cancelled = await page.$eval("#state-text", (element) => element.textContent);
  await page.evaluate(() => document.querySelector("#recordings .done").click());
  return [
    working,
    cancelled,
    await page.$$eval("#words .word", (words) => words.map((word) => word.textContent).join(" ")),
  ];
}

/** Stream a recording block by block, as fast as it is recognised; return all results. */
function stream(page, path) {
  return page.evaluate(async (rate, blockSize, samples) => {
    const backend = await (await import("./backend-local.js")).createBackend();
    const results = [];
    const stream = await backend.openStream({
      sampleRate: rate,
      hotWords: [],
      onPartial: (partial) => results.push(partial),
      onFinal: (final) => results.push(final),
      onError: (message) => results.push({ message }),
    });
    for (let at = 0; at < samples.length; at += blockSize)
      stream.send(Float32Array.from(samples.slice(at, at + blockSize)));
    await stream.finish();
    return results;
  }, RATE, BLOCK, readSamples(path));
}

/** Return the samples of a WAV file of 16 bits. */
function readSamples(path) {
  const content = readFileSync(path);
  return Array.from(
    { length: (content.length - WAV_HEADER) / 2 },
    (_, i) => content.readInt16LE(WAV_HEADER + 2 * i) / 2 ** 15,
  );
}

/** Compare every partial and final result of a stream with Python's. */
function compareStreams(found, expected) {
  const textsOf = ({ committed, tail, words }) => [committed, tail, ...words.map(({ text }) => text)].join("|");
  const isSame = found.map(textsOf).join("\n") === expected.map(textsOf).join("\n");
  const isClose = (word, other) =>
    ["start", "end", "confidence"].every((key) => Math.abs(word[key] - other[key]) < 0.005);
  const areClose =
    isSame && found.every(({ words }, i) => words.every((word, j) => isClose(word, expected[i].words[j])));
  check("a stream: the same partial and final results", areClose, `${found.length}, ${expected.length} in Python`);
}

/** Speak into the fake microphone; return the final segments, and what recognition of each as a file gives. */
function listen(page) {
  return page.evaluate(async () => {
    const backend = await (await import("./backend-local.js")).createBackend();
    const { openMicrophone } = await import("./recorder.js");
    const { encodeWav, toInt16 } = await import("./wav.js");
    const microphone = await openMicrophone();
    const [blocks, finals, errors, partials] = [[], [], [], []];
    const stream = await backend.openStream({
      sampleRate: microphone.sampleRate,
      hotWords: [],
      onPartial: (partial) => partials.push(partial),
      onFinal: (final) => finals.push(final),
      onError: (message) => errors.push(message),
    });
    microphone.start((block) => {
      blocks.push(block.slice());
      stream.send(block);
    });
    await new Promise((resolve) => setTimeout(resolve, 13000));
    await microphone.stop();
    await stream.finish();
    const recorded = new File([encodeWav(blocks.map(toInt16), microphone.sampleRate)], "spoken.wav");
    const { text } = await backend.transcribe(recorded, {});
    return { finals, errors, partials, text };
  });
}

try {
  const page = await browser.newPage();
  page.setDefaultTimeout(TIME_LIMIT);
  const requests = [];
  page.on("request", (request) => requests.push(request));
  page.on("pageerror", (error) => check(`no error in the page: ${error.message}`, false));
  const [begun, cpu] = [performance.now(), readCpuTime()];
  const tell = (what) => {
    const [wall, taken] = [(performance.now() - begun) / 1000, readCpuTime() - cpu];
    console.log(
      `     ${what} after ${taken.toFixed(1)} s of CPU time (${wall.toFixed(1)} s on this machine as busy as it is)`,
    );
    return taken;
  };
  await page.goto(url);
  await page.waitForFunction(() => /^Loading|never leave/.test(document.querySelector("#place").textContent));
  await page.evaluate(async () => (await import("./backend-local.js")).ready);
  check(`ready within ${MAX_START} s of CPU time`, tell("ready") <= MAX_START);
  check(
    "the page says when it is ready",
    /never leave/.test(await page.$eval("#place", (element) => element.textContent)),
  );
  // The first recording of a visit is a long one: the code is cold.
  let before = 0;
  const long = await transcribe(page, join(folder, "long.wav"), () => { before = readCpuTime(); });
  const speed = long.duration / (readCpuTime() - before);
  tell("first words, of a long recording,");
  compare(long, join(folder, "long.wav"));
  check("progress is told", long.progress.length > 3 && long.progress.at(-1) > 0.9);
  check(`at least ${MIN_SPEED} times real time by CPU time`, speed >= MIN_SPEED, speed.toFixed(1));
  await page.evaluate(() => { globalThis.longest = globalThis.chosen; });
  check("works without cross-origin isolation", await page.evaluate(() => !crossOriginIsolated));

  for (const name of readdirSync(samples).filter((each) => each.endsWith(".flac"))) {
    compare(await transcribe(page, join(samples, name)), join(samples, name));
  }
  check("what is short does not wait for what is long", (await interrupt(page)).join() === "inspected,AbortError");
  const said = await usePage(page, [join(folder, "long.wav"), join(samples, "train.flac")]);
  check(
    "the page tells what it does, cancels, and goes on",
    said.join() === `Recognising…,Cancelled.,${readExpected("train.flac").text}`,
    said.join(),
  );

  const isRefused = await transcribe(page, join(samples, "manifest.jsonl")).then(() => "", (error) => error.message);
  check(
    "what is no audio is refused by name",
    isRefused.includes("manifest.jsonl is not audio"),
    isRefused.split("\n")[0],
  );
  const again = await transcribe(page, join(folder, "long.wav"), () => { before = readCpuTime(); });
  const [warm, busy] = [again.duration / (readCpuTime() - before), loadavg()[0]];
  console.log(
    `     ${warm.toFixed(1)} times real time by CPU time once the code is warm (load ${busy.toFixed(1)})`,
  );
  const spokenPath = join(folder, "spoken.wav");
  const expected = JSON.parse(readFileSync(join(folder, "expected", "stream.json")));
  before = readCpuTime();
  compareStreams(await stream(page, spokenPath), expected);
  const fraction = (readCpuTime() - before) / (readSamples(spokenPath).length / RATE);
  console.log(`     the stream took ${(100 * fraction).toFixed(0)} % of a core`);
  const heard = await listen(page);
  const spoken = heard.finals.map(({ words }) => words.map(({ text }) => text).join(" "));
  check(
    "live: no error, words while speaking",
    !heard.errors.length && heard.partials.some(({ committed }) => committed),
  );
  check("live: a segment for each of two sentences", spoken.length === 2, spoken.join(" | "));

  check(
    "no request but for files of the page",
    requests.every((each) => each.method() === "GET" && /^(blob:|http:\/\/127)/.test(each.url())),
  );
  await page.evaluate(() => navigator.serviceWorker.ready);
  process.kill(Number(server));
  await page.goto("about:blank");
  await page.goto(url);
  compare(await transcribe(page, join(samples, "weather.flac")), join(samples, "weather.flac"));
  console.log("     the last one without the server");
} finally {
  await browser.close();
}
console.log(failures.length ? `${failures.length} failed` : "all passed");
process.exitCode = failures.length ? 1 : 0;
