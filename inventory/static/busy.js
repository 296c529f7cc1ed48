// A form that takes its time says so: the pressed button turns busy. What is sent twice is recorded once anyway.
"use strict";

(function () {
  const PATIENCE = 400;
  let waiting = null;

  document.addEventListener("submit", ({ target, submitter, defaultPrevented }) => {
    if (!submitter || defaultPrevented || target.method !== "post") return;
    waiting = setTimeout(() => submitter.setAttribute("aria-busy", "true"), PATIENCE);
  });

  // Back from the next page, or here once more: nothing is under way any more.
  function rest() {
    clearTimeout(waiting);
    for (const button of document.querySelectorAll("button[aria-busy=true]")) button.removeAttribute("aria-busy");
  }
  addEventListener("pageshow", rest);
  addEventListener("focus", rest);
})();
