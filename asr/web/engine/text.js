/** Normalisation of texts as models are trained on them; the rules and their reasons stand in `asr/text.py`. */

const APOSTROPHES = /[\u2019\u2018\u02bc\u055a\u0060\u00b4\uff07]/gu;
// Soft hyphen, middle dots, Hebrew geresh and gershayim, Armenian signs of tone; and signs that only format.
const INSIDE_WORDS = /[\u00ad\u00b7\u0387\u2027\u05f3\u05f4\u055b\u055c\u055d\u055e]|(?!\u200b)\p{Cf}/gu;
const ABBREVIATION = /(?<![\p{L}\p{M}\p{N}])(?:\p{L}\p{M}*\.)+\p{L}\p{M}*(?![\p{L}\p{M}\p{N}])/gu;
const THOUSANDS = /(?<=\p{N}),(?=\p{N}{3}(?!\p{N}))/gu;

/** Return a text in lower case, composed, without punctuation, its words with single spaces between them. */
export function normalizeText(text) {
  const folded = text.replace(/\u0149/g, "'n").replace(APOSTROPHES, "'").normalize("NFKC").toLowerCase();
  const joined = folded.replace(ABBREVIATION, (match) => match.replaceAll(".", "")).replace(THOUSANDS, "");
  const kept = joined.replace(INSIDE_WORDS, "").replace(/[^'\p{L}\p{M}\p{N}]/gu, " ").replace(/'{2,}/g, " ");
  const words = kept.normalize("NFC").split(/\s+/u).filter(Boolean).map(unquote);
  return words.filter((word) => /[\p{L}\p{N}]/u.test(word)).join(" ");
}

function unquote(word) {
  return word.startsWith("'") && word.endsWith("'") ? word.replace(/^'+|'+$/g, "") : word;
}
