// A visit to the page: files, a folder, the microphone, corrections, downloads, errors, a look inside, the keyboard.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openPage, startBrowser, TIME_LIMIT, useScheme } from "./browser.mjs";
import { startServer } from "./server.mjs";

const SAMPLES = resolve("data/samples");
const KEY = "a-key-for-tests";
const DEVICES = {
  desktop: { width: 1280, height: 900, isPhone: false, options: [] },
  phone: { width: 360, height: 740, isPhone: true, options: ["--api-key", KEY] },
};
const FORMATS = ["srt", "vtt", "txt", "json", "jsonl", "tsv", "ctm", "textgrid"];

const pictures = resolve(process.argv[2]);
const folder = mkdtempSync(join(tmpdir(), "page-"));

/** Lay out a folder with two recordings and a text, and a recording with silence around it for the microphone. */
function makeFiles() {
  mkdirSync(join(folder, "talks", "more"), { recursive: true });
  mkdirSync(join(folder, "downloads"));
  cpSync(join(SAMPLES, "kitchen.flac"), join(folder, "talks", "kitchen.flac"));
  cpSync(join(SAMPLES, "train.flac"), join(folder, "talks", "more", "train.flac"));
  writeFileSync(join(folder, "talks", "notes.txt"), "no recording\n");
  writeFileSync(join(folder, "broken.wav"), "no recording either\n");
  const script =
    "import sys, numpy; from pathlib import Path; from asr.audio import load_audio, save_audio; " +
    "speech = load_audio(sys.argv[1], 48000); silence = numpy.zeros(48000, 'float32'); " +
    "save_audio(Path(sys.argv[2]), numpy.concatenate([silence, speech, silence]), 48000)";
  execFileSync(process.env.PYTHON, ["-c", script, join(SAMPLES, "weather.flac"), join(folder, "microphone.wav")]);
}

class Visit {
  constructor(name, page, device) {
    Object.assign(this, { name, page, device, number: 0 });
  }

  /** Take a picture in light and one in dark, and check that nothing is wider than the screen. */
  async take(title) {
    this.number++;
    for (const value of ["light", "dark"]) {
      await useScheme(this.page, value);
      await sleep(150); // for pictures that are drawn again
      // Words outside of the window are laid out a frame later.
      await this.wait(() =>
        [...document.querySelectorAll("#words .line")].every(
          (line) => !line.checkVisibility() || line.checkVisibility({ contentVisibilityAuto: true }),
        ),
      );
      const path = join(pictures, `${this.name}-${this.number}-${title}-${value}.png`);
      await this.page.screenshot({ path, fullPage: true });
    }
    const found = await this.page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(found <= this.device.width, `${title}: ${found} pixels wide on a ${this.name}`);
  }

  text(selector) {
    return this.page.$eval(selector, (element) => element.textContent.trim().replace(/\s+/g, " "));
  }

  wait(condition, ...values) {
    return this.page.waitForFunction(condition, {}, ...values);
  }

  /** Wait until a recording of the list, or the only one, has a state, and show it. */
  async open(name) {
    await this.wait((wanted) => {
      const entries = [...document.querySelectorAll("#recordings button")];
      const entry = entries.find((each) => each.querySelector(".name").textContent === wanted);
      return entry && /done|failed/.test(entry.className) && (entry.click(), true);
    }, name);
    await this.wait((wanted) => document.querySelector("#title").textContent === wanted, name);
  }

  async press(...keys) {
    for (const key of keys) await this.page.keyboard.press(key);
  }

  /** Put a file where a button opens a choice of files. */
  async choose(button, ...paths) {
    const [chooser] = await Promise.all([this.page.waitForFileChooser(), this.page.click(button)]);
    await chooser.accept(paths);
  }
}

async function giveKey(visit) {
  await visit.wait(() => document.querySelector("#key-dialog").open);
  await visit.take("key");
  await visit.page.type("#key", KEY);
  await visit.press("Enter");
}

async function uploadFiles(visit) {
  await visit.take("empty");
  await visit.choose("#choose-files", join(SAMPLES, "weather.flac"), join(folder, "broken.wav"));
  if (visit.device.isPhone) await giveKey(visit);
  await visit.open("broken.wav");
  assert.match(await visit.text("#state-text"), /^broken\.wav: not audio/);
  assert.equal(await visit.page.$eval("#retry", (button) => button.checkVisibility()), true);
  await visit.take("error");
  await visit.open("weather.flac");
  assert.match(await visit.text("#words"), /the sky was clear again in the morning/);
  assert.match(await visit.text("#facts"), /^0:04\.0 · 13 words · mean confidence \d+ %$/);
  await visit.take("words");
}

