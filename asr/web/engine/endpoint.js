/** Where a stream is cut into segments: in runs of blanks (see `asr/recognition/endpoint.py`, which says why). */

const SHORTEST = 0.3; // of the pause, at the end of the longest segment
const UNFINISHED = 1.5; // times the pause, after what seems unfinished

/**
 * Looks for the end of one segment, frame by frame. A cut is {end, begin}: the frame to end it before, and that which
 * the next one begins with.
 */
export class Endpointer {
  /**
   * @param {number} pause blank frames in a row that end a segment
   * @param {number} longest frames that it has at most
   * @param {(cut: object) => Promise<boolean>} mayEnd tells whether what is said before a cut seems finished
   */
  constructor(pause, longest, mayEnd) {
    Object.assign(this, { pause, longest, mayEnd, numFrames: 0, run: 0, hasSpeech: false });
    this.asked = new Map(); // what `mayEnd` was asked and has said, by the frame that a pause begins with
  }

  /**
   * Take the next frames, and return where the segment ends; null if it goes on.
   * @param {boolean[]} isBlank whether the blank is the likeliest token of each
   */
  async find(isBlank) {
    const end = this.numFrames + isBlank.length;
    let widest = 0; // of the pauses, where one has to be chosen
    let best = { end, begin: end };
    for (const blank of isBlank) {
      if (await this.endsAfter(blank)) return this.cut();
      if (this.run > widest) [widest, best] = [this.run, this.cut()];
    }
    if (!this.hasSpeech) {
      const middle = this.numFrames - Math.floor(this.pause / 2);
      return this.run >= this.pause ? { end: middle, begin: middle } : null;
    }
    return this.numFrames + isBlank.length > this.longest ? best : null; // so many more would be too many
  }

  /** Tell the same from provisional frames, which are forgotten afterwards; only a pause after speech counts. */
  async lookAhead(isBlank) {
    const ahead = Object.assign(new Endpointer(), this);
    for (const blank of isBlank) if (await ahead.endsAfter(blank)) return ahead.cut();
    return null;
  }

  /** Cut at the end of the pause so far, or where it was long enough; the next segment begins after a quarter. */
  cut() {
    const begin = this.numFrames - this.run;
    const { end } = this.asked.get(begin) ?? { end: this.numFrames };
    return { end, begin: begin + Math.floor(this.run / 4) };
  }

  /** Take a frame, and tell whether the segment ends in a pause that has lasted up to it. */
  async endsAfter(isBlank) {
    this.numFrames++;
    this.run = isBlank ? this.run + 1 : 0;
    this.hasSpeech ||= !isBlank;
    const late = Math.max(0, (2 * this.numFrames) / this.longest - 1); // from 0 at its middle to 1
    const needed = this.pause * (1 - late * (1 - SHORTEST));
    if (!this.hasSpeech || this.run < needed) return false;
    const begin = this.numFrames - this.run;
    if (!this.asked.has(begin)) this.asked.set(begin, { end: this.numFrames, mayEnd: await this.mayEnd(this.cut()) });
    return this.asked.get(begin).mayEnd || this.run >= UNFINISHED * needed;
  }
}
