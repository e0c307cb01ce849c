/** Why a recording gave no words: what its samples say, as one line (see `asr/recognition/explanation.py`). */

const SPEECH_LEVEL = -25; // dBFS, typical
const SILENCE_LEVEL = -60;
const MIN_SPEECH_CREST = 6; // dB of the peak above the mean level
const MAX_CLIPPED_FRACTION = 0.01;
const CLIPPED_MAGNITUDE = 0.999;

/** Say why nothing was recognised, the likeliest cause first. */
export function explainNoWords(waveform, sampleRate, minNumSamples) {
  if (waveform.length < minNumSamples) {
    const [found, needed] = [waveform.length, minNumSamples].map((count) => ((1000 * count) / sampleRate).toFixed(1));
    return `lasts ${found} ms, shorter than the ${needed} ms that the model needs`;
  }
  let [peak, power, clipped] = [0, 0, 0];
  for (const value of waveform) {
    const magnitude = Math.abs(value);
    peak = Math.max(peak, magnitude);
    power += (value * value) / waveform.length;
    clipped += magnitude >= CLIPPED_MAGNITUDE;
  }
  const level = 10 * Math.log10(power);
  const crest = 20 * Math.log10(peak) - level;
  if (!peak) return "digital silence: every sample is zero";
  if (level < SILENCE_LEVEL) {
    return `silence: its level is ${level.toFixed(0)} dBFS, and speech lies near ${SPEECH_LEVEL} dBFS`;
  }
  const fraction = clipped / waveform.length;
  if (fraction > MAX_CLIPPED_FRACTION) {
    return `clipped: ${(100 * fraction).toFixed(0)}% of its samples are at full scale; record it quieter`;
  }
  if (crest < MIN_SPEECH_CREST) {
    const difference = `${crest.toFixed(1)} dB`;
    return `unlike speech: its peak is only ${difference} above its mean level, as in a tone, noise or raw data`;
  }
  return "unlike speech, or too far from the microphone: the model recognised no word";
}
