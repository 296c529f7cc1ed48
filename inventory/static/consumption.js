// The running total of a day's consumption, and only the fields that belong to the chosen item.
// Without this script all fields show and the server does the checking, as it does anyway.
"use strict";

(function () {
  const form = document.querySelector("[data-running-total]");
  if (!form) return;
  const item = form.querySelector("select[name=item]");
  const total = form.querySelector(".total");
  const [together, left] = total.querySelectorAll("output");
  const group = form.dataset.group;
  const shown = new Intl.NumberFormat(document.documentElement.lang);

  // Null for what the server would refuse: a wrong sum is worse than none.
  function quantity(text) {
    const plain = text.trim();
    if (plain === "") return 0;
    const grouped = plain.split(group);
    const whole =
      grouped.length > 1 && /^[1-9][0-9]{0,2}$/.test(grouped[0]) && grouped.slice(1).every((part) => part.length === 3);
    const digits = whole ? grouped.join("") : plain;
    return /^[0-9]{1,8}$/.test(digits) ? Number(digits) : null;
  }

  function update() {
    const chosen = item.selectedOptions[0];
    let sum = 0;
    for (const set of form.querySelectorAll("fieldset[data-for]")) {
      set.hidden = set.disabled = set.dataset.for !== chosen.dataset.kind;
      if (set.hidden) continue;
      for (const input of set.querySelectorAll(".counted input")) {
        const number = quantity(input.value);
        sum = sum === null || number === null ? null : sum + number;
      }
    }
    const rest = sum === null ? null : Number(chosen.dataset.store) - sum;
    together.textContent = sum === null ? "?" : shown.format(sum);
    left.textContent = rest === null ? "?" : shown.format(rest);
    total.classList.toggle("short", rest !== null && rest < 0);
    total.hidden = false;
  }

  form.addEventListener("input", update);
  update();
})();
