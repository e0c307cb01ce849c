/** Reads the language model in a thread of its own, for that takes as long as to open the network. */

import { readLanguageModel } from "./lexicon.js";
import { expand } from "./loading.js";
import { Tokenizer } from "./tokenizer.js";

onmessage = async ({ data: { bytes, characters } }) => {
  try {
    const lm = readLanguageModel(await expand(bytes), new Tokenizer(characters));
    const arrays = [...Object.values(lm), ...Object.values(lm.lexicon)].filter(ArrayBuffer.isView);
    postMessage({ lm }, arrays.map(({ buffer }) => buffer));
  } catch (error) {
    postMessage({ error: error.message ?? String(error) });
  }
  close();
};
