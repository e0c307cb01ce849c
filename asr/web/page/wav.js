// Samples in [-1, 1] as 16-bit PCM, and PCM as a WAV file.

/** Turn float samples into 16-bit ones; beyond full scale they are clipped. */
export function toInt16(samples) {
  return Int16Array.from(samples, (sample) => Math.round(Math.max(-1, Math.min(1, sample)) * 32767));
}

/** Make a mono WAV file of blocks of 16-bit samples. */
export function encodeWav(blocks, sampleRate) {
  const numBytes = blocks.reduce((sum, block) => sum + block.byteLength, 0);
  const header = new DataView(new ArrayBuffer(44));
  const writeText = (offset, text) => [...text].forEach((c, i) => header.setUint8(offset + i, c.charCodeAt(0)));
  writeText(0, "RIFF");
  header.setUint32(4, 36 + numBytes, true);
  writeText(8, "WAVEfmt ");
  header.setUint32(16, 16, true); // bytes in this chunk
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true); // channels
  header.setUint32(24, sampleRate, true);
  header.setUint32(28, sampleRate * 2, true); // bytes a second
  header.setUint16(32, 2, true); // bytes a frame
  header.setUint16(34, 16, true); // bits a sample
  writeText(36, "data");
  header.setUint32(40, numBytes, true);
  return new Blob([header, ...blocks], { type: "audio/wav" });
}
