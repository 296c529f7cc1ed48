// The service worker: keeps the offline page, and shows it when a page cannot be fetched. It keeps nobody's data.
//
// VERSION is a digest of all that it keeps, SHELL the addresses; both stand above, where this file is served.
const CACHE = `blangko-shell-${VERSION}`;

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  const address = new URL(url);
  if (method !== "GET" || address.origin !== self.location.origin) return;
  if (SHELL.includes(address.pathname + address.search)) event.respondWith(kept(event.request));
  else if (mode === "navigate") event.respondWith(fetch(event.request).catch(() => kept(event.request, SHELL[0])));
});

async function install() {
  const cache = await caches.open(CACHE);
  // Without cookies: no page of somebody who is logged in can get in. The files' addresses name their content, so
  // that those which a page has just loaded are not fetched once more.
  const fresh = (address) => ({ credentials: "omit", cache: address === SHELL[0] ? "reload" : "default" });
  await cache.addAll(SHELL.map((address) => new Request(address, fresh(address))));
  // While servers of two versions answer, the page may be of the other one, and would lack its files.
  const page = await cache.match(SHELL[0]);
  if (!(await page.text()).includes(`data-version="${VERSION}"`)) {
    await caches.delete(CACHE);
    throw new Error("two versions at once");
  }
  await self.skipWaiting();
}

// Only caches of pages: entries stand in IndexedDB, which no version of this file touches.
async function activate() {
  for (const name of await caches.keys()) {
    if (name.startsWith("blangko-shell-") && name !== CACHE) await caches.delete(name);
  }
  await self.clients.claim();
}

async function kept(request, address = request.url) {
  const cache = await caches.open(CACHE);
  return (await cache.match(address, { ignoreVary: true })) || fetch(request);
}
