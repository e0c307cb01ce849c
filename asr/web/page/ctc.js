// What CTC and the language model make of posteriors, step by step, for people who learn how it works.

/** Take the likeliest column of each frame; the first where several are. */
export function findBestPath(posteriors) {
  return posteriors.map((frame) => frame.reduce((best, value, column) => (value > frame[best] ? column : best), 0));
}

/** Merge the repeats of a path: each column once for as long as it lasts. */
export const mergeRepeats = (path) => path.filter((column, frame) => column !== path[frame - 1]);

/** Drop the blanks, column 0. */
export const dropBlanks = (path) => path.filter((column) => column !== 0);

/** List the columns of a frame, the likeliest first. */
export function rankColumns(frame, limit) {
  return frame
    .map((probability, column) => ({ column, probability }))
    .sort((left, right) => right.probability - left.probability)
    .slice(0, limit);
}

/** List the columns that are likely somewhere or on the path, in the order of the alphabet, the blank first. */
export function findShownColumns(posteriors, path, threshold = 0.1) {
  const shown = new Set(path);
  for (const frame of posteriors) {
    frame.forEach((probability, column) => {
      if (probability >= threshold) shown.add(column);
    });
  }
  return [...shown].sort((left, right) => left - right);
}

/**
 * Compare two texts word by word, by as few edits as can be.
 *
 * Returns [{word, isSame}] for each text: the words that both have in the same order are the same.
 */
export function compareWords(left, right) {
  const [a, b] = [left, right].map((text) => text.split(/\s+/).filter(Boolean));
  // common[i][j]: the most words that a from i on and b from j on can share
  const common = Array.from({ length: a.length + 1 }, () => new Array(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  const marked = { left: [], right: [] };
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      marked.left.push({ word: a[i++], isSame: true });
      marked.right.push({ word: b[j++], isSame: true });
    } else if (j === b.length || (i < a.length && common[i + 1][j] >= common[i][j + 1])) {
      marked.left.push({ word: a[i++], isSame: false });
    } else {
      marked.right.push({ word: b[j++], isSame: false });
    }
  }
  return marked;
}
