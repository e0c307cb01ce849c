/** The alphabet: character `i` is token `i + 1`, and token 0 is the blank of CTC. */

export const BLANK = 0;

const BASE_LETTERS = {
  ß: "ss", æ: "ae", œ: "oe", ø: "o", ł: "l", đ: "d", ð: "d", þ: "th", ħ: "h", ı: "i",
};

/** Turns characters into tokens and back. */
export class Tokenizer {
  /** @param {string[]} characters the alphabet, in the order of the tokens */
  constructor(characters) {
    this.characters = characters;
    this.tokens = new Map(characters.map((character, index) => [character, index + 1]));
    this.space = this.tokens.get(" ") ?? -1; // -1 where the alphabet has none
    this.vocabularySize = characters.length + 1;
  }

  /** Join tokens that are already collapsed. */
  join(tokens) {
    let text = "";
    for (const token of tokens) text += this.characters[token - 1];
    return text;
  }

  /** Turn a text into tokens; null where the alphabet lacks a character. */
  encode(text) {
    const tokens = Array.from(text, (character) => this.tokens.get(character));
    return tokens.includes(undefined) ? null : tokens;
  }

  /** Write base letters for the characters that the alphabet lacks, where it has those: `café` as `cafe`. */
  spell(text) {
    return Array.from(text, (character) => {
      if (this.tokens.has(character)) return character;
      const letters = (BASE_LETTERS[character] ?? character).normalize("NFD").replace(/\p{M}/gu, "");
      return this.encode(letters) ? letters : character;
    }).join("");
  }

  /** Turn the tokens of frames into text: collapse repeats, then drop blanks. */
  decode(frameTokens) {
    return this.join(frameTokens.filter((token, i) => token !== BLANK && token !== frameTokens[i - 1]));
  }
}
