// Lines of the table of offices open in place, and what changed is said. Without it a line's name leads further down.
"use strict";

(() => {
  const opener = (row) => row.querySelector("button.open");
  const isOpen = (row) => opener(row)?.getAttribute("aria-expanded") === "true";
  const below = (row) =>
    [...row.parentElement.rows].filter((each) => each !== row && each.dataset.path.startsWith(row.dataset.path));

  function say(words, failed = false) {
    const place = document.querySelector("[data-said]");
    if (!place || !words) return;
    place.classList.toggle("seen-by-readers", !failed);
    place.textContent = words;
  }

  // A line is to be seen when every line above it is open. They stand in the order of the tree.
  function show(row) {
    const lines = below(row);
    for (const each of lines) {
      const above = [row, ...lines]
        .filter((other) => other !== each && opener(other) && each.dataset.path.startsWith(other.dataset.path))
        .at(-1);
      each.hidden = !isOpen(above) || above.hidden;
    }
  }

  function turn(row, open) {
    opener(row).setAttribute("aria-expanded", String(open));
    show(row);
  }

  function offer(part) {
    part.querySelectorAll("button.open[hidden]").forEach((button) => { button.hidden = false; });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.open");
    if (!button || button.getAttribute("aria-busy") === "true") return;
    const row = button.closest("tr");
    if (button.dataset.there !== undefined) {
      turn(row, !isOpen(row));
      return;
    }
    button.setAttribute("aria-busy", "true");
    window.htmx.trigger(button, "open");
  });

  // Where another page answers, the one for logging in, the browser goes there and comes back.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, pathInfo } = event.detail;
    if (xhr.responseURL && new URL(xhr.responseURL).pathname !== new URL(pathInfo.requestPath, location).pathname) {
      event.detail.shouldSwap = false;
      location.reload();
    }
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    const { elt, successful } = event.detail;
    if (!elt.matches("button.open")) return;
    elt.removeAttribute("aria-busy");
    if (!successful) return;
    elt.dataset.there = "";
    turn(elt.closest("tr"), true);
  });

  // What was refused says so on a page of its own; where nothing came at all, this one stays as it is.
  document.addEventListener("htmx:responseError", (event) => {
    const link = event.detail.elt.closest("th")?.querySelector("th a[href]");
    location.assign(link ? link.href : event.detail.pathInfo.finalRequestPath);
  });
  for (const failure of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(failure, () => say(document.querySelector("[data-said]")?.dataset.failed, true));
  }

  document.addEventListener("htmx:afterSettle", (event) => {
    offer(document);
    if (event.detail.target?.id === "overview" || event.detail.elt?.id === "overview") {
      say(document.getElementById("overview")?.dataset.words);
    }
  });
  document.addEventListener("DOMContentLoaded", () => { if (window.htmx) offer(document); });
})();
