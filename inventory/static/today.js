// A storekeeper's today: the buttons beside each number, what is left after what is being entered, and the way into
// the outbox when there is no network. Without this script the numbers are typed and the server does the sums.
"use strict";

(function () {
  const PATIENCE = 20000;
  const SOON = 400;
  const LEVELS = ["unknown", "ok", "watch", "low", "critical", "out", "short"];
  const line = document.querySelector("[data-left]");
  const shown = new Intl.NumberFormat(document.documentElement.lang);
  let form = null;
  let taken = 0; // what was kept on this phone and is not in the server's figure yet
  let leaving = false;
  let opened = ""; // the day on which the page was opened

  // --- numbers ---

  // Null for what the server would refuse: a wrong sum is worse than none.
  function quantity(text) {
    const plain = text.trim();
    if (plain === "") return 0;
    const grouped = plain.split(form.dataset.group);
    const whole =
      grouped.length > 1 && /^[1-9][0-9]{0,2}$/.test(grouped[0]) && grouped.slice(1).every((part) => part.length === 3);
    const digits = whole ? grouped.join("") : plain;
    return /^[0-9]{1,8}$/.test(digits) ? Number(digits) : null;
  }

  function field(counter) {
    return counter.querySelector("input");
  }

  function numbersOf(input) {
    const part = form.querySelector(`[data-numbers-of="${input.id}"] textarea`);
    return part ? part.value.trim() : "";
  }

  // What is typed, or else how many numbers were entered; null where that cannot be told here.
  function amount(counter) {
    const input = field(counter);
    const ranges = numbersOf(input);
    if (input.value.trim() === "" && ranges) return window.scanning ? window.scanning.count(ranges) : null;
    return quantity(input.value);
  }

  function counters() {
    return [...form.querySelectorAll("[data-counter]")];
  }

  function sum() {
    const amounts = counters().map(amount);
    return amounts.includes(null) ? null : amounts.reduce((before, each) => before + each, 0);
  }

  // --- what is shown ---

  function update() {
    for (const counter of counters()) {
      const adding = counter.querySelector("[data-adding]");
      const number = amount(counter);
      adding.hidden = number === 0;
      adding.querySelector("b").textContent = number === null ? "?" : shown.format(number);
    }
    const together = sum();
    const after = together === null ? null : Number(line.dataset.store) - taken - together;
    line.querySelector("[data-after]").hidden = together === 0 && taken === 0;
    line.querySelector("output").textContent = after === null ? "?" : shown.format(after);
    show(after);
    const said = form.querySelector("[data-sum]");
    said.hidden = !together;
    said.querySelector("b").textContent = together ? shown.format(together) : "";
  }

  function show(after) {
    const level = after === null ? "" : levelOf(after);
    line.dataset.shown = level;
    for (const badge of line.querySelectorAll("[data-of]")) badge.hidden = badge.dataset.of !== level;
  }

  // The level of the last review, or a worse one that what is left by then would have.
  function levelOf(after) {
    if (after < 0) return "short";
    if (after === 0) return line.dataset.level || Number(line.dataset.store) > 0 ? "out" : "";
    const { low, watch, level } = line.dataset;
    const found = low && after < Number(low) ? "low" : watch && after < Number(watch) ? "watch" : level;
    return LEVELS.indexOf(found) > LEVELS.indexOf(level) ? found : level;
  }

  function step(input, by) {
    const now = quantity(input.value);
    if (now === null) return;
    const next = Math.max(0, now + by);
    input.value = next === 0 ? "" : String(next);
    update();
  }

  const KEYS = { ArrowUp: 1, "+": 1, ArrowDown: -1, "-": -1, PageUp: 10, PageDown: -10 };

  function begin() {
    form = document.querySelector("[data-entering]");
    if (!opened) opened = today();
    for (const counter of counters()) {
      const input = field(counter);
      for (const button of counter.querySelectorAll("[data-step]")) {
        button.hidden = false;
        button.addEventListener("click", () => step(input, Number(button.dataset.step)));
      }
      input.addEventListener("focus", () => input.select());
      input.addEventListener("keydown", (event) => {
        if (!(event.key in KEYS) || event.ctrlKey || event.altKey || event.metaKey) return;
        event.preventDefault();
        step(input, KEYS[event.key]);
      });
    }
    form.addEventListener("input", update);
    form.addEventListener("submit", submit);
    if (window.scanning) window.scanning.begin(form);
    update();
  }

  // --- recording ---

  function say(part, words) {
    part.hidden = words === "";
    part.textContent = words;
  }

  function text(name) {
    return document.querySelector(`[data-text="${name}"]`).textContent;
  }

  // The office's day by this phone's clock, compared with itself: a clock that is wrong changes nothing.
  function today() {
    return new Intl.DateTimeFormat("en-CA", { timeZone: form.dataset.timeZone }).format(new Date());
  }

  function dayField() {
    return form.elements.namedItem("day");
  }

  // Whether the page was left open over night and still has the day on which it was opened.
  function turned() {
    return today() !== opened && dayField().value === form.dataset.today;
  }

  async function submit(event) {
    if (!window.fetch || !window.FormData) return;
    event.preventDefault();
    if (turned()) {
      opened = today();
      dayField().closest("details").open = true;
      say(form.querySelector("[data-wrong]"), text("new-day"));
      return dayField().focus();
    }
    const button = form.querySelector("[data-record]");
    if (button.disabled) return;
    button.disabled = true;
    for (const part of ["wrong", "kept"]) say(form.querySelector(`[data-${part}]`), "");
    const busy = setTimeout(() => button.setAttribute("aria-busy", "true"), SOON);
    try {
      await send();
    } finally {
      clearTimeout(busy);
      button.removeAttribute("aria-busy");
      button.disabled = false;
    }
  }

  async function send() {
    const { status, body, page } = navigator.onLine === false ? { status: 0 } : await asked();
    if (status === 200 && body && body.state === "recorded") return go(body.next);
    if ((status === 409 || status === 422) && page) return again(page);
    // Whatever became of it: the entry keeps its request id, so that it is in the books once.
    const over = status === 401 || (status === 400 && body && body.state === "stale");
    if (status === 0 || over || status >= 500) return keep(over ? 401 : status);
    return leaveBy(() => form.submit());
  }

  async function asked() {
    const controller = new AbortController();
    const late = setTimeout(() => controller.abort(), PATIENCE);
    try {
      const response = await fetch(form.action, {
        method: "POST",
        body: new URLSearchParams(new FormData(form)),
        headers: { Accept: "application/json" },
        credentials: "same-origin",
        signal: controller.signal,
      });
      const isJson = (response.headers.get("Content-Type") || "").startsWith("application/json");
      return isJson
        ? { status: response.status, body: await response.json() }
        : { status: response.status, page: await response.text() };
    } catch {
      return { status: 0 };
    } finally {
      clearTimeout(late);
    }
  }

  function leaveBy(work) {
    leaving = true;
    work();
  }

  function go(address) {
    leaveBy(() => window.location.assign(address));
  }

  // The page as the server answers it, with everything that was typed.
  function again(page) {
    const found = new DOMParser().parseFromString(page, "text/html").querySelector("[data-entering]");
    if (!found) return leaveBy(() => form.submit());
    form.replaceWith(document.importNode(found, true));
    begin();
    const wrong = form.querySelector("[aria-invalid], .flash.bad:not([hidden])");
    if (wrong && wrong.matches("input, textarea")) wrong.focus();
    return form.querySelector(".flash.bad:not([hidden])")?.scrollIntoView({ block: "center" });
  }

  // --- without a network ---

  function value(name) {
    const part = form.elements.namedItem(name);
    return part ? part.value.trim() : "";
  }

  function entry() {
    const amounts = {};
    for (const counter of counters()) {
      const reason = field(counter).name;
      const number = amount(counter);
      const waited = quantity(value(`${reason}_waiting`));
      if (number === null || waited === null || waited > number) return null;
      if (number) amounts[reason] = { quantity: number, served_waiting: waited, ranges: numbersOf(field(counter)) };
    }
    return {
      id: value("request_id"),
      person: Number(document.querySelector("meta[name=person]").content),
      kind: "use",
      office: form.dataset.office,
      item: form.dataset.item,
      item_names: JSON.parse(form.dataset.names),
      day: value("day"),
      amounts,
      note: value("note"),
      late: false,
    };
  }

  async function keep(status) {
    const kept = entry();
    const wrong = form.querySelector("[data-wrong]");
    if (typeof outbox === "undefined" || !outbox.able) return say(wrong, text("not-kept"));
    // The time of day is nothing that waits on a phone: what is being counted has to be told at once.
    if (form.elements.namedItem("at")) return say(wrong, text("needs-time"));
    if (!kept || !kept.day || Object.keys(kept.amounts).length === 0) return say(wrong, text("unreadable"));
    try {
      await outbox.keep(kept);
    } catch {
      return say(wrong, text("not-kept"));
    }
    taken += Object.values(kept.amounts).reduce((before, each) => before + each.quantity, 0);
    clear();
    say(form.querySelector("[data-kept]"), text(status === 401 ? "login" : "kept"));
    return outbox.send();
  }

  function clear() {
    for (const part of form.querySelectorAll("[data-counter] input, textarea, .waited input, [name=note]")) part.value = "";
    form.elements.namedItem("request_id").value = crypto.randomUUID();
    dayField().value = form.dataset.today;
    update();
  }

  // --- what is typed is not lost by a touch beside ---

  window.addEventListener("beforeunload", (event) => {
    if (!leaving && sum() !== 0) event.preventDefault();
  });

  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState !== "visible" || navigator.onLine === false || sum() !== 0 || !turned()) return;
    leaveBy(() => window.location.reload());
  });

  begin();
})();
