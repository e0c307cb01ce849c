// The single utterances: their filters, and behind each name its words, its sound and its picture.

function makeAlignment(steps, seek) {
  const names = element(
    "li",
    { class: "names", "aria-hidden": "true" },
    element("span", {}, "said"),
    element("span", {}, "recognised"),
    element("small", {}, "confidence %"),
  );
  return element(
    "ol",
    { class: "alignment" },
    names,
    steps.map((step) => {
      const mark = MARKS[step.edit];
      const heard =
        step.hypothesis === undefined
          ? element("span", { "aria-label": "nothing" }, "\u2014")
          : seek
            ? element(
                "button",
                { type: "button", title: `${clock(step.start)} to ${clock(step.end)}`, onclick: () => seek(step) },
                step.hypothesis,
              )
            : element("span", {}, step.hypothesis);
      return element(
        "li",
        { class: step.edit },
        element("span", { class: "said" }, step.reference === undefined ? "\u2014" : step.reference),
        heard,
        element(
          "small",
          {},
          mark ? element("abbr", { class: "mark", title: step.edit }, mark) : null,
          mark && step.confidence !== undefined ? " " : null,
          step.confidence === undefined ? null : percent(step.confidence, 0),
        ),
      );
    }),
  );
}

function makePicture(utterance, duration) {
  const heard = utterance.steps.filter((step) => step.start !== undefined);
  const share = (seconds) => (1000 * seconds) / duration;
  const peak = Math.max(1, ...utterance.envelope);
  const points = utterance.envelope.map((value, index) => [
    (1000 * (index + 0.5)) / utterance.envelope.length,
    (38 * value) / peak,
  ]);
  const upper = points.map(([x, height]) => `${x.toFixed(1)},${(40 - height).toFixed(1)}`);
  const lower = points.map(([x, height]) => `${x.toFixed(1)},${(40 + height).toFixed(1)}`).reverse();
  const now = shape("line", { class: "now", x1: 0, x2: 0, y1: 0, y2: 100, visibility: "hidden" });
  const picture = element(
    "div",
    { class: "picture", style: `min-width:${Math.round(PIXELS_PER_SECOND * duration)}px` },
    shape(
      "svg",
      {
        viewBox: "0 0 1000 100",
        preserveAspectRatio: "none",
        role: "img",
        "aria-label": "Envelope of the waveform with the words that were recognised",
      },
      heard.map((step) =>
        shape("rect", {
          class: `word ${step.edit}`,
          x: share(step.start),
          y: 0,
          width: share(step.end - step.start),
          height: 100,
        }),
      ),
      shape("path", { class: "wave", d: `M${[...upper, ...lower].join("L")}Z` }),
      now,
    ),
    heard.map((step) =>
      element(
        "span",
        {
          "aria-hidden": "true",
          style: `left:${share(step.start) / 10}%;width:${share(step.end - step.start) / 10}%`,
          title: `${step.hypothesis}: ${clock(step.start)} to ${clock(step.end)}`,
        },
        step.hypothesis,
      ),
    ),
  );
  const axis = element(
    "div",
    { class: "axis", style: `min-width:${Math.round(PIXELS_PER_SECOND * duration)}px` },
    [0, 0.25, 0.5, 0.75, 1].map((part) => element("span", {}, clock(part * duration))),
  );
  const move = (seconds) => {
    now.setAttribute("visibility", "visible");
    for (const name of ["x1", "x2"]) now.setAttribute(name, share(seconds));
  };
  return {
    node: element(
      "div",
      { class: "scroll", tabindex: 0, role: "group", "aria-label": "Picture of the recording" },
      picture,
      axis,
    ),
    move,
  };
}

function makeDetail(utterance) {
  const player = element("audio", {
    controls: true,
    preload: "none",
    src: audio[utterance.index],
    ontimeupdate: follow,
  });
  const picture = makePicture(utterance, utterance.duration);
  const alignment = makeAlignment(utterance.steps, (step) => {
    player.currentTime = step.start;
    player.play();
  });
  const words = [...alignment.children].slice(1);
  function follow() {
    picture.move(player.currentTime);
    utterance.steps.forEach((step, index) =>
      words[index].classList.toggle("now", step.start <= player.currentTime && player.currentTime < step.end),
    );
  }
  const facts = [
    utterance.corpus,
    utterance.speaker && `speaker ${utterance.speaker}`,
    clock(utterance.duration),
    `${utterance.level.toFixed(1)} dBFS`,
    `about ${utterance.signal_to_noise.toFixed(0)} dB above the noise`,
    utterance.audio_filepath,
  ];
  const earlier = utterance.baseline
    ? [
        element("h3", {}, `The baseline: ${countErrors(utterance.baseline.words)} errors`),
        makeAlignment(utterance.baseline.steps, null),
      ]
    : [];
  return element(
    "div",
    {},
    alignment,
    player,
    picture.node,
    pictures[utterance.index]
      ? element("img", {
          class: "drawn",
          src: pictures[utterance.index],
          alt: "Waveform, MFCC, posteriors with the aligned characters, and confidence",
        })
      : null,
    earlier,
    element("p", { class: "faint" }, facts.filter(Boolean).join(" \u00b7 ")),
  );
}

