// What was said, as plain data that is never changed in place:
// transcript {duration, explanation, segments: [{start, end, words: [{text, start, end, confidence}]}]}.
// Times are seconds from the start of the recording; a confidence is a probability. A corrected word has `corrected`.

/** Count characters as readers do, not in UTF-16 units. */
export const countCharacters = (text) => [...text].length;

export const joinWords = (words) => words.map((word) => word.text).join(" ");

export const listWords = (transcript) => transcript.segments.flatMap((segment) => segment.words);

export const textOf = (transcript) =>
  transcript.segments
    .filter((segment) => segment.words.length)
    .map((segment) => joinWords(segment.words))
    .join(" ");

/** Average the confidence of words, each counted by its length; `null` where there are none. */
export function meanConfidence(words) {
  let sum = 0;
  let length = 0;
  for (const word of words) {
    sum += word.confidence * countCharacters(word.text);
    length += countCharacters(word.text);
  }
  return length ? sum / length : null;
}

/** Name how sure the recogniser is: `high`, `medium` or `low`. */
export function confidenceLevel(confidence) {
  if (confidence >= 0.8) return "high";
  return confidence >= 0.5 ? "medium" : "low";
}

/** Find the last word that starts at a time or before; -1 before the first. */
export function findWord(words, time) {
  let low = 0;
  let high = words.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (words[middle].start <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * Put what somebody typed in the place of a word, and return the new transcript.
 *
 * Several words share the time of the old one by their lengths; none at all takes the word away. What a person has
 * typed is certain. The same transcript comes back where nothing changes.
 */
export function correctWord(transcript, index, typed) {
  const texts = typed.split(/\s+/).filter(Boolean);
  let before = 0;
  const segments = [];
  for (const segment of transcript.segments) {
    const position = index - before;
    before += segment.words.length;
    if (position < 0 || position >= segment.words.length) {
      segments.push(segment);
      continue;
    }
    const word = segment.words[position];
    if (texts.length === 1 && texts[0] === word.text) return transcript;
    const words = segment.words.toSpliced(position, 1, ...divideTime(word, texts));
    if (words.length) segments.push({ ...segment, words });
  }
  return { ...transcript, segments };
}

/** Give words that replace another one their parts of its time. */
function divideTime(word, texts) {
  const total = texts.reduce((sum, text) => sum + countCharacters(text), 0);
  let spoken = 0;
  const timeAfter = (length) => word.start + ((word.end - word.start) * length) / total;
  return texts.map((text) => {
    const start = timeAfter(spoken);
    spoken += countCharacters(text);
    const end = spoken === total ? word.end : timeAfter(spoken);
    return { text, start, end, confidence: 1, corrected: true };
  });
}
