// What all utterances say together: key figures, the baseline, groups, confusions, confidence.

function showAbout() {
  const pairs = Object.entries(report.about);
  if (report.comparison) pairs.push(["compared with", report.comparison.about.model || "another report"]);
  section("about").append(
    ...pairs.map(([name, value]) =>
      element("div", {}, element("dt", {}, name.replaceAll("_", " ")), element("dd", {}, String(value))),
    ),
  );
}

function makeCard(name, value, note) {
  return element(
    "div",
    { class: "card" },
    element("span", {}, name),
    element("b", {}, value),
    element("span", { class: "faint" }, note),
  );
}

function showFigures() {
  const { overall, confidence, real_time_factor: factor } = report;
  const low = percent(overall.interval_low),
    high = percent(overall.interval_high);
  section("figures").append(
    makeCard("Word error rate", `${percent(overall.word_error_rate)} %`, `95 % interval ${low} to ${high} %`),
    makeCard("Character error rate", `${percent(overall.character_error_rate)} %`, "spaces count"),
    makeCard(
      "Word errors",
      String(countErrors(overall)),
      `of ${overall.words} words: ${overall.substitutions} S, ${overall.deletions} D, ${overall.insertions} I`,
    ),
    makeCard("Speed", `${(1 / factor).toFixed(1)} \u00d7`, `real time; factor ${factor.toFixed(4)}`),
    makeCard("Audio", `${overall.hours.toFixed(2)} h`, `${overall.utterances} utterances, ${report.failed} failed`),
  );
  if (confidence) {
    section("figures").append(
      makeCard(
        "Calibration error",
        confidence.error_after.toFixed(3),
        `of confidence; ${confidence.error_before.toFixed(3)} uncalibrated`,
      ),
    );
  }
}

function makeRange(low, middle, high, from, to) {
  const place = (rate) => `${(100 * (rate - from)) / (to - from || 1)}%`;
  const bar = `left:${place(low)};right:calc(100% - ${place(high)})`;
  return element(
    "span",
    { class: "range", "aria-hidden": "true" },
    element("i", { style: bar }),
    element("b", { style: `left:${place(middle)}` }),
  );
}

function groupColumns(name, rows) {
  const highest = Math.max(...rows.map((row) => row.interval_high));
  return [
    { name, value: (row) => row.name },
    {
      name: "WER %",
      class: "number",
      value: (row) => row.word_error_rate,
      cell: (row) => percent(row.word_error_rate),
    },
    {
      name: "interval",
      title: "95 % bootstrap interval of the word error rate",
      class: "spread",
      value: (row) => row.interval_high,
      cell: (row) =>
        element(
          "span",
          { title: `${percent(row.interval_low)} to ${percent(row.interval_high)} %` },
          makeRange(row.interval_low, row.word_error_rate, row.interval_high, 0, highest),
          element("span", { class: "hidden" }, `${percent(row.interval_low)} to ${percent(row.interval_high)}`),
        ),
    },
    {
      name: "CER %",
      class: "number minor",
      value: (row) => row.character_error_rate,
      cell: (row) => percent(row.character_error_rate),
    },
    { name: "words", class: "number minor", value: (row) => row.words },
    { name: "utterances", class: "number minor", value: (row) => row.utterances },
  ];
}

function showGroups() {
  const groups = [
    ["By corpus", "corpus", "corpora"],
    ["By duration", "duration", "durations"],
    ["By level", "level", "levels"],
    ["By estimated signal-to-noise ratio", "ratio", "signal_to_noise"],
    ["By speaker", "speaker", "speakers"],
  ];
  const panels = groups
    .filter(([, , key]) => report[key].length)
    .map(([caption, name, key]) => {
      const columns = groupColumns(name, report[key]);
      const sort = key === "speakers" ? { column: columns[1], descending: true } : null;
      return element(
        "div",
        { class: "panel" },
        makeTable({ caption, columns, rows: report[key], sort, length: 8 }).node,
      );
    });
  section("groups").append(element("div", { class: "columns wider" }, panels));
}

function showConfusions() {
  const { substitutions, deletions, insertions, words, characters } = report.confusions;
  const count = { name: "times", class: "number", value: (row) => row.count };
  const spell = (text) => (text === " " ? "\u2423" : text || "\u2014");
  const find = (row, text) => element("button", { class: "link", type: "button", onclick: () => filterBy(row) }, text);
  const said = { name: "said", value: (row) => row.reference, cell: (row) => find(row, row.reference) };
  const heard = { name: "recognised", value: (row) => row.hypothesis };
  const inserted = { name: "recognised", value: (row) => row.hypothesis, cell: (row) => find(row, row.hypothesis) };
  const wrong = [
    { name: "word", value: (row) => row.word },
    { name: "wrong", class: "number", value: (row) => row.wrong },
    { name: "said", class: "number", value: (row) => row.said },
    {
      name: "share %",
      class: "number",
      value: (row) => row.wrong / row.said,
      cell: (row) => percent(row.wrong / row.said, 0),
    },
  ];
  const spelled = [
    { name: "said", value: (row) => spell(row.reference) },
    { name: "recognised", value: (row) => spell(row.hypothesis) },
    count,
  ];
  const tables = [
    ["Substitutions", [said, heard, count], substitutions],
    ["Deletions", [said, count], deletions],
    ["Insertions", [inserted, count], insertions],
    ["Words most often wrong", wrong, words],
    ["Characters", spelled, characters],
  ];
  section("confusions").append(
    element(
      "div",
      { class: "columns" },
      tables
        .filter(([, , rows]) => rows.length)
        .map(([caption, columns, rows]) =>
          element("div", { class: "panel" }, makeTable({ caption, columns, rows, length: 8 }).node),
        ),
    ),
  );
}

