// Plays a recording and shows its waveform; the position in it is the one cursor of the page.

import { clock, color, find, onAppearance, prepareCanvas } from "./dom.js";
import { PEAKS_PER_SECOND, readPeaks } from "./peaks.js";

const BAR = 3; // px, with the gap after it

/** Make the player; `onTime(seconds)` is called wherever the cursor moves. */
export function createPlayer({ onTime }) {
  const audio = find("#audio");
  const canvas = find("#waveform");
  const seekBar = find("#seek");
  const playButton = find("#play");
  const note = find("#player-note");
  let recording = null;
  let address = null;
  let time = 0;
  let duration = 0;
  let loudest = 1;

  function show(shown) {
    if (shown === recording) return;
    audio.pause();
    if (address) URL.revokeObjectURL(address);
    recording = shown;
    address = URL.createObjectURL(shown.file);
    note.hidden = true;
    playButton.disabled = false;
    audio.src = address;
    setDuration(shown.transcript.duration);
    move(0);
    loadPeaks(shown);
  }

  async function loadPeaks(shown) {
    shown.peaks ??= await readPeaks(shown.file, duration);
    if (shown !== recording) return;
    loudest = Math.max(0.02, (shown.peaks ?? []).reduce((most, peak) => Math.max(most, peak), 0));
    draw();
  }

  function setDuration(seconds) {
    duration = seconds;
    seekBar.max = seconds;
    seekBar.step = Math.max(0.01, seconds / 5000);
  }

  function move(seconds) {
    time = Math.max(0, Math.min(seconds, duration));
    seekBar.value = time;
    seekBar.setAttribute("aria-valuetext", `${clock(time)} of ${clock(duration)}`);
    find("#clock").textContent = `${clock(time, { tenths: true })} / ${clock(duration, { tenths: true })}`;
    draw();
    onTime(time);
  }

  /** Move the cursor, and play from there if asked to. */
  function seek(seconds, { play = false } = {}) {
    move(seconds);
    if (playButton.disabled) return;
    audio.currentTime = time;
    if (play) audio.play().catch(() => {}); // where it cannot be played, `error` says so
  }

  function toggle() {
    if (!audio.paused) audio.pause();
    else if (!playButton.disabled) seek(time >= duration - 0.05 ? 0 : time, { play: true });
  }

  function follow() {
    if (audio.paused) return;
    move(audio.currentTime);
    requestAnimationFrame(follow);
  }

  function draw() {
    if (!recording || !canvas.clientWidth) return;
    const { context, width, height } = prepareCanvas(canvas);
    const played = duration ? (time / duration) * width : 0;
    const colors = [color("--wave-played"), color("--wave")];
    for (let x = 0; x < width; x += BAR) {
      const half = Math.max(1, peakBetween(x / width, (x + BAR) / width) * (height / 2 - 2));
      context.fillStyle = colors[x + BAR / 2 < played ? 0 : 1];
      context.fillRect(x, height / 2 - half, BAR - 1, 2 * half);
    }
    context.fillStyle = color("--now");
    context.fillRect(Math.min(width - 2, Math.max(0, played - 1)), 0, 2, height);
  }

  /** Find the loudest peak between two fractions of the recording. */
  function peakBetween(from, to) {
    const { peaks } = recording;
    if (!peaks) return 0;
    const scale = duration * PEAKS_PER_SECOND;
    let highest = 0;
    for (let i = Math.floor(from * scale); i < Math.min(peaks.length, Math.ceil(to * scale)); i++) {
      highest = Math.max(highest, peaks[i]);
    }
    return Math.min(1, highest / loudest);
  }

  playButton.addEventListener("click", toggle);
  seekBar.addEventListener("input", () => seek(Number(seekBar.value)));
  audio.addEventListener("play", () => {
    playButton.setAttribute("aria-label", "Pause");
    playButton.dataset.on = "";
    follow();
  });
  audio.addEventListener("pause", () => {
    playButton.setAttribute("aria-label", "Play");
    delete playButton.dataset.on;
    if (audio.ended) move(duration);
  });
  audio.addEventListener("error", () => {
    playButton.disabled = true;
    note.textContent =
      "This browser cannot play this kind of file; the words and their times are complete all the same.";
    note.hidden = false;
  });
  onAppearance(canvas, draw);
  return { show, seek, toggle, pause: () => audio.pause(), isPlaying: () => !audio.paused, time: () => time };
}
