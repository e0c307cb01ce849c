/** The files of an exported model: fetched compressed, kept for the next visit, expanded here. */

const keeping = []; // for the next visit

/** Wait until what was fetched is kept. */
export const keepFiles = () => Promise.all(keeping);

/**
 * Read the list of files that `asr export --web` wrote.
 * @param {URL} root the folder of the page
 * @returns {Promise<{version: string, model: string[]}>} the version names the content of all files together
 */
export async function loadManifest(root) {
  const response = await fetch(new URL("files.json", root));
  if (!response.ok) throw new Error(`files.json cannot be loaded (status ${response.status}); export the model again`);
  return response.json();
}

/** Fetch a file that is kept as `PATH.gz`, and expand it. */
export async function loadCompressed(root, version, path) {
  const response = await fetchKept(new URL(`${path}.gz`, root), `asr:${root.href}@${version}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const isCompressed = bytes[0] === 0x1f && bytes[1] === 0x8b; // some hosts have it expanded on the way
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
  if (kept) return kept;
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.pathname} cannot be loaded (status ${response.status})`);
  keeping.push(cache?.put(url, response.clone()).catch(() => {})); // the disk may be full
  return response;
}
