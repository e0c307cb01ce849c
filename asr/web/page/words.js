// The words of a transcript on the page: they show their confidence, play their time, and can be corrected.
//
// All words are one stop of the Tab key; the arrows move between them.

import { announce, clock, find, make } from "./dom.js";
import { confidenceLevel, findWord, listWords } from "./transcript.js";

const LEVELS = { high: "sure", medium: "less sure", low: "unsure" };

/**
 * Make the view of the words.
 *
 * `onPlay(seconds)`, `onToggle()`, `onPause()` and `onCorrect(index, text)` are called for what the reader asks; the
 * last returns the transcript with the correction.
 */
export function createWords({ onPlay, onToggle, onPause, onCorrect }) {
  const root = find("#words");
  let words = [];
  let buttons = [];
  let current = 0; // the word that Tab reaches
  let spoken = -1; // the word under the cursor
  let isCorrecting = false;
  let open = null; // {index, input}

  function show(transcript) {
    open = null;
    spoken = -1;
    words = listWords(transcript);
    current = Math.max(0, Math.min(current, words.length - 1));
    let index = 0;
    const segments = transcript.segments.map((segment) =>
      make(
        "p",
        { class: "segment" },
        make("span", { class: "stamp", "aria-hidden": "true" }, clock(segment.start)),
        make("span", { class: "line" }, ...segment.words.flatMap((word) => [makeWord(word, index++), " "])),
      ),
    );
    if (!words.length) segments.push(make("p", { class: "faint" }, explain(transcript)));
    root.replaceChildren(...segments);
    buttons = [...root.querySelectorAll(".word")];
  }

  function makeWord(word, index) {
    const percent = `${Math.round(word.confidence * 100)} %`;
    const sureness = word.corrected ? "corrected" : `${LEVELS[confidenceLevel(word.confidence)]}, ${percent}`;
    return make(
      "button",
      {
        type: "button",
        class: `word ${word.corrected ? "corrected" : confidenceLevel(word.confidence)}`,
        title: `${clock(word.start, { tenths: true })} · ${sureness}`,
        tabIndex: index === current ? 0 : -1,
        data: { index },
      },
      word.text,
    );
  }

  function focus(index) {
    const target = Math.max(0, Math.min(index, words.length - 1));
    if (!buttons[target]) return;
    if (buttons[current]) buttons[current].tabIndex = -1;
    current = target;
    buttons[current].tabIndex = 0;
    buttons[current].focus();
  }

  /** Find the word that stands below (1) or above (-1) the current one. */
  function findBeyondLine(direction) {
    const here = buttons[current].getBoundingClientRect();
    const distance = (box) => Math.abs(box.left + box.right - here.left - here.right);
    let best = null;
    for (let index = current + direction; buttons[index]; index += direction) {
      const box = buttons[index].getBoundingClientRect();
      if (Math.abs(box.top - here.top) < here.height / 2) continue; // still in the same line
      if (best && Math.abs(box.top - best.box.top) > here.height / 2) break; // the line after
      if (!best || distance(box) < distance(best.box)) best = { index, box };
    }
    return best ? best.index : current;
  }

  /** Put a field in the place of a word. */
  function edit(index) {
    const word = words[index];
    if (!word) return;
    const input = make("input", {
      class: "word-input",
      value: word.text,
      size: Math.max(3, word.text.length + 1),
      spellcheck: false,
      autocomplete: "off",
      "aria-label": `Correct “${word.text}” at ${clock(word.start)}; Enter keeps it, Escape does not`,
    });
    input.setAttribute("autocapitalize", "off");
    buttons[index].replaceWith(input);
    open = { index, input };
    input.focus();
    input.select();
  }

  /** Keep what was typed; return how many words more there are now. */
  function commit() {
    if (!open) return 0;
    const { index, input } = open;
    const before = words.length;
    open = null;
    current = index;
    const old = words[index].text;
    show(onCorrect(index, input.value));
    if (input.value.trim() !== old) announce(`“${old}” corrected to “${input.value.trim() || "nothing"}”.`);
    return words.length - before;
  }

  function abandon() {
    const { index, input } = open;
    open = null;
    input.replaceWith(buttons[index]);
    focus(index);
  }

  /** Mark the word that is spoken at a time. */
  function mark(time, { isPlaying = false } = {}) {
    const found = findWord(words, time);
    const index = found >= 0 && time <= words[found].end + 0.15 ? found : -1;
    if (index === spoken) return;
    buttons[spoken]?.classList.remove("now");
    spoken = index;
    buttons[spoken]?.classList.add("now");
    if (isPlaying && spoken >= 0 && !open) buttons[spoken].scrollIntoView({ block: "nearest" });
  }

  function onKey(event) {
    if (event.target === open?.input) {
      onTyping(event);
      return;
    }
    if (!event.target.classList.contains("word")) return;
    const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -words.length, End: words.length };
    if (event.key in steps) focus(current + steps[event.key]);
    else if (event.key === "ArrowDown") focus(findBeyondLine(1));
    else if (event.key === "ArrowUp") focus(findBeyondLine(-1));
    else if (event.key === "F2") edit(current);
    else if (event.key === " ") onToggle();
    else return;
    event.preventDefault();
  }

  function onTyping(event) {
    const { index } = open;
    if (event.key === "Enter") {
      commit();
      focus(index);
    } else if (event.key === "Escape") {
      abandon();
    } else if (event.key === "Tab") {
      const next = event.shiftKey ? index - 1 : index + 1 + commit();
      commit();
      if (next < 0 || next >= words.length) focus(next);
      else edit(next);
    } else return;
    event.preventDefault();
  }

  root.addEventListener("keydown", onKey);
  root.addEventListener("keyup", (event) => {
    if (event.key === " " && event.target !== open?.input) event.preventDefault(); // which would press the word
  });
  root.addEventListener("focusout", ({ target }) => {
    if (target === open?.input) commit();
  });
  // A press on another word would close the open field, and with it take the word away before the click.
  root.addEventListener("pointerdown", (event) => {
    const pressed = event.target.closest(".word");
    if (!open || !pressed) return;
    event.preventDefault();
    const index = Number(pressed.dataset.index);
    const { index: edited } = open;
    const added = commit();
    edit(index + (index > edited ? added : 0));
  });
  root.addEventListener("click", ({ target }) => {
    const pressed = target.closest(".word");
    if (!pressed || open) return;
    const index = Number(pressed.dataset.index);
    focus(index);
    if (isCorrecting) edit(index);
    else onPlay(words[index].start);
  });
  root.addEventListener("dblclick", ({ target }) => {
    const pressed = target.closest(".word");
    if (!pressed || open) return;
    onPause();
    edit(Number(pressed.dataset.index));
  });

  return {
    show,
    mark,
    setCorrecting(isOn) {
      isCorrecting = isOn;
      root.classList.toggle("correcting", isOn);
    },
  };
}

function explain({ explanation, duration }) {
  if (explanation) return `No words were recognised: ${explanation}.`;
  return duration ? "No words were recognised." : "The recording is empty.";
}
