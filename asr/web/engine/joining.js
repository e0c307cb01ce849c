/** Recognitions of overlapping chunks to one sequence of words, none twice (see `asr/recognition/joining.py`). */

const TOLERANCE = 0.3; // seconds between the middles of one word in two recognitions

const middleOf = ({ start, end }) => (start + end) / 2;

/**
 * Join two segments, the one ending where the other starts: as near to the middle as their words allow.
 * @param {{start: number, end: number, words: object[]}} left
 * @param {{start: number, end: number, words: object[]}} right
 * @param {number} overlap seconds at the start of `right` that repeat the end of `left`
 * @returns {[object, object]} the segments without the overlap
 */
export function joinSegments(left, right, overlap) {
  const [words, following] = joinWords(left.words, right.words, right.start, right.start + overlap);
  let boundary = right.start + overlap / 2;
  if (words.length) boundary = Math.max(boundary, words.at(-1).end);
  if (following.length) boundary = Math.min(boundary, following[0].start);
  return [
    { start: left.start, end: boundary, words },
    { start: boundary, end: right.end, words: following },
  ];
}

/** Choose the words of two recognitions that overlap. */
function joinWords(left, right, overlapStart, overlapEnd) {
  if (!left.length || !right.length) return [left, right];
  const middle = (overlapStart + overlapEnd) / 2;
  let best = null;
  left.forEach((one, i) => right.forEach((other, j) => {
    const apart = Math.abs(middleOf(one) - middleOf(other));
    if (one.text !== other.text || apart > TOLERANCE) return;
    const distance = Math.abs(middleOf(one) - middle) + Math.abs(middleOf(other) - middle) + apart;
    if (!best || distance < best.distance) best = { distance, i, j };
  }));
  if (best) return trim(left.slice(0, best.i + 1), right.slice(best.j + 1));
  const kept = left.filter(({ start }) => start < middle);
  const end = kept.length ? kept.at(-1).end : overlapStart;
  return trim(kept, right.filter((word) => word.end > middle && middleOf(word) >= end));
}

/** Let the last word of the left end before the right starts, and the right start no earlier than that word. */
function trim(left, right) {
  if (!left.length || !right.length) return [left, right];
  const last = left.at(-1);
  const boundary = Math.max(last.start, Math.min(last.end, right[0].start));
  return [
    [...left.slice(0, -1), { ...last, end: boundary }],
    right.map((word) => ({ ...word, start: Math.max(word.start, boundary), end: Math.max(word.end, boundary) })),
  ];
}
