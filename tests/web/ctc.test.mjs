// What the inside view derives from posteriors.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as ctc from "../../asr/web/page/ctc.js";

test("a path collapses: repeats first, then blanks, so that a blank keeps a double letter", () => {
  const posteriors = [[0.1, 0.9], [0.2, 0.8], [0.9, 0.1], [0.3, 0.7]];
  const path = ctc.findBestPath(posteriors);
  assert.deepEqual(path, [1, 1, 0, 1]);
  assert.deepEqual(ctc.mergeRepeats(path), [1, 0, 1]);
  assert.deepEqual(ctc.dropBlanks(ctc.mergeRepeats(path)), [1, 1]);
});

test("columns are ranked by probability", () => {
  assert.deepEqual(ctc.rankColumns([0.2, 0.5, 0.3], 2), [
    { column: 1, probability: 0.5 },
    { column: 2, probability: 0.3 },
  ]);
});

test("columns are shown that are likely somewhere or on the path", () => {
  assert.deepEqual(ctc.findShownColumns([[0.89, 0.06, 0.02, 0.03], [0.1, 0.05, 0.85, 0]], [0, 1]), [0, 1, 2]);
});

test("words that both texts have are the same", () => {
  const { left, right } = ctc.compareWords("con me isme some years", "call me ishmael some years");
  const changed = (words) => words.filter(({ isSame }) => !isSame).map(({ word }) => word);
  assert.deepEqual(changed(left), ["con", "isme"]);
  assert.deepEqual(changed(right), ["call", "ishmael"]);
  assert.equal(right.map(({ word }) => word).join(" "), "call me ishmael some years");
});

test("an empty text has no words", () => {
  assert.deepEqual(ctc.compareWords("", "yes"), { left: [], right: [{ word: "yes", isSame: false }] });
});