async function dropFolder(visit) {
  const client = await visit.page.createCDPSession();
  const data = { items: [], files: [join(folder, "talks")], dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"]) {
    await client.send("Input.dispatchDragEvent", { type, x: 100, y: 150, data });
  }
  await visit.open("talks/more/train.flac");
  assert.match(await visit.text("#words"), /next train to the city/);
  assert.equal(await visit.text("#notice p"), "1 other file in the folder passed over.");
  await visit.page.click("#notice button");
}

async function playWords(visit) {
  await visit.open("weather.flac");
  await visit.page.click("#words .word:nth-of-type(5)");
  await visit.wait(() => !document.querySelector("#audio").paused);
  await visit.wait(() => document.querySelector("#words .word.now"));
  await visit.wait(() => document.querySelector("#audio").played.length > 0);
  const start = await visit.page.$eval("#audio", (audio) => audio.played.start(0));
  assert.ok(Math.abs(start - 1.32) < 0.1, `played from ${start} s on`);
  await visit.page.click("#play");
  await visit.wait(() => document.querySelector("#audio").paused);
}

async function correctWords(visit) {
  const { page } = visit;
  const before = await visit.text("#words");
  if (visit.device.isPhone) {
    await page.tap("#correct");
    await page.tap("#words .word");
  } else {
    await page.click("#words .word", { count: 2 });
  }
  await page.waitForSelector(".word-input");
  await page.keyboard.type("Then it");
  await visit.press("Tab");
  await page.keyboard.type("snowed");
  await visit.press("Enter");
  assert.match(await visit.text("#words"), /Then it snowed/);
  assert.match(await visit.text("#facts"), /14 words .* 3 corrected$/);
  await visit.press("F2");
  await page.keyboard.type("forgotten");
  await visit.press("Escape");
  assert.match(await visit.text("#words"), /Then it snowed/);
  await visit.take("corrected");
  await downloadAll(visit);
  await page.click("#undo");
  await page.click("#undo");
  assert.equal(await visit.text("#words"), before);
  if (visit.device.isPhone) await page.tap("#correct");
}

async function downloadAll(visit) {
  for (const format of FORMATS) {
    await visit.page.click(`#formats [data-format="${format}"]`);
    assert.match(await readDownload(`weather.${format}`), /snowed/, format);
  }
}

/** Return the content of a download: Chromium makes an empty file of its name, and puts the whole one there later. */
async function readDownload(name) {
  const path = join(folder, "downloads", name);
  for (const start = Date.now(); Date.now() - start < TIME_LIMIT; await sleep(50)) {
    const content = existsSync(path) ? readFileSync(path, "utf-8") : "";
    if (content) {
      rmSync(path);
      return content;
    }
  }
  throw new Error(`${name} was not downloaded within ${TIME_LIMIT / 1000} s`);
}

async function favourHotWords(visit) {
  await visit.page.type("#hot-words", "rained all night");
  await visit.page.click("#again");
  await visit.wait(() => document.querySelector("#words").textContent.includes("rained all night"));
  await visit.page.$eval("#hot-words", (input) => (input.value = ""));
}

async function speak(visit) {
  await visit.page.click("#microphone");
  await visit.wait(() => /\w{3}/.test(document.querySelector("#live-text").textContent.replace("Listening…", "")));
  assert.equal(await visit.text("#microphone-label"), "Stop");
  await visit.take("live");
  await visit.wait(() => /morning/.test(document.querySelector("#live-text").textContent));
  await visit.page.click(visit.device.isPhone ? "#stop" : "#microphone");
  await visit.wait(() => document.querySelector("#result").checkVisibility());
  assert.match(await visit.text("#words"), /the morning/);
  assert.match(await visit.text("#title"), /^Spoken at /);
  await visit.take("spoken");
}

async function unplugMicrophone(visit) {
  await visit.page.evaluate(() => {
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (...constraints) => (window.microphone = await open(...constraints));
  });
  await visit.page.click("#microphone");
  await visit.wait(() => document.querySelector("#microphone-label").textContent === "Stop" && window.microphone);
  await visit.page.evaluate(() => window.microphone.getAudioTracks()[0].dispatchEvent(new Event("ended")));
  await visit.wait(() => document.querySelector("#notice p").textContent.startsWith("The microphone was disconnected"));
  await visit.wait(() => document.querySelector("#result").checkVisibility());
  assert.equal(await visit.text("#microphone-label"), "Speak");
}