function showCalibration() {
  if (!report.confidence) return;
  const { curve, words } = report.confidence;
  const [x, y] = [(share) => 40 + 270 * share, (share) => 280 - 270 * share];
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => [
    shape("line", { class: "grid", x1: x(share), x2: x(share), y1: y(0), y2: y(1) }),
    shape("line", { class: "grid", x1: x(0), x2: x(1), y1: y(share), y2: y(share) }),
    shape("text", { x: x(share), y: y(0) + 15, "text-anchor": "middle" }, String(share)),
    shape("text", { x: x(0) - 6, y: y(share) + 4, "text-anchor": "end" }, String(share)),
  ]);
  const size = (count) => 3 + 9 * Math.sqrt(count / words);
  const points = curve.map((bin) =>
    shape("circle", { cx: x(bin.confidence), cy: y(bin.accuracy), r: size(bin.count) }),
  );
  const columns = [
    { name: "confidence", class: "number", value: (bin) => bin.confidence, cell: (bin) => bin.confidence.toFixed(2) },
    { name: "share right", class: "number", value: (bin) => bin.accuracy, cell: (bin) => bin.accuracy.toFixed(2) },
    { name: "words", class: "number", value: (bin) => bin.count },
  ];
  section("calibration").hidden = false;
  section("calibration").append(
    element(
      "div",
      { class: "columns" },
      element(
        "div",
        { class: "panel" },
        shape(
          "svg",
          {
            class: "curve",
            viewBox: "0 0 320 320",
            role: "img",
            "aria-label": "Share of right words over confidence; the table has the numbers",
          },
          ticks.flat(),
          shape("line", { class: "ideal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
          shape("path", {
            class: "line",
            d: "M" + curve.map((bin) => `${x(bin.confidence)},${y(bin.accuracy)}`).join("L"),
          }),
          points,
          shape("text", { x: x(0.5), y: 314, "text-anchor": "middle" }, "mean confidence"),
          shape(
            "text",
            { x: 10, y: y(0.5), "text-anchor": "middle", transform: `rotate(-90 10 ${y(0.5)})` },
            "share right",
          ),
        ),
        element(
          "p",
          { class: "faint" },
          "On the dashed line, words of confidence 0.8 are right 8 times in 10. Larger points hold more words.",
        ),
      ),
      element("div", { class: "panel" }, makeTable({ caption: "Bins of confidence", columns, rows: curve }).node),
    ),
  );
}

function showComparison() {
  if (!report.comparison) return;
  const rows = [report.comparison.overall, ...report.comparison.corpora];
  const edge = Math.max(...rows.map((row) => Math.max(Math.abs(row.interval_low), Math.abs(row.interval_high))));
  const columns = [
    { name: "corpus", value: (row) => row.name },
    {
      name: "baseline %",
      class: "number minor",
      value: (row) => row.baseline_word_error_rate,
      cell: (row) => percent(row.baseline_word_error_rate),
    },
    {
      name: "now %",
      class: "number",
      value: (row) => row.word_error_rate,
      cell: (row) => percent(row.word_error_rate),
    },
    {
      name: "change",
      title: "in points of word error rate; below 0 is better",
      class: "number",
      value: (row) => row.difference,
      cell: (row) => signed(row.difference),
    },
    {
      name: "95 % interval",
      class: "number minor",
      value: (row) => row.interval_low,
      cell: (row) => `${signed(row.interval_low)} to ${signed(row.interval_high)}`,
    },
    {
      name: "worse on the right",
      title: "the change and its interval; the middle is no change",
      class: "minor",
      value: (row) => row.interval_high,
      cell: (row) => makeRange(row.interval_low, row.difference, row.interval_high, -edge, edge),
    },
    {
      name: "p",
      title: "matched-pairs test, two-sided",
      class: "number",
      value: (row) => row.p_value,
      cell: (row) => (row.p_value < 0.001 ? "< 0.001" : row.p_value.toFixed(3)),
    },
    { name: "better", title: "utterances with fewer errors", class: "number minor", value: (row) => row.better },
    { name: "worse", title: "utterances with more errors", class: "number minor", value: (row) => row.worse },
  ];
  const { better, worse, utterances, probability_better: probability } = rows[0];
  const link = (change, text) =>
    element("button", { class: "link", type: "button", onclick: () => filterBy(null, change) }, text);
  section("comparison").hidden = false;
  section("comparison").append(
    element(
      "div",
      { class: "panel" },
      element(
        "p",
        {},
        `Of ${utterances} utterances that both have, `,
        link("better", `${better} got better`),
        " and ",
        link("worse", `${worse} got worse`),
        `; the error rate fell in ${percent(probability, 0)} % of the bootstrap samples.`,
      ),
      makeTable({ caption: "Word error rates", columns, rows }).node,
    ),
  );
}
