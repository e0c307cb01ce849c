// Runs beside the audio: collects the samples of the microphone and hands them on, a tenth of a second at a time.

class Collector extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(Math.round(sampleRate / 10));
    this.filled = 0;
    this.stopped = false;
    this.port.onmessage = () => {
      this.stopped = true;
      this.port.postMessage(this.block.slice(0, this.filled));
      this.port.postMessage(null); // nothing comes after
    };
  }

  process([channels]) {
    if (this.stopped) return false;
    for (const sample of channels[0] ?? []) {
      this.block[this.filled++] = sample;
      if (this.filled === this.block.length) {
        this.port.postMessage(this.block, [this.block.buffer]);
        this.block = new Float32Array(Math.round(sampleRate / 10));
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("collector", Collector);