async function lookInside(visit) {
  await visit.page.focus("#tab-words");
  await visit.press("ArrowRight");
  await visit.page.waitForSelector("#view-inside .alternatives li");
  assert.match(await visit.text("#view-inside .alternatives li"), /morning/);
  const colors = await visit.page.$$eval("#view-inside .film canvas:first-child", (canvases) =>
    canvases.map((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return new Set(new Uint32Array(data.buffer)).size;
    }),
  );
  assert.equal(colors.length, 2);
  assert.ok(colors.every((number) => number > 20), `${colors} colours in the pictures`);
  const numSilent = await visit.page.$$eval("#view-inside .film .silence", (marks) => marks.length);
  assert.ok(numSilent >= 2, `${numSilent} marks of the silence before what was spoken, in two pictures`);
  await visit.page.focus("#seek");
  await visit.press("PageUp", "PageUp", "PageUp");
  assert.doesNotMatch(await visit.text("#view-inside .frame h4"), /^Frame 1 of/);
  await visit.take("inside");
  await visit.page.click("#tab-words");
}

async function useKeyboard(visit) {
  await visit.open("weather.flac");
  await visit.page.evaluate(() => document.activeElement.blur());
  await visit.page.focus(".skip");
  const reached = [];
  for (let presses = 0; presses < 40 && reached.at(-1) !== "textgrid"; presses++) {
    await visit.press("Tab");
    reached.push(
      await visit.page.evaluate(() => {
        const { id, className, dataset } = document.activeElement;
        return id || dataset.format || className.split(" ")[0];
      }),
    );
  }
  const order = [
    "choose-files",
    "choose-folder",
    "microphone",
    "hot-words",
    "play",
    "seek",
    "tab-words",
    "correct",
    "word",
  ];
  assert.deepEqual(order.filter((name) => reached.includes(name)), order);
  assert.deepEqual([...reached].filter((name) => order.includes(name)), order);
  assert.equal(reached.at(-1), "textgrid");
  await visit.page.focus('#words .word[tabindex="0"]');
  const word = async (...keys) => {
    await visit.press(...keys);
    return visit.page.evaluate(() => Number(document.activeElement.dataset.index));
  };
  assert.equal(await word("End", "Home", "ArrowRight"), 1);
  const below = await word("ArrowDown"); // the same word where there is no line below
  const above = await word("ArrowUp");
  assert.ok(1 <= below && above <= below, `${below}, ${above}`);
  await visit.press("Enter");
  await visit.wait(() => !document.querySelector("#audio").paused);
  await visit.press("Space");
  await visit.wait(() => document.querySelector("#audio").paused);
}

/** Check that a screen reader has a name for everything that can be used. */
async function checkNames(visit) {
  const nameless = [];
  const visitNode = (node) => {
    if (["button", "textbox", "slider", "tab", "link"].includes(node.role) && !node.name) nameless.push(node);
    for (const child of node.children ?? []) visitNode(child);
  };
  visitNode(await visit.page.accessibility.snapshot());
  assert.deepEqual(nameless, []);
}

async function loseServer(visit, server) {
  await server.stop();
  await visit.choose("#choose-files", join(SAMPLES, "kitchen.flac"));
  await visit.open("kitchen.flac");
  assert.match(await visit.text("#state-text"), /^The server cannot be reached/);
  await visit.page.click("#microphone");
  await visit.wait(() => document.querySelector("#notice p").textContent.startsWith("The server cannot be reached"));
  await visit.take("no-server");
}

async function run(browser, name) {
  const device = { ...DEVICES[name], downloads: join(folder, "downloads") };
  const server = await startServer(...device.options);
  const { page, problems } = await openPage(browser, server.address, device);
  const visit = new Visit(name, page, device);
  const steps = {
    uploadFiles,
    dropFolder,
    playWords,
    correctWords,
    favourHotWords,
    unplugMicrophone,
    speak,
    lookInside,
    useKeyboard,
    checkNames,
  };
  for (const [title, step] of Object.entries({ ...steps, loseServer })) {
    await step(visit, server).catch(async (error) => {
      await page.screenshot({ path: join(pictures, `${name}-failed.png`) }).catch(() => {}); // the page may be gone
      throw new Error(`${name}, ${title}: ${error.message}`, { cause: error });
    });
    console.log(`${name}: ${title}`);
  }
  assert.deepEqual(problems.filter((problem) => !/WebSocket connection/.test(problem)), []); // of the lost server
  await page.close();
}

mkdirSync(pictures, { recursive: true });
makeFiles();
const browser = await startBrowser(join(folder, "microphone.wav"));
try {
  for (const name of Object.keys(DEVICES)) await run(browser, name);
} finally {
  await browser.close();
  rmSync(folder, { recursive: true });
}
