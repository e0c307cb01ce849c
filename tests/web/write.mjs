// Writes transcripts, given as JSON on the standard input, in every format, and prints the texts as JSON.

import { readFileSync } from "node:fs";
import { write, WRITERS } from "../../asr/web/page/writers.js";

const transcripts = JSON.parse(readFileSync(0, "utf-8"));
const texts = transcripts.map(({ name, transcript }) =>
  Object.fromEntries(Object.keys(WRITERS).map((format) => [format, write(format, transcript, { name })])),
);
console.log(JSON.stringify(texts));
