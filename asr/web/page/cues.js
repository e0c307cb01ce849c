// Words to subtitle cues, by the rules of asr/writers/cues.py: which words stand on the screen together, and how long.

import { countCharacters, joinWords } from "./transcript.js";

const MIN_DURATION = 1.0; // s
const MAX_DURATION = 7.0; // s
const MAX_READING_SPEED = 17.0; // characters a second
const LONG_PAUSE = 0.8; // s
const EDGE_PRICE = 0.5; // s; a cut at the very edge needs a pause longer by this than one in the middle

export const DEFAULT_SHAPE = { maxLineWidth: 42, maxLineCount: 2 };

/** Lay out a transcript as cues `{start, end, lines}`, in the order of time and without overlap. */
export function makeCues(transcript, shape = DEFAULT_SHAPE) {
  const groups = transcript.segments
    .flatMap((segment) => splitAtPauses(segment.words))
    .flatMap((run) => halve(run, shape));
  const limit = Math.floor(transcript.duration * 1000) / 1000; // subtitles count in milliseconds
  const starts = findStarts(groups, limit);
  return groups.map((group, index) => {
    const text = joinWords(group);
    const start = starts[index];
    const nextStart = index + 1 < starts.length ? starts[index + 1] : limit;
    const readingTime = Math.max(MIN_DURATION, countCharacters(text) / MAX_READING_SPEED);
    const end = Math.min(Math.max(group.at(-1).end, start + readingTime), nextStart);
    return { start, end, lines: balance(text, shape) };
  });
}

/** Start each cue with its words, or earlier if it would vanish too soon, but not before earlier words end. */
function findStarts(groups, limit) {
  const starts = [];
  for (let index = groups.length - 1; index >= 0; index--) {
    const nextStart = starts.length ? starts.at(-1) : limit;
    const earlierEnd = index ? groups[index - 1].at(-1).end : 0;
    starts.push(Math.min(groups[index][0].start, Math.max(nextStart - MIN_DURATION, earlierEnd), nextStart));
  }
  return starts.reverse();
}

/** Split the words of a segment at long pauses. */
function splitAtPauses(words) {
  const runs = [];
  for (const word of words) {
    const run = runs.at(-1);
    if (run && word.start - run.at(-1).end < LONG_PAUSE) run.push(word);
    else runs.push([word]);
  }
  return runs;
}

/** Halve words, and the halves again, until each part fits a cue. */
function halve(words, shape) {
  if (words.length === 1 || fits(words, shape)) return [words];
  const cut = findCut(words);
  return [...halve(words.slice(0, cut), shape), ...halve(words.slice(cut), shape)];
}

/** Tell whether words can be one cue. */
function fits(words, shape) {
  if (words.at(-1).end - words[0].start > MAX_DURATION) return false;
  return wrap(joinWords(words), shape.maxLineWidth).length <= shape.maxLineCount;
}

/** Find the first word of the second half: after a long pause, near the middle of the text. */
function findCut(words) {
  const total = words.reduce((sum, word) => sum + countCharacters(word.text), 0);
  let before = 0;
  let best = { cut: 1, merit: -Infinity };
  for (let cut = 1; cut < words.length; cut++) {
    before += countCharacters(words[cut - 1].text);
    const merit = words[cut].start - words[cut - 1].end - EDGE_PRICE * Math.abs((2 * before) / total - 1);
    if (merit > best.merit) best = { cut, merit };
  }
  return best.cut;
}

/** Break a text into as few lines as it needs, as equal in length as they can be. */
function balance(text, shape) {
  const lines = wrap(text, shape.maxLineWidth);
  for (let width = Math.ceil(countCharacters(text) / lines.length); width < shape.maxLineWidth; width++) {
    const candidate = wrap(text, width);
    if (candidate.length === lines.length) return candidate;
  }
  return lines;
}

/** Break a text into lines, between words only. */
function wrap(text, width) {
  const lines = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line !== undefined && countCharacters(line) + 1 + countCharacters(word) <= width) {
      lines[lines.length - 1] = `${line} ${word}`;
    } else {
      lines.push(word);
    }
  }
  return lines;
}
