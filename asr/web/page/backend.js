// What recognises, behind one interface: `server` is the server that sent this page, `local` the browser itself.
//
//   transcribe(file, {hotWords, onProgress(fraction), signal}) -> Promise<{text, duration, segments}>
//   openStream({sampleRate, hotWords, onPartial({committed, tail}), onFinal({start, end, words}), onError(message)})
//     -> Promise<{send(Float32Array), finish() -> Promise, abort()}>
//   ready: a Promise that is resolved once it can recognise
//   inspect(file) -> Promise<{mfcc, silence, posteriors, alphabet, frameShift, path, greedy, text, alternatives}>
//
// `segments` are those of transcript.js. `alphabet` names the columns of `posteriors`, the blank first, as "". `path`
// holds a column for each frame: the likeliest path that spells `text`. `silence` has the start and the end, in
// seconds, of each stretch that the network was not given; `mfcc` is 0 there. An error is an Error with a message for
// people; one of `openStream` that has `canRecord` leaves the way open to transcribe the recording once it has ended.

/** Make the backend that the page asks for in <meta name="asr-backend">. */
export async function createBackend() {
  const kind = document.querySelector('meta[name="asr-backend"]').content;
  const { createBackend: create } = await import(kind === "local" ? "./backend-local.js" : "./backend-server.js");
  return create();
}
