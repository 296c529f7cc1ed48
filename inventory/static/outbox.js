// The outbox: entries that were made without a network and wait on this phone until the server has answered for them.
//
// Kept in IndexedDB, apart from the pages, so that no new version of a page or of the service worker touches it:
//   entries  one row per entry, in the order of making (`seq`); `id` is the request id, made here, for good
//   people   what the person who is logged in has taken along: offices, stores, items. Of nobody else
//   state    `current`: whose phone it is now, the person whom the server last named and who has not logged out
// Every question names the person; nothing of the session, and no token, is kept.
//
// An entry is `waiting`, `refused` (a person has to decide) or `recorded`. It is sent in the order of making, one at a
// time, by one tab at a time. No entry adds to a stock, so none depends on another: a refused one stays and those
// after it are sent. Anything else than an answer about this very entry (no network, a login page, a proxy's page, a
// failing server) leaves it waiting, and sending stops. An entry keeps its request id when it is changed: whatever
// became of an earlier attempt, the books hold one id once.
"use strict";

const outbox = (function () {
  const NAME = "blangko";
  const FORMAT = 1;
  const SHOWN_RECORDED = 20;
  const PATIENCE = 30000;
  const FIRST_WAIT = 5000;
  const LONGEST_WAIT = 300000;
  const OLD = 600000;

  const channel = "BroadcastChannel" in window ? new BroadcastChannel(NAME) : null;
  let standing = "unknown";
  let opened = null;
  let running = null;
  let again = false;
  let wait = FIRST_WAIT;
  let timer = null;
  let gone = false;

  class Moved extends Error {}

  // --- the database ---

  function open() {
    if (!opened) {
      opened = new Promise((resolve, reject) => {
        const request = indexedDB.open(NAME, FORMAT);
        request.onupgradeneeded = () => {
          const entries = request.result.createObjectStore("entries", { keyPath: "seq", autoIncrement: true });
          entries.createIndex("id", "id", { unique: true });
          entries.createIndex("person", "person");
          request.result.createObjectStore("people", { keyPath: "person" });
          request.result.createObjectStore("state");
        };
        request.onsuccess = () => {
          // A newer page wants another format: it must not have to wait for this one.
          request.result.onversionchange = () => { request.result.close(); opened = null; };
          request.result.onclose = () => { opened = null; };
          resolve(request.result);
        };
        request.onerror = () => reject(request.error);
        request.onblocked = () => reject(new Error("blocked"));
      });
      opened.catch(() => { opened = null; });
    }
    return opened;
  }

  // What `work` returns, once the transaction is on the disk; all or nothing.
  async function within(mode, work) {
    const database = await open();
    const transaction = database.transaction(["entries", "people", "state"], mode, { durability: "strict" });
    const ended = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error || new Error("aborted"));
    });
    ended.catch(() => {});
    const store = (name) => transaction.objectStore(name);
    try {
      const result = await work(store("entries"), store("people"), store("state"));
      await ended;
      return result;
    } catch (error) {
      try { transaction.abort(); } catch { /* it has ended already */ }
      throw error;
    }
  }

  function got(request) {
    return new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  }

  function ofPerson(entries, person) {
    return got(entries.index("person").getAll(IDBKeyRange.only(person)));
  }

  // Whose phone it is, what they have taken along, and their entries in the order of making; of nobody else.
  function look() {
    return within("readonly", async (entries, people, state) => {
      const person = await got(state.get("current"));
      if (!person) return { person: null, taken: null, entries: [] };
      return { person, taken: (await got(people.get(person))) || null, entries: await ofPerson(entries, person) };
    });
  }

  // The server says who is logged in: what others had taken along goes, and what they were answered; what waits stays.
  async function meet(person, taken) {
    const changed = await within("readwrite", async (entries, people, state) => {
      const before = await got(state.get("current"));
      if (taken) people.put({ ...taken, person });
      if (before === person) return false;
      state.put(person, "current");
      for (const other of await got(people.getAllKeys())) if (other !== person) people.delete(other);
      for (const entry of await got(entries.getAll())) {
        if (entry.person !== person && entry.state === "recorded") entries.delete(entry.seq);
      }
      return true;
    });
    if (changed) tell();
  }

  // Logged out: nothing of theirs is left to see but what waits, and that to nobody else.
  async function leave(person) {
    gone = true;
    await within("readwrite", async (entries, people, state) => {
      people.clear();
      state.delete("current");
      for (const entry of await ofPerson(entries, person)) if (entry.state === "recorded") entries.delete(entry.seq);
    });
    tell();
  }

  // --- entries ---

  // Keep a new entry; the same id a second time is the same entry. Rejects when the phone has not kept it.
  async function keep(entry) {
    const row = { ...entry, made_at: new Date().toISOString(), state: "waiting", attempts: 0, answer: null };
    try {
      await within("readwrite", (entries) => got(entries.add(row)));
    } catch (error) {
      if (error.name !== "ConstraintError") throw error;
    }
    tell();
  }

  // A person decides about an entry that was refused, or was never sent. Rejects with Moved when it is neither.
  async function decide(id, person, change) {
    await within("readwrite", async (entries) => {
      const entry = await got(entries.index("id").get(id));
      if (!entry || entry.person !== person || !isOpen(entry)) throw new Moved();
      if (change) entries.put({ ...entry, ...change, state: "waiting", answer: null });
      else entries.delete(entry.seq);
    });
    tell();
  }

  function isOpen(entry) {
    return entry.state === "refused" || (entry.state === "waiting" && entry.attempts === 0);
  }

  // The next to be sent, noted as tried before it leaves: from now on it may be in the books.
  function take(person) {
    return within("readwrite", async (entries) => {
      const next = (await ofPerson(entries, person)).find((entry) => entry.state === "waiting");
      if (next) entries.put({ ...next, attempts: next.attempts + 1 });
      return next || null;
    });
  }

  function note(entry, state, answer) {
    return within("readwrite", async (entries) => {
      const row = await got(entries.get(entry.seq));
      entries.put({ ...row, state, answer });
      const recorded = (await ofPerson(entries, entry.person)).filter((each) => each.state === "recorded");
      for (const old of recorded.slice(0, -SHOWN_RECORDED)) entries.delete(old.seq);
    });
  }

  // --- the server ---

  async function fetched(address, options) {
    const controller = new AbortController();
    const late = setTimeout(() => controller.abort(), PATIENCE);
    try {
      const response = await fetch(address, {
        cache: "no-store",
        credentials: "same-origin",
        redirect: "manual",
        signal: controller.signal,
        ...options,
        headers: { Accept: "application/json", ...(options || {}).headers },
      });
      const isJson = (response.headers.get("Content-Type") || "").startsWith("application/json");
      const body = isJson ? await response.json().catch(() => null) : null;
      return { status: response.status, body: body || {} };
    } catch {
      return { status: 0, body: {} };
    } finally {
      clearTimeout(late);
    }
  }

  function meaning(status) {
    if (status === 0) return "offline";
    return status === 401 ? "login" : "trouble";
  }

  // Who is logged in, and what they take along. The token stays in this function's answer.
  async function ask() {
    const { status, body } = await fetched("/offline/data");
    if (gone) return { standing: "login" }; // logged out meanwhile: nobody is met any more
    if (status === 200 && body.state === "in" && body.person) {
      const { token, state, person, ...taken } = body;
      await meet(person.id, { ...taken, name: person.name, asked_at: Date.now() });
      return { standing: "in", person: person.id, token };
    }
    if (status === 403 && body.state === "refused" && body.person) {
      await meet(body.person, null);
      return { standing: "refused-role" };
    }
    return { standing: meaning(status) };
  }

  async function post(entry, token) {
    const { id, person, kind, office, item, day, amounts, note: words, late } = entry;
    const { status, body } = await fetched("/offline/entries", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": token },
      body: JSON.stringify({ id, person, kind, office, item, day, amounts, note: words, late: late === true }),
    });
    if (status === 200 && body.state === "recorded" && body.id === id) return { state: "recorded", answer: null };
    if (body.state === "refused" && body.id === id && body.code !== "entry_of_somebody_else") {
      return { state: "refused", answer: { code: body.code, sentence: body.sentence } };
    }
    if (body.state === "stale" || body.code === "entry_of_somebody_else") return { state: "ask" };
    return { state: "stop", standing: meaning(status) };
  }

  async function drain() {
    let pass = await ask();
    let sent = 0;
    let renewed = false;
    while (pass.standing === "in") {
      const entry = await take(pass.person);
      if (!entry) break;
      const { state, answer, standing: why } = await post(entry, pass.token);
      if (state === "ask" && !renewed) {
        renewed = true;
        pass = await ask();
      } else if (state === "ask" || state === "stop") {
        pass = { standing: why || "trouble" };
      } else {
        await note(entry, state, answer);
        sent += 1;
        renewed = false;
        tell();
      }
    }
    if (pass.standing === "in" && sent) pass = await ask();
    return pass.standing;
  }

  async function attempt() {
    stand("sending");
    let found = "no-storage";
    try {
      found = await drain();
    } catch (error) {
      if (error && error.name === "VersionError") found = "reload";
    }
    if (found === "in") wait = FIRST_WAIT;
    if (found === "offline" || found === "trouble") later();
    stand(found);
  }

  // What is kept while a round comes to its end is sent in another one.
  function send() {
    again = running !== null;
    if (!running) {
      clearTimeout(timer);
      running = round().finally(() => {
        running = null;
        if (again) send();
      });
    }
    return running;
  }

  // Of two tabs one sends; the other is told.
  async function round() {
    if (!navigator.locks) return attempt();
    return navigator.locks.request(NAME, { ifAvailable: true }, (lock) => (lock ? attempt() : later()));
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(send, wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }

  function sendAfresh() {
    wait = FIRST_WAIT;
    return send();
  }

  // --- who listens ---

  function stand(found) {
    standing = found;
    tell();
  }

  function tell() {
    window.dispatchEvent(new Event("outbox"));
    if (channel) channel.postMessage("changed");
  }

  if (channel) channel.onmessage = () => window.dispatchEvent(new Event("outbox"));

  function start() {
    window.addEventListener("online", sendAfresh);
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") sendAfresh();
    });
    if ("serviceWorker" in navigator) navigator.serviceWorker.register("/sw.js").catch(() => {});
  }

  // Whether this browser can keep entries and send them, by what it offers; whether it does, only keeping shows.
  const able = window.isSecureContext && "indexedDB" in window;

  return { able, look, meet, leave, keep, decide, send: sendAfresh, start, isOpen, Moved, OLD, standing: () => standing };
})();

