/** The acoustic model on ONNX Runtime: waveforms become posteriors. */

import { FrontEnd } from "./mfcc.js";
import { openFolded } from "./sessions.js";
import { insertBlanks, leaveOutSilence } from "./silence.js";

/** Runs the network of a bundle. */
export class AcousticNetwork {
  /**
   * @param {object} ort ONNX Runtime
   * @param {object} config the `network` section of `config.json`
   * @param {Uint8Array} graph the file `model.onnx`
   * @param {Uint8Array} weights the file `weights.safetensors`
   */
  static async open(ort, config, graph, weights) {
    const network = new AcousticNetwork();
    const session = await openFolded(ort, graph, weights);
    return Object.assign(network, { ort, config, session, frontEnd: new FrontEnd(config.features) });
  }

  /** Seconds from one frame of posteriors to the next. */
  get frameShift() {
    const { hop_length: hop, sample_rate: rate } = this.config.features;
    return (hop * this.config.subsampling) / rate;
  }

  /**
   * Run the network over one waveform.
   * @param {Float32Array} waveform at the model's rate, one frame of features long at least
   * @returns {Promise<import("./posteriors.js").Posteriors>}
   */
  async score(waveform) {
    const sound = leaveOutSilence(waveform, this.config);
    const { data, numFrames, size } = this.frontEnd.compute(sound.waveform);
    const outputs = await this.session.run({
      features: new this.ort.Tensor("float32", data, [1, numFrames, size]),
      lengths: new this.ort.Tensor("int64", BigInt64Array.of(BigInt(numFrames)), [1]),
    });
    const { log_probs: characters, phone_log_probs: phones } = outputs;
    if (characters.data.some(Number.isNaN)) throw new Error("the network gave NaN; its weights are damaged");
    const complete = (tensor) => insertBlanks(tensor.data, tensor.dims[2], sound.leftOut);
    const logProbs = complete(characters);
    return {
      logProbs,
      phoneLogProbs: phones ? complete(phones) : null,
      numFrames: logProbs.length / characters.dims[2],
    };
  }
}
