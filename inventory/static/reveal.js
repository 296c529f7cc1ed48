// A password can be looked at before it is sent: a button below each field of that kind, for whoever has scripts.
"use strict";

(function () {
  const words = document.querySelector("template[data-reveal-words]");
  if (!words) return;
  for (const field of document.querySelectorAll("input[type=password]")) {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    label.className = "reveal";
    label.append(box, " ", words.content.textContent.trim());
    box.addEventListener("change", () => {
      field.type = box.checked ? "text" : "password";
    });
    field.form.addEventListener("submit", () => {
      field.type = "password";
    });
    field.after(label);
  }
})();
