// Recordings among what was dropped or chosen: files, and everything in folders.

// Those of AUDIO_EXTENSIONS in asr/audio/formats.py.
const EXTENSIONS = new Set(
  `3gp aac ac3 aif aifc aiff amr au avi caf flac flv m4a m4b m4v mka mkv mov mp2 mp3 mp4 mpeg mpg nist oga
   ogg ogv opus rf64 snd sph spx voc w64 wav webm wma wmv wv`.split(/\s+/),
);

/** Tell whether a file looks like a recording, by its type or the end of its name. */
export function isRecording({ name, type }) {
  if (name.startsWith(".")) return false;
  return /^(audio|video)\//.test(type ?? "") || EXTENSIONS.has(name.split(".").at(-1).toLowerCase());
}

/**
 * Collect the recordings of a drop.
 *
 * A file that was dropped by itself is taken for a recording whatever its name; of folders only what looks like one.
 * Returns {recordings: [{file, name}], numOthers}, sorted by name; the name holds the folders.
 */
export async function readDrop(transfer) {
  // The entries are gone after the first wait, so all are taken before it.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return sortOut([...transfer.files].map((file) => ({ file, name: file.name, isAlone: true })));
  const found = await Promise.all(entries.map((entry) => readEntry(entry, entry.isFile)));
  return sortOut(found.flat());
}

/** Collect the recordings of a file input; one for folders gives every file in them. */
export function readInput(input) {
  return sortOut(
    [...input.files].map((file) => {
      return { file, name: file.webkitRelativePath || file.name, isAlone: !file.webkitRelativePath };
    }),
  );
}

function sortOut(found) {
  const recordings = found.filter(({ file, isAlone }) => isAlone || isRecording(file));
  recordings.sort((left, right) => left.name.localeCompare(right.name, "en", { numeric: true }));
  return { recordings, numOthers: found.length - recordings.length };
}

async function readEntry(entry, isAlone) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, name: entry.fullPath.replace(/^\//, ""), isAlone }];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // 100 at a time
    if (!entries.length) return found;
    for (const child of entries) found.push(...(await readEntry(child, false)));
  }
}
