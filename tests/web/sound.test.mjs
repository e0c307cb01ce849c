// Samples to files and outlines, and recordings among files.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isRecording } from "../../asr/web/page/files.js";
import { findPeaks } from "../../asr/web/page/peaks.js";
import { stem } from "../../asr/web/page/recordings.js";
import { encodeWav, toInt16 } from "../../asr/web/page/wav.js";

test("samples beyond full scale are clipped", () => {
  assert.deepEqual([...toInt16([0, 1, -1, 2, -2, 0.5])], [0, 32767, -32767, 32767, -32767, 16384]);
});

test("a WAV file tells its rate and lengths, and holds the samples of all blocks", async () => {
  const blob = encodeWav([Int16Array.of(1, -2), Int16Array.of(3)], 16_000);
  const bytes = Buffer.from(await blob.arrayBuffer());
  assert.equal(bytes.toString("latin1", 0, 4) + bytes.toString("latin1", 8, 16), "RIFFWAVEfmt ");
  assert.equal(bytes.readUInt32LE(4), bytes.length - 8);
  assert.equal(bytes.readUInt32LE(24), 16_000);
  assert.equal(bytes.readUInt32LE(40), 6);
  assert.deepEqual([44, 46, 48].map((offset) => bytes.readInt16LE(offset)), [1, -2, 3]);
});

test("peaks are the loudest samples of each hundredth of a second", () => {
  assert.deepEqual([...findPeaks(Float32Array.of(0.25, -0.5, 0, 0.125, 1), 200)], [0.5, 0.125, 1]);
});

test("recordings are told by their type or name, hidden files are none", () => {
  assert.ok(isRecording({ name: "a.FLAC", type: "" }));
  assert.ok(isRecording({ name: "clip", type: "video/mp4" }));
  assert.ok(!isRecording({ name: "notes.txt", type: "text/plain" }));
  assert.ok(!isRecording({ name: "._a.flac", type: "audio/flac" }));
});

test("the stem of a name has no extension but keeps its folders", () => {
  assert.deepEqual(["a/b.c.mp3", "clip", "a.b/.x"].map(stem), ["a/b.c", "clip", "a.b/.x"]);
});
