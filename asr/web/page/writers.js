// A transcript to the text of a file, byte for byte as the writers of the command line (asr/writers/formats.py).

import { DEFAULT_SHAPE, makeCues } from "./cues.js";
import { formatFloat, formatTimestamp, roundHalfEven, roundTo, toFixed } from "./numbers.js";
import { joinWords, listWords, meanConfidence, textOf } from "./transcript.js";

const DEFAULT_OPTIONS = { name: "recording", ...DEFAULT_SHAPE };

const escapeSrt = (text) => text.replaceAll("<", "\u2039").replaceAll(">", "\u203a");
const escapeVtt = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function toTxt(transcript) {
  return `${textOf(transcript)}\n`;
}

function toJson(transcript) {
  const fields = {
    text: textOf(transcript),
    duration: roundTime(transcript.duration),
    confidence: roundScore(meanConfidence(listWords(transcript))),
    segments: transcript.segments.map(segmentFields),
  };
  if (transcript.explanation) fields.explanation = transcript.explanation;
  return `${serialize(fields)}\n`;
}

function toJsonl(transcript) {
  return transcript.segments.map((segment) => `${serialize(segmentFields(segment))}\n`).join("");
}

function toSrt(transcript, options) {
  const stamp = (seconds) => formatTimestamp(seconds, ",");
  return makeCues(transcript, options)
    .map(
      (cue, index) => `${index + 1}\n${stamp(cue.start)} --> ${stamp(cue.end)}\n${escapeSrt(cue.lines.join("\n"))}\n\n`,
    )
    .join("");
}

function toVtt(transcript, options) {
  const cues = makeCues(transcript, options).map(
    (cue) => `\n${formatTimestamp(cue.start)} --> ${formatTimestamp(cue.end)}\n${escapeVtt(cue.lines.join("\n"))}\n`,
  );
  return `WEBVTT\n${cues.join("")}`;
}

function toTsv(transcript) {
  const lines = transcript.segments
    .filter((segment) => segment.words.length)
    .map(({ start, end, words }) => {
      return `${roundHalfEven(start * 1000)}\t${roundHalfEven(end * 1000)}\t${joinWords(words)}\n`;
    });
  return `start\tend\ttext\n${lines.join("")}`;
}

function toCtm(transcript, options) {
  const name = options.name.trim().split(/\s+/).join("_");
  return listWords(transcript)
    .map((word) => {
      const start = roundTo(word.start, 3); // before the difference, or rounding could make words overlap
      const duration = toFixed(roundTo(word.end, 3) - start, 3);
      return `${name} 1 ${toFixed(start, 3)} ${duration} ${word.text} ${toFixed(word.confidence, 4)}\n`;
    })
    .join("");
}

function toTextgrid(transcript) {
  const { duration, segments } = transcript;
  const spans = segments.map(({ start, end, words }) => ({ start, end, text: joinWords(words) }));
  const lines = [
    'File type = "ooTextFile"',
    'Object class = "TextGrid"',
    "",
    "xmin = 0",
    `xmax = ${toFixed(duration, 6)}`,
    "tiers? <exists>",
    "size = 2",
    "item []:",
    ...layOutTier(1, "words", listWords(transcript), duration),
    ...layOutTier(2, "segments", spans, duration),
  ];
  return `${lines.join("\n")}\n`;
}

/** The writers by file extension: `(transcript, {name}) -> text`. */
export const WRITERS = {
  srt: toSrt,
  vtt: toVtt,
  txt: toTxt,
  json: toJson,
  jsonl: toJsonl,
  tsv: toTsv,
  ctm: toCtm,
  textgrid: toTextgrid,
};

/** Write a transcript in a format. */
export function write(format, transcript, options = {}) {
  return WRITERS[format](transcript, { ...DEFAULT_OPTIONS, ...options });
}

function segmentFields({ start, end, words }) {
  return {
    start: roundTime(start),
    end: roundTime(end),
    text: joinWords(words),
    confidence: roundScore(meanConfidence(words)),
    words: words.map((word) => ({
      text: word.text,
      start: roundTime(word.start),
      end: roundTime(word.end),
      confidence: roundScore(word.confidence),
    })),
  };
}

const roundTime = (seconds) => roundTo(seconds, 3);

const roundScore = (value) => (value === null ? null : roundTo(value, 4));

/** Write JSON with the spaces and floating-point numbers of Python; all numbers of a transcript are such. */
function serialize(value) {
  if (typeof value === "number") return formatFloat(value);
  if (Array.isArray(value)) return `[${value.map(serialize).join(", ")}]`;
  if (value === null || typeof value === "string") return JSON.stringify(value);
  const entries = Object.entries(value).map(([key, entry]) => `${JSON.stringify(key)}: ${serialize(entry)}`);
  return `{${entries.join(", ")}}`;
}

/** Lay out one tier of a TextGrid. */
function layOutTier(number, name, spans, duration) {
  const intervals = fillGaps(spans, duration);
  return [
    `    item [${number}]:`,
    '        class = "IntervalTier"',
    `        name = "${name}"`,
    "        xmin = 0",
    `        xmax = ${toFixed(duration, 6)}`,
    `        intervals: size = ${intervals.length}`,
    ...intervals.flatMap(({ start, end, text }, index) => [
      `        intervals [${index + 1}]:`,
      `            xmin = ${toFixed(start, 6)}`,
      `            xmax = ${toFixed(end, 6)}`,
      `            text = "${text.replaceAll('"', '""')}"`,
    ]),
  ];
}

/** Cover a recording with intervals, empty ones between the spans; to the microsecond, as they are printed. */
function fillGaps(spans, duration) {
  const limit = roundTo(duration, 6);
  const intervals = [];
  let covered = 0;
  for (const span of spans) {
    const start = Math.max(covered, roundTo(span.start, 6));
    const end = Math.min(roundTo(span.end, 6), limit);
    if (start >= end) continue;
    if (start > covered) intervals.push({ start: covered, end: start, text: "" });
    intervals.push({ start, end, text: span.text });
    covered = end;
  }
  if (covered < limit) intervals.push({ start: covered, end: limit, text: "" });
  return intervals;
}
