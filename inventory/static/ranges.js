// Number ranges are asked for only while the chosen item's numbers are kept. Without this script the fields show always.
"use strict";

(function () {
  const item = document.querySelector("select[name=item]");
  if (!item) return;

  function update() {
    const numbered = "numbered" in item.selectedOptions[0].dataset;
    for (const part of document.querySelectorAll("[data-for-numbered]")) {
      part.hidden = !numbered;
      for (const field of part.querySelectorAll("textarea")) field.disabled = !numbered;
    }
  }

  item.addEventListener("input", update);
  update();
})();
