/** Tensors of a safetensors file, and the numbers that `asr/lm/packing.py` stores in fewer bytes. */

const VIEWS = {
  F64: Float64Array, F32: Float32Array, F16: Uint16Array, I64: BigInt64Array, I32: Int32Array, I16: Int16Array,
  I8: Int8Array, U64: BigUint64Array, U32: Uint32Array, U16: Uint16Array, U8: Uint8Array, BOOL: Uint8Array,
};
const ESCAPE = 255; // stands for a number that does not fit in one byte
const CODEBOOK_SIZE = 256;
export const SCALES = ".scales";

let halves = null; // the value of each number in half precision, by its bits

/**
 * Read the header of a file, and lay a view on each of its tensors.
 * @param {Uint8Array} bytes the whole file
 * @returns {{tensors: Map<string, {type: string, shape: number[], data: ArrayLike<number>}>, metadata: object}}
 */
export function readTensors(bytes) {
  const size = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + size)));
  const tensors = new Map();
  for (const [name, { dtype, shape, data_offsets: offsets }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [begin, end] = offsets;
    const View = VIEWS[dtype];
    if (!View) throw new Error(`${name} is of type ${dtype}, which the browser cannot read`);
    const start = bytes.byteOffset + 8 + size + begin;
    const isAligned = start % View.BYTES_PER_ELEMENT === 0;
    const data = isAligned
      ? new View(bytes.buffer, start, (end - begin) / View.BYTES_PER_ELEMENT)
      : new View(bytes.slice(8 + size + begin, 8 + size + end).buffer);
    tensors.set(name, { type: dtype, shape, data });
  }
  return { tensors, metadata: header.__metadata__ ?? {} };
}

/** Return the numbers of a tensor in single precision. */
export function toFloats({ type, data }) {
  if (type !== "F16") return data instanceof Float32Array ? data : Float32Array.from(data);
  halves ??= layHalves();
  const values = new Float32Array(data.length);
  for (let i = 0; i < values.length; i++) values[i] = halves[data[i]];
  return values;
}

/** Return where runs of some lengths begin, each behind another, and the last ends; lengths from 255 on stand apart. */
export function layOffsets(name, tensors, start) {
  const lengths = tensors.get(name).data;
  const large = tensors.get(`${name}_large`).data;
  const offsets = new Int32Array(lengths.length + 1);
  let offset = start;
  for (let i = 0, next = 0; i < lengths.length; i++) {
    offsets[i] = offset;
    offset += lengths[i] === ESCAPE ? large[next++] : lengths[i];
  }
  offsets[lengths.length] = offset;
  return offsets;
}

/** Return numbers that were replaced by codes, one codebook for each of several runs of `counts` numbers. */
export function decodeValues(name, tensors, counts) {
  const stored = tensors.get(name);
  if (stored.type !== "U8") return toFloats(stored);
  const codebooks = tensors.get(`${name}_codebooks`).data;
  const codes = stored.data;
  const values = new Float32Array(codes.length);
  let begin = 0;
  for (const [index, count] of counts.entries()) {
    const codebook = codebooks.subarray(CODEBOOK_SIZE * index, CODEBOOK_SIZE * (index + 1));
    for (let i = begin; i < begin + count; i++) values[i] = codebook[codes[i]];
    begin += count;
  }
  return values;
}

/** Return a weight whose rows are kept in 8 bits with a scale each, or some of its rows; one after the other. */
export function dequantizeRows(tensors, name, rows = null) {
  const weight = tensors.get(name);
  const scales = tensors.get(name + SCALES)?.data;
  if (!scales) return toFloats(weight);
  const [numRows, width] = weight.shape;
  const count = rows ? rows.length : numRows;
  const expanded = new Float32Array(count * width);
  for (let i = 0; i < count; i++) {
    const row = rows ? rows[i] : i;
    for (let j = 0; j < width; j++) expanded[i * width + j] = weight.data[row * width + j] * scales[row];
  }
  return expanded;
}

function layHalves() {
  return Float32Array.from({ length: 2 ** 16 }, (_, bits) => {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
}
