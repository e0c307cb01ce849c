/** What the beam search keeps: prefixes of texts, and hypotheses that end with them. */

export const NONE = -1;

/** Prefixes of texts: a tree in which each stands once and keeps what depends on its text alone. */
export class Prefixes {
  static INTEGERS = [
    "parent", "token", "length", "firstChild", "nextSibling", "beamIndex", "spelling", "lastWord", "hotState",
  ];
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

/** Prefixes that are followed, and the sums over their paths. */
export class Beam {
  static INTEGERS = ["prefix", "parent", "last", "spelling", "nextTokens"];
  static NUMBERS = ["logBoth", "blank", "token", "total", "score", "before", "ceiling", "endCeiling"];

  constructor(size) {
    this.count = 0;
    for (const field of Beam.INTEGERS) this[field] = new Int32Array(size);
    for (const field of Beam.NUMBERS) this[field] = new Float64Array(size);
    this.fields = [...Beam.INTEGERS, ...Beam.NUMBERS].map((field) => this[field]);
  }

  /** Write what is kept of a prefix besides its paths. */
  enter(index, prefix, prefixes, { settings, lexicon, highestCharges, spellingScores }) {
    const spelling = prefixes.spelling[prefix];
    const before = prefixes.wordsScore[prefixes.lastWord[prefix]] + prefixes.hotScore[prefix];
    const highest = before + settings.maxHotGain;
    this.prefix[index] = prefix;
    this.parent[index] = prefixes.parent[prefix];
    this.last[index] = prefixes.token[prefix];
    this.spelling[index] = spelling;
    this.nextTokens[index] = lexicon.nextTokens[spelling];
    this.score[index] = prefixes.score[prefix];
    this.before[index] = before;
    this.ceiling[index] = highest + highestCharges[spelling];
    this.endCeiling[index] = highest + settings.wordScore + spellingScores[spelling];
    prefixes.beamIndex[prefix] = index;
  }

  /** Move what is at one index to another. */
  move(from, to) {
    for (const field of this.fields) field[to] = field[from];
  }

  /** Hold what another one holds of the prefixes that are wanted. */
  copy(other, isWanted = () => true) {
    this.count = 0;
    for (let i = 0; i < other.count; i++) {
      if (!isWanted(other.prefix[i])) continue;
      this.fields.forEach((field, number) => { field[this.count] = other.fields[number][i]; });
      this.count++;
    }
  }
}

/** What may be in the next beam: a prefix, followed by `nextToken` or by none. */
export class Candidates {
  constructor(size) {
    this.count = 0;
    this.prefix = new Int32Array(size);
    this.nextToken = new Int32Array(size);
    this.logBoth = new Float64Array(size);
    this.blank = new Float64Array(size);
    this.token = new Float64Array(size);
    this.total = new Float64Array(size);
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
