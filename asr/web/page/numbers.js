// Numbers as Python writes them, so that a file from the page and one from the command line are the same.

/** Round to the nearest integer; halves go to the even one. */
export function roundHalfEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/** Write a number with a fixed count of decimals; exact halves go to the even digit. */
export function toFixed(value, digits) {
  // Half a unit of the last digit is a binary fraction only in odd multiples of 2 ** -(digits + 1).
  const scaled = value * 2 ** (digits + 1);
  if (!Number.isInteger(scaled) || scaled % 2 === 0) return value.toFixed(digits);
  return (roundHalfEven(value * 10 ** digits) / 10 ** digits).toFixed(digits);
}

/** Round to a count of decimals. */
export function roundTo(value, digits) {
  return Number(toFixed(value, digits));
}

/** Write a floating-point number with the fewest digits that read back as the same one: `1.0`, `0.25`, `1e-05`. */
export function formatFloat(value) {
  if (Number.isInteger(value) && Math.abs(value) < 1e16) return `${value}.0`;
  const size = Math.abs(value);
  if (size >= 1e-4 && size < 1e16) return String(value);
  return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
}

/** Write a time in seconds as on a clock: `01:02:03.456`. */
export function formatTimestamp(seconds, decimalMark = ".") {
  const total = roundHalfEven(seconds * 1000);
  const pad = (value, width) => String(value).padStart(width, "0");
  const clock = [Math.floor(total / 3_600_000), Math.floor(total / 60_000) % 60, Math.floor(total / 1000) % 60];
  return `${clock.map((part) => pad(part, 2)).join(":")}${decimalMark}${pad(total % 1000, 3)}`;
}
