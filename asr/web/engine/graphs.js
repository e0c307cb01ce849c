/**
 * Graphs of ONNX that take weights as inputs become graphs that hold them: what the runtime holds it copies and lays
 * out once, and an input at each run. Source: onnx/onnx.proto for the numbers of fields.
 */

const MODEL_GRAPH = 7;
const GRAPH_INITIALIZER = 5;
const GRAPH_INPUT = 11;
const VALUE_NAME = 1;
const TENSOR = { dims: 1, type: 2, name: 8, external: 13, location: 14 };
const EXTERNAL = 1;
const LENGTH_DELIMITED = 2;
export const FLOAT = 1;
export const INT8 = 3;

/**
 * Let a graph hold a weight.
 * @param {Uint8Array} model
 * @param {string} input the name of the weight in the graph
 * @param {{type: number, shape: number[], numBytes: number}} weight
 * @param {string} path what the file of the weight is called when the graph is opened
 * @returns {Uint8Array} the model
 */
export function bindWeight(model, input, { type, shape, numBytes }, path) {
  const tensor = [
    ...shape.flatMap((size) => writeNumber(TENSOR.dims, size)),
    ...writeNumber(TENSOR.type, type),
    ...writeText(TENSOR.name, input),
    ...Object.entries({ location: path, offset: "0", length: String(numBytes) }).flatMap(([key, value]) =>
      writeBytes(TENSOR.external, [...writeText(1, key), ...writeText(2, value)])),
    ...writeNumber(TENSOR.location, EXTERNAL),
  ];
  return Uint8Array.from(readFields(model).flatMap(({ number, content, whole }) => {
    if (number !== MODEL_GRAPH) return whole;
    const fields = readFields(content).filter(
      (field) => field.number !== GRAPH_INPUT || nameOf(field.content) !== input,
    );
    return writeBytes(MODEL_GRAPH, [
      ...fields.flatMap((field) => field.whole),
      ...writeBytes(GRAPH_INITIALIZER, tensor),
    ]);
  }));
}

/** List the fields of a message: number, content if it has a length, and all bytes. */
function readFields(bytes) {
  const fields = [];
  for (let at = 0; at < bytes.length; ) {
    const begin = at;
    const read = () => {
      let value = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = bytes[at++];
        value |= (byte & 127) << shift;
        if (byte < 128) return value;
      }
    };
    const tag = read();
    const value = read(); // there are numbers and contents with a length alone
    const content = (tag & 7) === LENGTH_DELIMITED ? bytes.slice(at, at + value) : null;
    at += content?.length ?? 0;
    fields.push({ number: tag >> 3, content, whole: Array.from(bytes.slice(begin, at)) });
  }
  return fields;
}

function nameOf(value) {
  return new TextDecoder().decode(readFields(value).find(({ number }) => number === VALUE_NAME).content);
}

function writeVarint(value) {
  const bytes = [];
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128);
  return [...bytes, value];
}

const writeNumber = (number, value) => [...writeVarint(number << 3), ...writeVarint(value)];
const writeBytes = (number, bytes) => [
  ...writeVarint((number << 3) | LENGTH_DELIMITED),
  ...writeVarint(bytes.length),
  ...bytes,
];
const writeText = (number, text) => writeBytes(number, new TextEncoder().encode(text));
