// Small helpers for the document.

export const find = (selector, root = document) => root.querySelector(selector);

/** Make an element with properties (`class`, `data`, `aria-…`, `on…`) and children. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Write seconds for people: `0:03`, `1:02:03`, with tenths where they are wanted: `0:03.2`. */
export function clock(seconds, { tenths = false } = {}) {
  const total = tenths ? Math.round(seconds * 10) / 10 : Math.floor(seconds);
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor(total / 60) % 60;
  const rest = total % 60;
  const pad = (value) => String(value).padStart(2, "0");
  const shown = tenths ? `${rest < 10 ? "0" : ""}${rest.toFixed(1)}` : pad(rest);
  return hours ? `${hours}:${pad(minutes)}:${shown}` : `${minutes}:${shown}`;
}

/** Count things in words: `1 word`, `2 words`. */
export const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

/** Say something to screen readers. */
export function announce(message) {
  find("#announcer").textContent = message;
}

/** Offer a text as a file to save. */
export function save(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000); // after the browser has begun to read it
}

/** Give a canvas the pixels of the screen; return its context, in CSS pixels, cleared, and its size. */
export function prepareCanvas(canvas, height = canvas.clientHeight) {
  const width = canvas.clientWidth;
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return { context, width, height };
}

/** Read a colour of the style sheet, such as `--accent`. */
export const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Call back where the colours or the width of an element change. */
export function onAppearance(element, callback) {
  new ResizeObserver(() => callback()).observe(element);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => callback());
}
