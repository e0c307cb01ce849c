/** The files of an exported model: fetched compressed, kept for the next visit, expanded here. */

const fetched = []; // functions that keep a file for the next visit

/** Keep what was fetched. It takes as long as fetching, so it waits until nobody waits for the recogniser. */
export const keepFiles = () => Promise.all(fetched.splice(0).map((keep) => keep()));

/**
 * Read the list of files that `asr export --web` wrote.
 * @param {URL} root the folder of the page
 * @returns {Promise<{version: string, model: string[]}>} the version names the content of all files together
 */
export async function loadManifest(root) {
  const response = await fetch(new URL("files.json", root));
  if (!response.ok) throw new Error(`files.json is missing (status ${response.status})`);
  return response.json();
}

/** Fetch a file that is kept as `PATH.gz`, and expand it. */
export async function loadCompressed(root, version, path) {
  return expand(await fetchCompressed(root, version, path));
}

/** Fetch a file that is kept as `PATH.gz`, as it is or expanded: some hosts expand it on the way. */
export async function fetchCompressed(root, version, path) {
  return new Uint8Array(await fetchKept(new URL(`${path}.gz`, root), `asr:${root.href}@${version}`));
}

/** Expand the content of a file, if it is compressed. */
export async function expand(bytes) {
  const isCompressed = bytes[0] === 0x1f && bytes[1] === 0x8b;
  if (!isCompressed) return bytes;
  const stream = new DecompressionStream("gzip");
  const writer = stream.writable.getWriter();
  writer.write(bytes).catch(() => {}); // reading reports it
  writer.close().catch(() => {});
  return new Uint8Array(await new Response(stream.readable).arrayBuffer());
}

/** Fetch a file, or take it from what an earlier visit kept; without a secure context nothing is kept. */
async function fetchKept(url, cacheName) {
  const cache = globalThis.caches && (await caches.open(cacheName));
  const kept = await cache?.match(url);
  if (kept) return kept.arrayBuffer();
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.pathname} is missing (status ${response.status})`);
  const content = await response.arrayBuffer();
  fetched.push(() => cache?.put(url, new Response(content)).catch(() => {})); // the disk may be full
  return content;
}