/* The list of utterances and its filters */

const filters = {};
let confusion = null;
let redraw = () => {};

const rateOf = (utterance) => countErrors(utterance.words) / countWords(utterance.words);
const changeOf = (utterance) =>
  utterance.baseline ? countErrors(utterance.words) - countErrors(utterance.baseline.words) : 0;
const CHANGES = {
  all: () => true,
  better: (change) => change < 0,
  same: (change) => change === 0,
  worse: (change) => change > 0,
};

function isWanted(utterance) {
  const text = [utterance.utterance_id, utterance.speaker, utterance.reference, utterance.hypothesis]
    .join("\n")
    .toLowerCase();
  const rate = 100 * rateOf(utterance);
  const same = (step) => ["edit", "reference", "hypothesis"].every((name) => (step[name] || null) === confusion[name]);
  return (
    text.includes(filters.text.value.trim().toLowerCase()) &&
    (!filters.corpus.value || utterance.corpus === filters.corpus.value) &&
    rate >= (filters.low.value === "" ? 0 : Number(filters.low.value)) &&
    rate <= (filters.high.value === "" ? Infinity : Number(filters.high.value)) &&
    (!filters.change || CHANGES[filters.change.value](changeOf(utterance))) &&
    (!confusion || utterance.steps.some(same))
  );
}

function filterBy(edit, change = "all") {
  for (const input of Object.values(filters)) input.value = input === filters.change ? change : "";
  confusion = edit;
  redraw();
  section("utterances").focus();
}

function makeFilters() {
  const corpora = [...new Set(report.utterances.map((utterance) => utterance.corpus).filter(Boolean))].sort();
  const options = (names) => names.map((name) => element("option", { value: name }, name));
  const label = (text, input, kind) => element("label", { class: kind }, text, input);
  filters.text = element("input", { type: "search" });
  filters.corpus = element("select", {}, element("option", { value: "" }, "all"), options(corpora));
  filters.low = element("input", { type: "number", min: 0, step: "any", placeholder: "0" });
  filters.high = element("input", { type: "number", min: 0, step: "any", placeholder: "any" });
  const form = element(
    "form",
    { class: "filters", role: "search", oninput: () => redraw(), onsubmit: (event) => event.preventDefault() },
    label("Text, name or speaker", filters.text, "wide"),
    label("Corpus", filters.corpus),
    label("WER % from", filters.low),
    label("to", filters.high),
  );
  if (report.comparison) {
    filters.change = element("select", {}, options(Object.keys(CHANGES)));
    form.append(label("Against the baseline", filters.change));
  }
  return form;
}

function utteranceColumns() {
  const columns = [
    { name: "utterance", value: (each) => each.utterance_id },
    { name: "WER %", class: "number", value: rateOf, cell: (each) => percent(rateOf(each), 0) },
    { name: "errors", class: "number minor", value: (each) => countErrors(each.words) },
    { name: "corpus", class: "minor", value: (each) => each.corpus || "" },
    {
      name: "seconds",
      class: "number minor",
      value: (each) => each.duration,
      cell: (each) => each.duration.toFixed(1),
    },
    {
      name: "said",
      class: "text",
      value: (each) => each.reference,
      cell: (each) => element("span", {}, each.reference),
    },
  ];
  const change = {
    name: "change",
    title: "in errors, against the baseline",
    class: "number",
    value: changeOf,
    cell: (each) => (changeOf(each) > 0 ? "+" : changeOf(each) < 0 ? "\u2212" : "") + Math.abs(changeOf(each)),
  };
  return report.comparison ? [...columns.slice(0, 3), change, ...columns.slice(3)] : columns;
}

function showUtterances() {
  const columns = utteranceColumns();
  const rows = report.utterances.map((utterance, index) => ({ ...utterance, index }));
  const table = makeTable({
    caption: "Open one by its name",
    columns,
    rows,
    length: PAGE_LENGTH,
    sort: { column: columns[2], descending: true },
    expand: makeDetail,
  });
  const status = element("span", { class: "faint", role: "status" });
  const chip = element("button", {
    class: "chip",
    type: "button",
    onclick: () => {
      confusion = null;
      redraw();
    },
  });
  redraw = () => {
    const wanted = rows.filter(isWanted);
    table.draw({ rows: wanted, shown: PAGE_LENGTH });
    status.textContent = `${wanted.length} of ${rows.length} utterances`;
    chip.hidden = !confusion;
    chip.textContent = confusion
      ? `${confusion.edit}: ${confusion.reference || "\u2014"} \u2192 ${confusion.hypothesis || "\u2014"} \u2715`
      : "";
  };
  const legend = element(
    "p",
    { class: "legend" },
    Object.entries(MARKS).map(([edit, mark]) => element("span", { class: edit }, element("b", {}, mark), ` ${edit}`)),
    status,
    chip,
  );
  section("utterances").append(makeFilters(), legend, table.node);
  redraw();
}

showAbout();
showFigures();
showComparison();
showGroups();
showConfusions();
showCalibration();
showUtterances();
