// Corrections, and how the page finds words.

import assert from "node:assert/strict";
import { test } from "node:test";
import { confidenceLevel, correctWord, findWord, listWords, textOf } from "../../asr/web/page/transcript.js";

const word = (text, start, end) => ({ text, start, end, confidence: 0.5 });
const spoken = {
  duration: 9,
  explanation: "",
  segments: [
    { start: 0, end: 2, words: [word("good", 0, 1), word("mourning", 1, 2)] },
    { start: 4, end: 5, words: [word("yes", 4, 5)] },
  ],
};

test("a corrected word keeps its time and is certain", () => {
  const corrected = correctWord(spoken, 1, " morning ");
  assert.deepEqual(listWords(corrected)[1], { text: "morning", start: 1, end: 2, confidence: 1, corrected: true });
  assert.equal(textOf(corrected), "good morning yes");
  assert.equal(textOf(spoken), "good mourning yes");
});

test("words in the place of one share its time by their lengths", () => {
  const words = listWords(correctWord(spoken, 2, "of course"));
  assert.deepEqual(
    words.slice(2).map(({ text, start, end }) => [text, start, end]),
    [
      ["of", 4, 4.25],
      ["course", 4.25, 5],
    ],
  );
});

test("nothing in the place of a word takes it away, and with the last word its segment", () => {
  assert.equal(textOf(correctWord(spoken, 0, "")), "mourning yes");
  assert.equal(correctWord(spoken, 2, "  ").segments.length, 1);
});

test("what does not change gives the same transcript", () => {
  assert.equal(correctWord(spoken, 0, "good"), spoken);
});

test("the word at a time is the last that began", () => {
  const words = listWords(spoken);
  assert.deepEqual([-1, 0, 0.9, 1, 3, 4, 8].map((time) => findWord(words, time)), [-1, 0, 0, 1, 1, 2, 2]);
});

test("confidence has three levels", () => {
  assert.deepEqual([0.8, 0.79, 0.5, 0.49].map(confidenceLevel), ["high", "medium", "medium", "low"]);
});
