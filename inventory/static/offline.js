// The offline page: what is left, a form whose entries are kept on this phone, and what became of them.
// Whose they are, keeping and sending are the outbox's business; see outbox.js.
"use strict";

(function () {
  const LANGUAGES = [...document.querySelectorAll("template[data-language]")];
  let page = null; // the parts of the page in the language shown
  let shown = { person: null, taken: null, entries: [] };
  let changing = null; // the entry that is being changed
  let id = crypto.randomUUID ? crypto.randomUUID() : null; // of the entry on the form, until it is kept
  let presumed = ""; // the day that stands on the form without anybody having chosen it
  let alarm = "";

  // --- the page in a language ---

  function prefer(taken) {
    const wanted = (taken && taken.language) || (navigator.language || "").slice(0, 2);
    return LANGUAGES.find((template) => template.dataset.language === wanted) || LANGUAGES[0];
  }

  function build(template) {
    const language = template.dataset.language;
    const icon = document.querySelector("link[rel=icon]").href;
    document.documentElement.lang = language;
    document.body.replaceChildren(template.content.cloneNode(true));
    const numbers = new Intl.NumberFormat(language);
    page = {
      language,
      numbers,
      group: numbers.formatToParts(10000).find((part) => part.type === "group").value,
      form: document.querySelector("form[data-entry]"),
      dialog: document.querySelector("dialog[data-discard]"),
    };
    document.querySelector("[data-icon]").src = icon;
    document.title = `${document.querySelector("h1").textContent} · Blangko`;
    page.form.addEventListener("input", () => {
      say(find("kept"), "");
      update();
    });
    page.form.addEventListener("submit", submit);
    find("leave").addEventListener("click", () => begin(null));
    find("send").addEventListener("click", () => outbox.send());
  }

  function find(name) {
    return document.querySelector(`[data-${name}]`);
  }

  // Not `field("item")`: that is a method of the collection.
  function field(name) {
    return page.form.elements.namedItem(name);
  }

  function text(name, facts = {}) {
    const found = document.querySelector(`[data-text="${name}"]`).textContent;
    return found.replace(/\{(\w+)\}/g, (whole, fact) => (fact in facts ? facts[fact] : whole));
  }

  function moment(instant, office) {
    const parts = { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hour12: false };
    const zone = office ? { timeZone: office.time_zone } : {};
    const words = new Intl.DateTimeFormat(page.language, { ...parts, ...zone }).format(new Date(instant));
    return office ? `${words} ${office.clock}` : words;
  }

  function day(iso) {
    const [year, month, date] = iso.split("-").map(Number);
    const whole = new Date(Date.UTC(year, month - 1, date));
    return new Intl.DateTimeFormat(page.language, { dateStyle: "full", timeZone: "UTC" }).format(whole);
  }

  // The office's own business day on this phone's clock; en-CA writes days as 2024-05-15.
  function today(office) {
    return new Intl.DateTimeFormat("en-CA", { timeZone: office.time_zone }).format(new Date());
  }

  // --- what is shown ---

  async function refresh() {
    let found = shown;
    let failure = "";
    try {
      found = outbox.able ? await outbox.look() : found;
    } catch (error) {
      failure = error && error.name === "VersionError" ? "reload" : "no-storage";
    }
    if (!outbox.able) failure = "no-storage";
    const other = found.person !== shown.person;
    shown = found;
    const template = prefer(shown.taken);
    // For another person the page begins anew: nothing of the first one's stays in a corner of it.
    if (!page || other || page.language !== template.dataset.language) {
      alarm = "";
      build(template);
      begin(null);
    }
    draw(failure);
  }

  function draw(failure) {
    const { person, taken, entries } = shown;
    const standing = failure || outbox.standing();
    const of = (state) => entries.filter((entry) => entry.state === state);
    say(find("standing"), standingText(standing, of("waiting").length));
    say(find("alert"), failure || ["reload", "no-storage"].includes(standing) ? text(failure || standing) : alarm);
    find("log-in").hidden = person !== null && standing !== "login";
    find("own").hidden = person === null;
    find("writing").hidden = !taken || taken.offices.length === 0;
    find("keep").disabled = Boolean(failure);
    if (taken) {
      find("name").textContent = text("logged-in", { name: taken.name });
      fill();
      turnDay();
    }
    drawStock();
    for (const state of ["refused", "waiting", "recorded"]) list(state, of(state));
    update();
  }

  function standingText(standing, waiting) {
    if (shown.person === null && standing !== "no-storage") return text("nobody");
    if (["login", "offline", "refused-role", "trouble", "sending"].includes(standing)) return text(standing);
    return text(waiting ? "waits" : "clear");
  }

  // Only what is new is said: a screen reader reads each change of a live region out.
  function say(part, words) {
    part.hidden = words === "";
    if (part.textContent !== words) part.textContent = words;
  }

  function office() {
    if (!shown.taken) return null;
    const { offices } = shown.taken;
    return offices.find((each) => each.code === field("office").value) || offices[0] || null;
  }

  function itemName(code, entry) {
    const item = shown.taken && shown.taken.items.find((each) => each.code === code);
    return (item ? item.names : (entry && entry.item_names) || {})[page.language] || code;
  }

  // What waits has not reached the server's figures: taken off, the rest is what the shelf should hold.
  function waitingFor(officeCode, itemCode) {
    const entries = shown.entries.filter(
      (entry) => entry.state === "waiting" && entry.office === officeCode && entry.item === itemCode,
    );
    return entries.reduce((sum, entry) => sum + total(entry.amounts), 0);
  }

  function total(amounts) {
    return Object.values(amounts).reduce((sum, amount) => sum + amount.quantity, 0);
  }

  function left(itemCode) {
    const held = office();
    return (held.store[itemCode] || 0) - waitingFor(held.code, itemCode);
  }

  function drawStock() {
    const held = office();
    find("stock").hidden = !held;
    find("synthetic").hidden = !(held && held.synthetic);
    if (!held) return;
    const waits = shown.entries.some((entry) => entry.state === "waiting" && entry.office === held.code);
    find("as-of").textContent = text(waits ? "as-of-waiting" : "as-of", { moment: moment(shown.taken.as_of, held) });
    const rows = shown.taken.items.filter((item) => item.code in held.store).map((item) => {
      const row = element("div");
      row.append(element("dt", item.names[page.language]), element("dd", page.numbers.format(left(item.code))));
      return row;
    });
    document.querySelector("[data-stock] dl").replaceChildren(...rows);
  }

  function element(name, words = "", attributes = {}) {
    const made = document.createElement(name);
    made.textContent = words;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  // --- the lists ---

  function list(state, entries) {
    const section = document.querySelector(`[data-list=${state}]`);
    section.hidden = entries.length === 0;
    section.querySelector("[data-count]").textContent = page.numbers.format(entries.length);
    const ordered = state === "recorded" ? [...entries].reverse() : entries;
    const focused = document.activeElement && document.activeElement.dataset.key;
    section.querySelector("ul").replaceChildren(...ordered.map((entry) => row(entry)));
    const again = focused && section.querySelector(`[data-key="${focused}"]`);
    if (again) again.focus();
  }

  function row(entry) {
    const made = element("li", "", { "data-entry-id": entry.id });
    const held = shown.taken && shown.taken.offices.find((each) => each.code === entry.office);
    const several = shown.taken && shown.taken.offices.length > 1;
    const place = several || !held ? ` · ${held ? held.name : entry.office}` : "";
    made.append(element("p", `${itemName(entry.item, entry)} · ${day(entry.day)}${place}`));
    made.append(element("p", amounts(entry)));
    if (entry.note) made.append(element("p", entry.note));
    const tried = entry.state === "waiting" && entry.attempts > 0 ? ` · ${text("unanswered")}` : "";
    made.append(element("p", text("made", { moment: moment(entry.made_at, held) }) + tried, { class: "hint" }));
    if (entry.state === "refused") made.append(element("p", entry.answer.sentence, { class: "error" }));
    if (outbox.isOpen(entry)) made.append(choices(entry));
    return made;
  }

  function amounts(entry) {
    return Object.entries(entry.amounts)
      .map(([reason, { quantity, served_waiting: waited, ranges }]) => {
        const name = document.querySelector(`[data-reason="${reason}"]`).dataset.name;
        const number = page.numbers.format(quantity) + (ranges ? ` (${ranges})` : "");
        const facts = { reason: name, number, waited: page.numbers.format(waited || 0) };
        return text(waited ? "amount-waited" : "amount", facts);
      })
      .join(" · ");
  }

  function choices(entry) {
    const made = element("div", "", { class: "choices" });
    const offer = (name, words, work, style) => {
      const button = element("button", words, { type: "button", class: style, "data-key": `${name}-${entry.id}` });
      button.addEventListener("click", () => work().catch(excuse));
      made.append(button);
    };
    const decide = (change) => () => outbox.decide(entry.id, entry.person, change).then(() => outbox.send());
    if (entry.state === "refused") {
      const closed = entry.answer.code === "day_closed_meanwhile";
      if (closed) offer("late", text("late"), decide({ late: true }), "");
      // What was counted meanwhile is recorded on a form that asks for the time of day.
      else if (entry.answer.code !== "counted_meanwhile") offer("again", text("again"), decide({}), "outline");
    }
    if (shown.taken) offer("change", text("change"), async () => begin(entry), "outline");
    offer("discard", text("discard"), () => discard(entry), "secondary outline");
    return made;
  }

  function discard(entry) {
    page.dialog.querySelector("[data-what]").textContent =
      `${itemName(entry.item, entry)} · ${day(entry.day)} · ${amounts(entry)}`;
    page.dialog.returnValue = "";
    page.dialog.showModal();
    return new Promise((resolve, reject) => {
      page.dialog.addEventListener("close", () => {
        if (page.dialog.returnValue !== "discard") return resolve();
        if (changing && changing.id === entry.id) begin(null);
        return outbox.decide(entry.id, entry.person, null).then(resolve, reject);
      }, { once: true });
    });
  }

  function excuse(error) {
    alarm = text(error instanceof outbox.Moved ? "gone" : "not-kept");
    draw("");
  }

  // --- the form ---

  // Offices and items to choose from; what is chosen stays.
  function fill() {
    const [offices, items] = [field("office"), field("item")];
    const places = shown.taken.offices.map((each) => [each.code, each.name]);
    // An entry stays with its office, also when its person records there no more: the server then says so.
    const away = changing && !places.some(([code]) => code === changing.office);
    options(offices, away ? [...places, [changing.office, changing.office]] : places);
    find("offices").hidden = places.length < 2 && !away;
    const kept = shown.taken.items.map((each) => [each.code, each.names[page.language]]);
    const gone = changing && !kept.some(([code]) => code === changing.item);
    options(items, gone ? [...kept, [changing.item, itemName(changing.item, changing)]] : kept);
  }

  function options(select, wanted) {
    const before = select.value;
    const same = [...select.options].map((each) => [each.value, each.textContent]);
    if (JSON.stringify(same) === JSON.stringify(wanted)) return;
    select.replaceChildren(...wanted.map(([value, words]) => element("option", words, { value })));
    if (wanted.some(([value]) => value === before)) select.value = before;
  }

  // An empty form, or one with an entry that is to be changed.
  function begin(entry) {
    const { form } = page;
    const [place, item, last] = ["office", "item", "day"].map(field);
    const [placed, chosen, dated] = [place.value, item.value, last.value];
    changing = entry;
    id = entry ? entry.id : crypto.randomUUID && crypto.randomUUID();
    form.reset();
    if (shown.taken) fill();
    if (entry) write(entry);
    else if (shown.taken) {
      // The next entry is mostly of the same office, item and day.
      if ([...place.options].some((each) => each.value === placed)) place.value = placed;
      if ([...item.options].some((each) => each.value === chosen)) item.value = chosen;
      last.value = dated;
      if (!dated) presumed = "";
      turnDay();
    }
    find("title").textContent = text(entry ? "change-entry" : "new-entry");
    find("leave").hidden = entry === null;
    for (const said of form.querySelectorAll(".error, [data-kept]")) say(said, "");
    for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
    update();
    if (entry) find("title").focus();
  }

  // A page that is left open over night does not go on with yesterday, unless somebody has chosen it or is writing.
  function turnDay() {
    const held = office();
    const written = [...page.form.querySelectorAll("[inputmode=numeric], textarea")].some((input) => input.value);
    if (!held || changing || written || field("day").value !== presumed) return;
    presumed = field("day").value = today(held);
  }

  function write(entry) {
    field("office").value = entry.office;
    field("item").value = entry.item;
    field("day").value = entry.day;
    field("kind").value = entry.kind;
    field("note").value = entry.note;
    for (const [reason, amount] of Object.entries(entry.amounts)) {
      const name = nameOf(page.form.querySelector(`[data-reason="${reason}"]`));
      field(name).value = page.numbers.format(amount.quantity);
      if (amount.served_waiting) field(`${name}-waiting`).value = page.numbers.format(amount.served_waiting);
      field(`${name}-ranges`).value = amount.ranges || "";
    }
  }

  // Only the fields that belong to what is chosen, and the running total.
  function update() {
    const held = office();
    if (!held) return;
    const item = shown.taken.items.find((each) => each.code === field("item").value);
    const printed = item && item.consumable ? "consumable" : "blank";
    const wanted = { print: [printed], spoil: ["spoil"], use: [printed, "spoil"] }[field("kind").value];
    for (const set of page.form.querySelectorAll("fieldset[data-for]")) {
      set.hidden = set.disabled = !wanted.includes(set.dataset.for);
    }
    for (const part of page.form.querySelectorAll("[data-for-numbered]")) part.hidden = !(item && item.numbered);
    field("day").max = today(held);
    const read = amountsOf().map(({ quantity }) => quantity);
    const sum = read.includes(null) ? null : read.reduce((before, number) => before + number, 0);
    const own = changing && changing.state === "waiting" && changing.item === field("item").value;
    const rest = sum === null ? null : left(field("item").value) - sum + (own ? total(changing.amounts) : 0);
    find("together").textContent = sum === null ? "?" : page.numbers.format(sum);
    find("left").textContent = rest === null ? "?" : page.numbers.format(rest);
    page.form.querySelector(".total").classList.toggle("short", rest !== null && rest < 0);
  }

  // Null for what is no whole number: grouped as the language does, or not at all.
  function quantity(input) {
    const plain = input ? input.value.trim() : "";
    if (plain === "") return 0;
    const grouped = plain.split(page.group);
    const whole =
      grouped.length > 1 && /^[1-9][0-9]{0,2}$/.test(grouped[0]) && grouped.slice(1).every((part) => part.length === 3);
    const digits = whole ? grouped.join("") : plain;
    return /^[0-9]{1,8}$/.test(digits) ? Number(digits) : null;
  }

  // What the field of a reason is called.
  function nameOf(part) {
    return `${part.closest("fieldset").dataset.for === "spoil" ? "spoil" : "print"}-${part.dataset.reason}`;
  }

  // The fields that are shown, as numbers; null where they are none.
  function amountsOf() {
    return [...page.form.querySelectorAll("fieldset[data-for]:not([hidden]) [data-reason]")].map((part) => {
      const name = nameOf(part);
      const numbers = field(`${name}-ranges`);
      const ranges = numbers.closest("[data-for-numbered]").hidden ? "" : numbers.value.trim();
      return {
        reason: part.dataset.reason,
        name,
        quantity: quantity(field(name)),
        served_waiting: quantity(field(`${name}-waiting`)),
        ranges,
      };
    });
  }

  // Marks each field that cannot be right; whether all can.
  function check() {
    const { most } = shown.taken;
    const numberWrong = text("number", { example: page.numbers.format(1639) });
    const found = amountsOf();
    for (const { name, quantity: number, served_waiting: waited, ranges } of found) {
      const tooMany = number !== null && number > most ? text("most", { limit: page.numbers.format(most) }) : "";
      // With number ranges, too: what is left is reckoned without reading them, and the server holds both together.
      mark(field(name), number === null || (ranges && !number) ? numberWrong : tooMany);
      const waiting = field(`${name}-waiting`);
      if (waiting) mark(waiting, waited === null ? numberWrong : waited > (number || 0) ? text("waited") : "");
    }
    const last = field("day");
    mark(last, last.value && last.value >= last.min && last.value <= last.max ? "" : text("day"));
    const marked = page.form.querySelector("fieldset:not([hidden]) [aria-invalid], [name=day][aria-invalid]");
    const none = !marked && !found.some(({ quantity: number }) => number);
    say(find("wrong"), none ? text("nothing") : "");
    if (marked) marked.focus();
    return !marked && !none;
  }

  function mark(input, wrong) {
    say(document.getElementById(`${input.id}-error`), wrong);
    if (wrong) {
      input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-describedby", `${input.id}-error`);
    } else {
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-describedby");
    }
  }

  async function submit(event) {
    event.preventDefault();
    if (find("keep").disabled || !check()) return;
    const item = shown.taken.items.find((each) => each.code === field("item").value);
    const entered = amountsOf().filter(({ quantity: number }) => number);
    const body = {
      office: field("office").value || office().code,
      item: field("item").value,
      item_names: item ? item.names : changing && changing.item_names,
      kind: field("kind").value,
      day: field("day").value,
      amounts: Object.fromEntries(
        entered.map(({ reason, quantity: number, served_waiting, ranges }) =>
          [reason, { quantity: number, served_waiting, ranges }]),
      ),
      note: field("note").value.trim(),
      late: false,
    };
    find("keep").disabled = true;
    try {
      if (changing) await outbox.decide(changing.id, changing.person, body);
      else await outbox.keep({ ...body, id, person: shown.person });
      const facts = { what: `${itemName(body.item, body)} · ${amounts(body)}` };
      alarm = "";
      begin(null);
      await refresh();
      say(find("kept"), text("kept", facts));
      await secure();
      outbox.send();
    } catch (error) {
      excuse(error);
    } finally {
      find("keep").disabled = false;
    }
  }

  // Once there is something to lose: ask the browser not to clear it when the phone is full.
  async function secure() {
    const { storage } = navigator;
    if (!storage || !storage.persist || (await storage.persisted())) return;
    if (!(await storage.persist())) say(find("alert"), text("may-clear"));
  }

  window.addEventListener("outbox", refresh);
  refresh().then(() => {
    if (!outbox.able) return;
    outbox.start();
    outbox.send();
  });
})();
