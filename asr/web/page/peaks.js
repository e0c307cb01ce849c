// The outline of a waveform: the loudest sample of each hundredth of a second.

export const PEAKS_PER_SECOND = 100;

const RATE = 16_000;
const MAX_BYTES = 150_000_000; // a longer recording would take gigabytes once it is decoded
const MAX_DURATION = 3600; // s

/** Find the peaks of samples, each in [0, 1]. */
export function findPeaks(samples, sampleRate) {
  const size = sampleRate / PEAKS_PER_SECOND;
  const peaks = new Float32Array(Math.ceil(samples.length / size));
  for (let index = 0; index < samples.length; index++) {
    const peak = Math.floor(index / size);
    peaks[peak] = Math.max(peaks[peak], Math.abs(samples[index]));
  }
  return peaks;
}

/** Decode a recording and find its peaks; `null` where the browser cannot read it or it is too long to be drawn. */
export async function readPeaks(file, duration) {
  if (file.size > MAX_BYTES || duration > MAX_DURATION) return null;
  try {
    const decoder = new OfflineAudioContext(1, 1, RATE);
    const audio = await decoder.decodeAudioData(await file.arrayBuffer());
    const channels = Array.from({ length: audio.numberOfChannels }, (_, index) => audio.getChannelData(index));
    const peaks = channels.map((channel) => findPeaks(channel, audio.sampleRate));
    return peaks[0].map((_, index) => Math.max(...peaks.map((channel) => channel[index])));
  } catch {
    return null;
  }
}
