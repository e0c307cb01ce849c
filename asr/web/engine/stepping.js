/**
 * The network on a stream: sound that grows becomes log-probabilities, chunk by chunk (see
 * `asr/acoustic/streaming_runtime.py`). The forward cells go on from chunk to chunk; the backward cells begin at the
 * end of what has come.
 */

import { FeatureStream } from "./feature-stream.js";

const AFTER = /_out$/; // ends the names of outputs that are states
const CONV_REACH = 2; // features beyond a frame of the network that the convolutions reach to, on each side

/** Runs steps of any number of streams. */
export class StepNetwork {
  /**
   * @param {object} ort ONNX Runtime
   * @param {object} config the `network` section of `config.json`
   * @param {object} session of the graph `streaming.onnx`
   * @param {{mean: number[], variance: number[]}} prior what features are like before any sound has come
   */
  constructor(ort, config, session, prior) {
    Object.assign(this, { ort, config, session, prior });
    this.stateNames = session.outputNames.filter((name) => AFTER.test(name)).map((name) => name.replace(AFTER, ""));
    this.minContext = 1 + Math.ceil(CONV_REACH / config.subsampling); // frames of the network
  }

  /** Return the states before the first chunk. */
  initialStates() {
    const { num_layers: numLayers, hidden_size: size } = this.config;
    const zeros = () => new this.ort.Tensor("float32", new Float32Array(numLayers * size), [numLayers, 1, size]);
    return Object.fromEntries(this.stateNames.map((name) => [name, zeros()]));
  }

  /**
   * Run a step.
   * @param {Float32Array} features left context, chunk and right context, row by row
   * @param {number} skip frames of the network that the left context takes
   * @param {number} keep frames of the network in the chunk, at least 1, and fewer than there are after `skip`
   * @param {object} states those after the chunk before
   * @returns {Promise<{posteriors: import("./posteriors.js").Posteriors, states: object}>} of the chunk and of the
   *   right context
   */
  async step(features, skip, keep, states) {
    const { Tensor } = this.ort;
    const size = this.prior.mean.length;
    const number = (value) => new Tensor("int64", BigInt64Array.of(BigInt(value)), []);
    const outputs = await this.session.run({
      features: new Tensor("float32", features, [1, features.length / size, size]),
      skip: number(skip),
      keep: number(keep),
      ...states,
    });
    const { log_probs: characters, phone_log_probs: phones } = outputs;
    if (characters.data.some(Number.isNaN)) throw new Error("the network gave NaN; its weights are damaged");
    return {
      posteriors: { logProbs: characters.data, phoneLogProbs: phones?.data ?? null, numFrames: characters.dims[1] },
      states: Object.fromEntries(this.stateNames.map((name) => [name, outputs[`${name}_out`]])),
    };
  }
}

/** Scores one stretch of sound while it comes in. */
export class StreamScorer {
  /**
   * @param {StepNetwork} network
   * @param {import("./mfcc.js").FrontEnd} frontEnd
   */
  constructor(network, frontEnd) {
    Object.assign(this, { network, states: network.initialStates(), numScored: 0 }); // frames that are final
    this.features = new FeatureStream(frontEnd, network.prior);
  }

  /** The frames of the network whose sound has begun to come, and that are not final. */
  get numWaiting() {
    return Math.ceil(this.features.numFrames / this.network.config.subsampling) - this.numScored;
  }

  /** Take the next samples, at the rate of the model. */
  accept(samples) {
    this.features.accept(samples);
  }

  /**
   * Score the next chunk for good; return the posteriors of it and of the context after it, which are provisional.
   * Together they are no more than are waiting.
   */
  async advance(chunk, context) {
    const { posteriors, states } = await this.step(chunk + context, chunk);
    this.states = states;
    this.numScored += chunk;
    return posteriors;
  }

  /** Score what is waiting, at least two frames, provisionally. */
  async preview() {
    return (await this.step(this.numWaiting, 1)).posteriors;
  }

  step(numFrames, keep) {
    const { subsampling } = this.network.config;
    const skip = Math.min(this.numScored, this.network.minContext);
    const begin = (this.numScored - skip) * subsampling;
    const features = this.features.normalized(begin, (this.numScored + numFrames) * subsampling);
    return this.network.step(features, skip, keep, this.states);
  }
}
