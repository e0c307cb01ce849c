/** Work on noise, so that the browser has compiled what is hot before somebody waits for it. */

const ROUNDS = 4;
const DURATION = 1; // seconds of each round
const CONTRAST = 8; // nats between the likeliest and the least likely token of a frame

/**
 * Use the parts of a recogniser that take long.
 * @param {import("./recognizer.js").Recognizer} recognizer
 * @param {() => boolean} isIdle asked before each round
 */
export async function warmUp(recognizer, isIdle) {
  const { sampleRate, network, tokenizer } = recognizer;
  const decoder = recognizer.decoderFor([]);
  for (let round = 0; round < ROUNDS; round++) {
    await new Promise((resolve) => setTimeout(resolve)); // lets requests come in
    if (!isIdle()) return;
    const posteriors = await network.score(
      Float32Array.from({ length: DURATION * sampleRate }, () => Math.random() - 0.5),
    );
    // Of noise the network would say that it is silence, and there were nothing to search.
    const logProbs = makePosteriors(posteriors.numFrames, tokenizer.vocabularySize);
    const [best] = await decoder.decode({ ...posteriors, logProbs });
    recognizer.placeSegment({ ...posteriors, logProbs }, best.tokens, 0, DURATION);
  }
}

/** Make log-probabilities that say something else in each frame. */
function makePosteriors(numFrames, size) {
  const logProbs = Float32Array.from({ length: numFrames * size }, () => CONTRAST * Math.random());
  for (let begin = 0; begin < logProbs.length; begin += size) {
    const row = logProbs.subarray(begin, begin + size);
    const total = Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
    row.forEach((value, token) => { row[token] = value - total; });
  }
  return logProbs;
}
