"use strict";
// The data of the report becomes the page. Text enters by text nodes alone, so that it can never be markup.

const { report, audio, pictures } = JSON.parse(document.getElementById("data").textContent);
const MARKS = { substitution: "S", deletion: "D", insertion: "I" };
const PAGE_LENGTH = 25;
const PIXELS_PER_SECOND = 90; // wide enough for most words to be read below the waveform
const SVG = "http://www.w3.org/2000/svg";

/* Elements, text and numbers */

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false)
      node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

const element = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const shape = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const section = (id) => document.getElementById(id);
const percent = (rate, digits = 1) => (100 * rate).toFixed(digits);
const signed = (rate) => (rate > 0 ? "+" : rate < 0 ? "\u2212" : "") + percent(Math.abs(rate));
const countErrors = (words) => words.substitutions + words.deletions + words.insertions;
const countWords = (words) => words.hits + words.substitutions + words.deletions;
const clock = (seconds) => `${seconds.toFixed(2)} s`;

/* A table that sorts; a column has a title, a value to sort by, and perhaps a cell that shows it */

function sortedBy(rows, column, descending) {
  const order = (left, right) => {
    const [a, b] = [column.value(left), column.value(right)];
    return typeof a === "string" ? a.localeCompare(b) : a - b;
  };
  return [...rows].sort((left, right) => (descending ? order(right, left) : order(left, right)));
}

function makeTable({ caption, columns, rows, length = 12, sort = null, expand = null }) {
  let current = { rows, shown: length, sort };
  const body = element("tbody");
  const more = element("button", {
    class: "more",
    type: "button",
    onclick: () => draw({ shown: current.shown + 2 * length }),
  });
  const heads = columns.map((column) =>
    element(
      "th",
      { scope: "col", class: column.class },
      element("button", { type: "button", title: column.title, onclick: () => resort(column) }, column.name),
    ),
  );

  function resort(column) {
    const again = current.sort && current.sort.column === column;
    draw({
      sort: { column, descending: again ? !current.sort.descending : typeof column.value(rows[0]) !== "string" },
    });
  }

  function draw(change) {
    current = { ...current, ...change };
    const { column, descending } = current.sort || {};
    const ordered = column ? sortedBy(current.rows, column, descending) : current.rows;
    columns.forEach((each, index) =>
      heads[index].setAttribute("aria-sort", each !== column ? "none" : descending ? "descending" : "ascending"),
    );
    body.replaceChildren(...ordered.slice(0, current.shown).map((row) => makeRow(row, columns, expand)));
    more.hidden = ordered.length <= current.shown;
    more.textContent = `Show more (${ordered.length - current.shown} left)`;
  }

  draw({});
  const table = element(
    "table",
    {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, heads)),
    body,
  );
  return { node: element("div", {}, table, more), draw };
}

function makeRow(row, columns, expand) {
  const cells = columns.map((column, index) => {
    const content = column.cell ? column.cell(row) : column.value(row);
    const cell = element(index ? "td" : "th", { class: column.class, scope: index ? null : "row" });
    cell.append(!index && expand ? makeOpener(row, content, columns.length, expand) : content);
    return cell;
  });
  return element("tr", {}, cells);
}

function makeOpener(row, content, width, expand) {
  const opener = element(
    "button",
    { class: "link", type: "button", "aria-expanded": "false", onclick: toggle },
    content,
  );
  let detail = null;
  function toggle() {
    if (detail) detail.remove();
    detail = detail ? null : element("tr", { class: "detail" }, element("td", { colspan: width }, expand(row)));
    if (detail) opener.closest("tr").after(detail);
    opener.setAttribute("aria-expanded", String(Boolean(detail)));
  }
  return opener;
}
