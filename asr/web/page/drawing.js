// The pictures of the inside view: heat maps with a frame a column, on one time axis.

import { color, prepareCanvas } from "./dom.js";

/** Read a colour of the style sheet, `#rrggbb`, as three numbers. */
const readRgb = (name) => [1, 3, 5].map((start) => parseInt(color(name).slice(start, start + 2), 16));

const mix = (from, to, fraction) => from.map((value, index) => value + (to[index] - value) * fraction);

/** Colour a probability, stronger where it is higher. */
export function makeSequentialScale() {
  const [low, high] = [readRgb("--heat-low"), readRgb("--heat-high")];
  return (value) => mix(low, high, Math.sqrt(Math.max(0, Math.min(1, value)))); // the root lets small ones be seen
}

/** Colour a value by its sign and size; `limit` has the strongest colour. */
export function makeDivergingScale(limit) {
  const [low, middle, high] = ["--heat-negative", "--heat-low", "--heat-positive"].map(readRgb);
  return (value) => mix(middle, value < 0 ? low : high, Math.min(1, Math.abs(value) / limit));
}

/** Draw `rows x columns` values as a heat map that fills the canvas; row 0 is at the top. */
export function drawHeatMap(canvas, numRows, numColumns, valueAt, scale) {
  const { context, width, height } = prepareCanvas(canvas);
  const image = new ImageData(numColumns, numRows);
  for (let row = 0; row < numRows; row++) {
    for (let column = 0; column < numColumns; column++) {
      const pixel = 4 * (row * numColumns + column);
      image.data.set([...scale(valueAt(row, column)), 255], pixel);
    }
  }
  const small = new OffscreenCanvas(numColumns, numRows);
  small.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, width, height);
  return { context, width, height };
}

/** Draw a path over the posteriors: a line from frame to frame, and a letter where a new one begins. */
export function drawPath({ context, width, height }, path, rows, names) {
  const [frameWidth, rowHeight] = [width / path.length, height / rows.length];
  const rowOf = new Map(rows.map((column, row) => [column, row]));
  const middle = (frame) => [(frame + 0.5) * frameWidth, (rowOf.get(path[frame]) + 0.5) * rowHeight];
  context.strokeStyle = color("--path");
  context.globalAlpha = 0.45; // the probabilities stay visible
  context.lineJoin = "round";
  context.beginPath();
  path.forEach((_, frame) => context.lineTo(...middle(frame)));
  context.stroke();
  context.globalAlpha = 1;
  context.font = `600 11px ${getComputedStyle(document.body).fontFamily}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  path.forEach((column, frame) => {
    if (column === 0 || column === path[frame - 1]) return;
    const [x, y] = middle(frame);
    context.fillStyle = color("--path");
    context.beginPath();
    context.arc(x, y, 7.5, 0, 2 * Math.PI);
    context.fill();
    context.fillStyle = color("--on-path");
    context.fillText(names[column], x, y + 0.5);
  });
}

/** Write the names of the rows, top to bottom. */
export function drawRowNames(canvas, names) {
  const { context, width, height } = prepareCanvas(canvas);
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  context.fillStyle = color("--faint");
  context.textAlign = "right";
  context.textBaseline = "middle";
  names.forEach((name, row) => context.fillText(name, width - 6, ((row + 0.5) * height) / names.length));
}

/** Write the seconds below a picture, as close as they can stand. */
export function drawTimeAxis(canvas, duration) {
  const { context, width } = prepareCanvas(canvas);
  const step = [0.1, 0.2, 0.5, 1, 2, 5].find((seconds) => (seconds / duration) * width >= 48) ?? 5;
  context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  context.fillStyle = color("--faint");
  context.textBaseline = "top";
  for (let index = 0; index * step <= duration; index++) {
    const x = ((index * step) / duration) * width;
    context.textAlign = index === 0 ? "left" : x > width - 20 ? "right" : "center";
    context.fillRect(Math.min(x, width - 1), 0, 1, 4);
    context.fillText(`${(index * step).toFixed(step < 1 ? 1 : 0)} s`, x, 6);
  }
}
