/** What the beam search keeps: prefixes of texts, and hypotheses that end with them. */

export const NONE = -1;

/** Prefixes of texts: a tree in which each stands once and keeps what depends on its text alone. */
export class Prefixes {
  static INTEGERS = ["parent", "token", "firstChild", "nextSibling", "beamIndex", "spelling", "lastWord", "hotState"];
  static NUMBERS = ["hotScore", "wordsScore", "score"];

  constructor(order) {
    this.order = order;
    this.count = 0;
    this.capacity = 0;
    // For each prefix with a `wordsScore`, the n-grams of its last word, its last two, ...; -1 where there is none.
    this.contexts = new Int32Array(0);
    for (const field of Prefixes.INTEGERS) this[field] = new Int32Array(0);
    for (const field of Prefixes.NUMBERS) this[field] = new Float64Array(0);
  }

  /** Make room for some more. */
  reserve(more) {
    if (this.count + more <= this.capacity) return;
    this.capacity = Math.max(2 * this.capacity, this.count + more, 4096);
    const grow = (array, length) => { const grown = new array.constructor(length); grown.set(array); return grown; };
    for (const field of [...Prefixes.INTEGERS, ...Prefixes.NUMBERS]) this[field] = grow(this[field], this.capacity);
    this.contexts = grow(this.contexts, this.capacity * this.order);
  }
}

/** Hypotheses of one frame: prefixes, each followed by `token` or by none, and the sums over their paths. */
export class Hypotheses {
  constructor(size) {
    this.count = 0;
    this.prefix = new Int32Array(size);
    this.token = new Int32Array(size);
    this.logBlank = new Float64Array(size);
    this.logToken = new Float64Array(size);
    this.logBoth = new Float64Array(size);
    this.total = new Float64Array(size);
  }

  /** Hold what others hold of the prefixes that are wanted. */
  copy(others, isWanted = () => true) {
    this.count = 0;
    for (let i = 0; i < others.count; i++) {
      if (!isWanted(others.prefix[i])) continue;
      for (const field of ["prefix", "token", "logBlank", "logToken", "logBoth", "total"]) {
        this[field][this.count] = others[field][i];
      }
      this.count++;
    }
  }
}

/** Return the value of a rank, 1 for the highest, and leave the values in another order (Hoare's selection). */
export function highest(values, rank) {
  let begin = 0;
  let end = values.length - 1;
  while (begin < end) {
    const pivot = values[(begin + end) >> 1];
    let left = begin;
    let right = end;
    while (left <= right) {
      while (values[left] > pivot) left++;
      while (values[right] < pivot) right--;
      if (left <= right) {
        const value = values[left];
        values[left++] = values[right];
        values[right--] = value;
      }
    }
    if (rank - 1 <= right) end = right;
    else if (rank - 1 >= left) begin = left;
    else break;
  }
  return values[rank - 1];
}