// On the pages of whoever is logged in: tell whose phone it is, show what waits, warn before logging out.
(function () {
  const me = document.querySelector("meta[name=person]");
  if (!me || !outbox.able) return;
  const person = Number(me.content);
  const badge = document.querySelector("[data-outbox]");
  const shown = new Intl.NumberFormat(document.documentElement.lang);

  async function mine() {
    const { person: current, taken, entries } = await outbox.look();
    const of = (state) => (current === person ? entries.filter((entry) => entry.state === state).length : 0);
    return { taken, waiting: of("waiting"), refused: of("refused") };
  }

  async function update() {
    const counts = await mine();
    for (const part of badge.querySelectorAll("[data-count]")) {
      part.hidden = counts[part.dataset.count] === 0;
      part.querySelector("b").textContent = shown.format(counts[part.dataset.count]);
    }
    badge.hidden = counts.waiting + counts.refused === 0;
  }

  async function begin() {
    await outbox.meet(person, null);
    window.addEventListener("outbox", () => update().catch(() => {}));
    await update();
    const { taken, waiting } = await mine();
    const records = "records" in me.dataset;
    if (records) outbox.start();
    const old = !taken || Math.abs(Date.now() - taken.asked_at) > outbox.OLD; // both by this phone's clock
    if (waiting || (records && old)) await outbox.send();
  }

  // The server first: without a network one stays logged in, and nothing is put away.
  async function leave(form) {
    const sent = { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" };
    const answer = await fetch(form.action, { ...sent, credentials: "same-origin" }).catch(() => null);
    if (!answer || answer.type !== "opaqueredirect") return form.submit();
    await outbox.leave(person).catch(() => {});
    return window.location.assign("/login");
  }

  const form = document.querySelector("form[data-log-out]");
  const dialog = document.querySelector("dialog[data-leaving]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { waiting, refused } = await mine().catch(() => ({ waiting: 0, refused: 0 }));
    if (waiting + refused === 0) return leave(form);
    dialog.querySelector("b").textContent = shown.format(waiting + refused);
    dialog.returnValue = "";
    return dialog.showModal();
  });
  dialog.addEventListener("close", () => {
    if (dialog.returnValue === "leave") leave(form);
  });

  begin().catch(() => {});
})();
