"use strict";
// A file that is too large is said so before it travels; while the server is at work, the page says that it is.
for (const form of document.querySelectorAll("main form[method=post]")) {
  const busy = form.querySelector("[data-busy]");
  const large = form.querySelector("[data-too-large]");
  const file = form.querySelector("input[type=file]");
  const tooLarge = () => Boolean(form.dataset.limit && file.files[0] && file.files[0].size > Number(form.dataset.limit));
  if (file && large) file.addEventListener("change", () => { large.hidden = !tooLarge(); });
  form.addEventListener("submit", (event) => {
    if (file && tooLarge()) {
      event.preventDefault();
      file.focus();
    } else if (busy) {
      busy.hidden = false;
      form.querySelector("button").disabled = true;
    }
  });
}
// Back from the next page, the form can be sent again.
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("main form[method=post] button")) button.disabled = false;
  for (const busy of document.querySelectorAll("[data-busy]")) busy.hidden = true;
});
