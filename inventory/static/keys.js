// Single keys, for people who like them: "/" to the search, "?" for the list, "g" and a letter to a page. They are off
// while something is typed, and can be switched off for good in the list (kept on this device).
"use strict";

(() => {
  const dialog = document.querySelector("dialog[data-keys]");
  if (!dialog || !dialog.showModal) return;
  const OFF = "keys-off", LETTER_MS = 1500;
  const box = dialog.querySelector("#keys-on");
  let going = 0;

  const kept = {
    get off() { try { return localStorage.getItem(OFF) === "1"; } catch { return false; } },
    set off(off) { try { off ? localStorage.setItem(OFF, "1") : localStorage.removeItem(OFF); } catch { /* not kept */ } },
  };
  let off = kept.off;

  const open = () => { if (!dialog.open) { box.checked = !off; dialog.showModal(); } };
  box.addEventListener("change", () => { off = !box.checked; kept.off = off; });
  for (const place of document.querySelectorAll("[data-keys-open]")) {
    place.hidden = false;
    place.addEventListener("click", open);
  }

  const typing = (target) =>
    target instanceof HTMLElement && (target.isContentEditable || target.closest("input, textarea, select") !== null);

  const search = () => {
    const fields = [...document.querySelectorAll(':is(search, [role="search"]) input[name="q"]')];
    const field = fields.find((each) => each.offsetParent !== null);
    if (field) { field.focus(); field.select(); }
    return Boolean(field);
  };

  const go = (letter) => {
    const link = dialog.querySelector(`a[data-key="${CSS.escape(letter)}"]`);
    if (link) location.assign(link.href);
    return Boolean(link);
  };

  const act = (event) => {
    const chosen = going && event.timeStamp - going < LETTER_MS;
    going = 0;
    if (chosen) return go(event.key);
    if (event.key === "/") return search();
    if (event.key === "?") { open(); return true; }
    if (event.key === "g") going = event.timeStamp;
    return false;
  };

  document.addEventListener("keydown", (event) => {
    const other = event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat;
    const busy = document.querySelector("dialog[open]") || typing(event.target);
    if (off || other || busy || event.defaultPrevented) return;
    if (act(event)) event.preventDefault();
  });
})();
