// The inside view: how the sound became the words, from the MFCC to the choice of the language model.

import { clock, count, make, onAppearance } from "./dom.js";
import {
  compareWords,
  dropBlanks,
  findBestPath,
  findShownColumns,
  mergeRepeats,
  rankColumns,
} from "./ctc.js";
import {
  drawHeatMap,
  drawPath,
  drawRowNames,
  drawTimeAxis,
  makeDivergingScale,
  makeSequentialScale,
} from "./drawing.js";

const ROW_HEIGHT = 18; // px
const PIXELS_PER_SECOND = 130; // at least
const MFCC_LIMIT = 1.2; // has the strongest colour
const SIGNS = { "": "·", " ": "␣" };
const NUM_RANKED = 5;

/** Make the view in an element; `onSeek(seconds)` is called where a picture is pressed. */
export function createInside(root, { onSeek }) {
  let shown = null; // {drawAll(), move(seconds)}

  function showMessage(message, { isError = false } = {}) {
    shown = null;
    root.replaceChildren(
      make("p", { class: isError ? "error" : "faint", role: isError ? "alert" : "status" }, message),
    );
  }

  function show(inspection, time) {
    const names = inspection.alphabet.map((name) => SIGNS[name] ?? name);
    const rows = findShownColumns(inspection.posteriors, inspection.path);
    const duration = inspection.posteriors.length * inspection.frameShift;
    const pictures = makePictures(inspection, rows, names, duration);
    const frame = makeFrame(inspection, names);
    shown = { drawAll: pictures.drawAll, move: (time) => (pictures.move(time), frame.move(time)) };
    root.replaceChildren(
      make(
        "p",
        { class: "intro" },
        "How the sound became words, step by step. The pictures share the cursor of the waveform above: press one to " +
          "move it." + (duration > 19.5 ? " They show the first 20 seconds." : ""),
      ),
      pictures.mfcc,
      pictures.posteriors,
      frame.element,
      makeCollapse(inspection, names),
      makeComparison(inspection),
      makeAlternatives(inspection),
    );
    pictures.drawAll();
    shown.move(time);
  }

  function makePictures(inspection, rows, names, duration) {
    const { mfcc, silence, posteriors, path, frameShift } = inspection;
    const [scrollers, cursors] = [[], []];

    function makePicture(title, text, label, height) {
      const canvas = make("canvas", { role: "img", "aria-label": label });
      const axis = make("canvas", { class: "axis", "aria-hidden": "true" });
      const rowNames = make("canvas", { class: "row-names", "aria-hidden": "true" });
      const cursor = make("div", { class: "cursor" });
      const film = make("div", { class: "film" }, canvas, axis, ...silence.map(markSilence), cursor);
      const scroller = make(
        "div",
        { class: "scroller", tabIndex: 0, role: "group", "aria-label": `${title}, picture` },
        film,
      );
      canvas.style.height = rowNames.style.height = `${height}px`;
      film.style.minWidth = `${Math.ceil(duration * PIXELS_PER_SECOND)}px`;
      canvas.addEventListener("click", ({ offsetX }) => onSeek((offsetX / canvas.clientWidth) * duration));
      scroller.addEventListener("scroll", () => {
        for (const other of scrollers)
          if (other.scrollLeft !== scroller.scrollLeft) other.scrollLeft = scroller.scrollLeft;
      });
      scrollers.push(scroller);
      cursors.push(cursor);
      const element = make(
        "section",
        { class: "step" },
        make("h3", {}, title),
        make("p", {}, text),
        make("div", { class: "picture" }, rowNames, scroller),
      );
      return { element, canvas, axis, rowNames };
    }

    function markSilence([start, end]) {
      const mark = make("div", { class: "silence" });
      mark.style.left = `${(100 * start) / duration}%`;
      mark.style.width = `${(100 * (end - start)) / duration}%`;
      return mark;
    }

    const spreads = findSpreads(mfcc);
    const numFeatures = spreads.length;
    const sound = makePicture(
      "1. Sound to features",
      `Each column is 10 ms of sound, described by ${numFeatures} MFCC: how its energy spreads over the pitches that ` +
        "the ear tells apart. The lowest row is the loudness, the rows above describe ever finer detail; orange is " +
        "more than usual in this recording, blue less. This is all that the network gets." +
        (silence.length ? " It is not given silence (hatched), where there is nothing to recognise." : ""),
      `MFCC, ${mfcc.length} frames of ${numFeatures} coefficients`,
      160,
    );
    const letters = makePicture(
      "2. Features to letters",
      `Every ${Math.round(frameShift * 1000)} ms the network says how likely each letter is; the stronger the ` +
        "colour, the likelier. “·” is the blank, which stands for “nothing new”, and “␣” the space. The line is the " +
        "CTC path of the final text: the likeliest way through the picture that spells it.",
      `Probabilities of ${rows.length} characters in ${posteriors.length} frames, with the path that spells ` +
        `“${inspection.text}”`,
      rows.length * ROW_HEIGHT,
    );

    function drawAll() {
      if (!sound.canvas.clientWidth) return;
      const valueOfMfcc = (row, column) => mfcc[column][numFeatures - 1 - row] / spreads[numFeatures - 1 - row];
      drawHeatMap(sound.canvas, numFeatures, mfcc.length, valueOfMfcc, makeDivergingScale(MFCC_LIMIT));
      drawRowNames(sound.rowNames, [`${numFeatures}`, "", "", "", "1"]);
      const probability = (row, column) => posteriors[column][rows[row]];
      const picture = drawHeatMap(letters.canvas, rows.length, posteriors.length, probability, makeSequentialScale());
      drawPath(picture, path, rows, names);
      drawRowNames(letters.rowNames, rows.map((column) => names[column]));
      for (const { axis } of [sound, letters]) drawTimeAxis(axis, duration);
    }

    function move(time) {
      const fraction = Math.min(1, time / duration);
      for (const cursor of cursors) cursor.style.left = `${100 * fraction}%`;
      const [scroller] = scrollers;
      const x = fraction * scroller.scrollWidth;
      if (x < scroller.scrollLeft || x > scroller.scrollLeft + scroller.clientWidth) {
        scroller.scrollLeft = x - scroller.clientWidth / 4;
      }
    }

    return { mfcc: sound.element, posteriors: letters.element, drawAll, move };
  }

  /** Show what the network says of the frame under the cursor. */
  function makeFrame({ posteriors, frameShift }, names) {
    const title = make("h4", {});
    const list = make("ol", { class: "ranking" });
    const element = make("section", { class: "step frame", "aria-live": "off" }, title, list);
    let last = -1;
    function move(time) {
      const index = Math.min(posteriors.length - 1, Math.floor(time / frameShift));
      if (index === last) return;
      last = index;
      const place = clock(index * frameShift, { tenths: true });
      title.textContent = `Frame ${index + 1} of ${posteriors.length}, at ${place}`;
      list.replaceChildren(
        ...rankColumns(posteriors[index], NUM_RANKED).map(({ column, probability }) => {
          const meter = make("meter", { min: 0, max: 1, value: probability, "aria-hidden": "true" });
          const percent = `${(100 * probability).toFixed(probability < 0.1 ? 1 : 0)} %`;
          return make("li", {}, make("b", {}, spellName(names[column])), meter, make("span", {}, percent));
        }),
      );
    }
    return { element, move };
  }

  function makeCollapse({ posteriors }, names) {
    const best = findBestPath(posteriors);
    const merged = mergeRepeats(best);
    const spell = (path) => path.map((column) => names[column]).join("");
    const row = (title, text) => [make("dt", {}, title), make("dd", {}, text || "nothing")];
    return make(
      "section",
      { class: "step" },
      make("h3", {}, "3. Letters to text, without a language model"),
      make(
        "p",
        {},
        "The greedy decoder takes the likeliest letter of each frame, merges repeats, and drops the blanks. The " +
          "blank between two equal letters is what keeps a double letter double.",
      ),
      make(
        "dl",
        { class: "collapse" },
        ...row(`${count(best.length, "frame")}`, spell(best)),
        ...row("Repeats merged", spell(merged)),
        ...row("Blanks dropped", spell(dropBlanks(merged)).replaceAll("␣", " ")),
      ),
    );
  }

  function makeComparison({ greedy, text }) {
    const { left, right } = compareWords(greedy, text);
    const numChanged = right.filter(({ isSame }) => !isSame).length;
    return make(
      "section",
      { class: "step" },
      make("h3", {}, "4. With the language model"),
      make(
        "p",
        {},
        greedy === text
          ? "The beam search follows many texts at once and weighs the sound against how likely their words are. " +
              "Here it agrees with the greedy decoder."
          : "The beam search follows many texts at once and weighs the sound against how likely their words are. " +
              `Here it changed ${count(numChanged, "word")}.`,
      ),
      make(
        "dl",
        { class: "comparison" },
        make("dt", {}, "Greedy"),
        make("dd", {}, ...markWords(left, "del")),
        make("dt", {}, "With the language model"),
        make("dd", {}, ...markWords(right, "ins")),
      ),
    );
  }

  function makeAlternatives({ alternatives, text }) {
    const best = alternatives[0]?.score ?? 0;
    return make(
      "section",
      { class: "step" },
      make("h3", {}, "5. What else it could have been"),
      make(
        "p",
        {},
        "The texts that the search kept, and by how much their score (a natural logarithm) is below that of the best.",
      ),
      make(
        "ol",
        { class: "alternatives" },
        ...alternatives.map((alternative) => {
          const words = markWords(compareWords(text, alternative.text).right, "mark");
          const gap = alternative.score - best;
          return make(
            "li",
            {},
            make("span", { class: "text" }, ...(words.length ? words : ["nothing"])),
            make("span", { class: "score" }, gap ? `−${Math.abs(gap).toFixed(1)}` : "best"),
          );
        }),
      ),
    );
  }

  onAppearance(root, () => shown?.drawAll());
  return { show, showMessage, move: (time) => shown?.move(time) };
}

const spellName = (name) => ({ "·": "blank", "␣": "space" })[name] ?? name;

function markWords(words, tag) {
  return words.flatMap(({ word, isSame }) => [isSame ? word : make(tag, {}, word), " "]);
}

/** Find what to divide each feature by: the first ones vary far more than the last, which would stay invisible. */
function findSpreads(frames) {
  const sounding = frames.filter((frame) => frame.some((value) => value !== 0)); // the others are silence
  const sums = new Array(frames[0]?.length ?? 0).fill(0);
  for (const frame of sounding) frame.forEach((value, index) => (sums[index] += value * value));
  return sums.map((sum) => Math.sqrt(Math.sqrt(sum / sounding.length)) || 1); // the mean is 0
}
