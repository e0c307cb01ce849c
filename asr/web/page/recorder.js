// The microphone as blocks of float samples.

const RATE = 16_000;

// The recogniser was trained on speech as it is, and its features do not depend on the level.
const CONSTRAINTS = {
  audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
};

const REASONS = {
  NotAllowedError: "The microphone is blocked. Allow it for this page in the settings of the browser, then try again.",
  NotFoundError: "No microphone was found. Connect one, then try again.",
  NotReadableError: "Another program uses the microphone. Close that, then try again.",
};

/**
 * Open the microphone.
 *
 * Returns {sampleRate, start(onBlock, onLost), stop() -> Promise}: no block comes before `start` or after `stop`, and
 * `onLost()` is called once if the microphone is unplugged or taken away in between.
 */
export async function openMicrophone() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("This browser gives the microphone to secure pages only: open the page by https or on localhost.");
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia(CONSTRAINTS);
  } catch (error) {
    throw new Error(REASONS[error.name] ?? `The microphone cannot be opened: ${error.message}`);
  }
  try {
    return await connect(stream);
  } catch (error) {
    release(stream);
    throw new Error(`The microphone cannot be read: ${error.message}`);
  }
}

async function connect(stream) {
  const { context, source } = openContext(stream);
  await context.audioWorklet.addModule(new URL("recorder-worklet.js", import.meta.url));
  const collector = new AudioWorkletNode(context, "collector", { numberOfOutputs: 0 });
  return {
    sampleRate: context.sampleRate,
    start(onBlock, onLost) {
      // A track that is stopped from here ends without this event.
      stream.getAudioTracks()[0].addEventListener("ended", onLost, { once: true });
      collector.port.onmessage = ({ data }) => onBlock(data);
      source.connect(collector);
    },
    stop() {
      return new Promise((resolve) => {
        const onBlock = collector.port.onmessage;
        collector.port.onmessage = (event) => {
          if (event.data !== null) {
            onBlock?.(event);
            return;
          }
          release(stream);
          context.close().then(resolve);
        };
        collector.port.postMessage("stop");
      });
    },
  };
}

/** Open a context at 16 kHz; some browsers connect a microphone only at its own rate. */
function openContext(stream) {
  const context = new AudioContext({ sampleRate: RATE });
  try {
    return { context, source: context.createMediaStreamSource(stream) };
  } catch {
    context.close();
    const own = new AudioContext();
    return { context: own, source: own.createMediaStreamSource(stream) };
  }
}

const release = (stream) => stream.getTracks().forEach((track) => track.stop());
