/** Keeps the page and the model for visits without a network. `asr export --web` fills in the version and the files. */

const PREFIX = `asr:${self.registration.scope}@`; // other pages of the host have other names
const CACHE = `${PREFIX}VERSION`; // of the content of all files together
const FILES = [];

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(Promise.all([dropOthers(), self.clients.claim()])));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && request.url.startsWith(self.registration.scope)) event.respondWith(answer(request));
});

/** Fetch what is not kept yet; the recogniser has kept the model. */
async function keep() {
  const cache = await caches.open(CACHE);
  const missing = [];
  for (const path of FILES) if (!(await cache.match(path))) missing.push(path);
  await cache.addAll(missing);
  await self.skipWaiting();
}

/** Drop what earlier versions of this page kept. */
async function dropOthers() {
  const names = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(names.map((name) => caches.delete(name)));
}

async function answer(request) {
  const cache = await caches.open(CACHE);
  const url = new URL(request.url);
  if (url.pathname.endsWith("/")) url.pathname += "index.html";
  return (await cache.match(url, { ignoreSearch: true })) ?? fetch(request);
}
