// Scanning into fields marked `data-scan`: "ranges" (numbers of cards), "number" (one of them), "bast" (a record's).
//
// By the camera: the browser's own reader where it has one, else ZXing, fetched when it is needed first. By a scanner
// that types: it types faster than anybody and ends with Enter, which then ends the number and does not send the form.
"use strict";

window.scanning = (function () {
  const NUMBER = /^(?:[A-Z0-9]{0,7}[A-Z])?[0-9]{1,12}$/;
  const OF_DOCUMENT = /\/d\/([A-Za-z0-9_-]{22,43})\/?$/;
  const FORMATS = ["code_128", "code_39", "code_93", "codabar", "ean_13", "ean_8", "itf", "qr_code", "data_matrix", "pdf417"];
  const EVERY = 120; // milliseconds between two looks
  const SAME = 2500; // milliseconds for which the code before the camera is still the one that was read
  const FAST = 40; // milliseconds between two keys of a scanner, on average; people need more than twice that
  const WIDTH = 800;

  const dialog = document.querySelector("[data-scanner]");
  let reading = null; // the camera at work: { field, stream, found, last, timer }
  let fetched = null;

  function words(name, facts = {}) {
    const found = document.querySelector(`[data-words="${name}"]`).textContent;
    return found.replace(/\{(\w+)\}/g, (whole, fact) => (fact in facts ? facts[fact] : whole));
  }

  // --- numbers ---

  function split(text) {
    const joined = ` ${text.toUpperCase()} `.replace(/\s*[-–—]\s*|\s+S(?:\.\s?\/?|\/)?D\.?\s+|\s+SAMPAI(?:\s+DENGAN)?\s+|\s+TO\s+/g, "-");
    return joined.split(/[,;\s]+/).filter(Boolean);
  }

  // How many numbers ranges hold; null where that cannot be told.
  function count(text) {
    let sum = 0;
    for (const part of split(text)) {
      const [first, last, more] = part.split("-");
      const [, begins] = first.match(/([0-9]{1,12})$/) || [];
      const [, ends] = (last === undefined ? first : last).match(/([0-9]{1,12})$/) || [];
      if (more !== undefined || !begins || !ends || Number(ends) < Number(begins)) return null;
      sum += Number(ends) - Number(begins) + 1;
    }
    return sum;
  }

  function put(field, text) {
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  // A line of its own for each scan; what was typed before stays.
  function add(field, parts) {
    const before = field.value.trimEnd();
    put(field, `${[before, ...parts].filter(Boolean).join("\n")}\n`);
    field.scrollTop = field.scrollHeight;
  }

  // The last two lines, when both are single numbers of one series in this order: they may be the ends of a range.
  function ends(field) {
    const lines = field.value.trimEnd().toUpperCase().split("\n");
    const [first, last] = lines.slice(-2).map((line) => line.trim());
    if (lines.length < 2 || !NUMBER.test(first) || !NUMBER.test(last) || first.length !== last.length) return null;
    return first < last ? { kept: lines.slice(0, -2), range: `${first}-${last}` } : null;
  }

  // --- documents ---

  // The number of our own document whose code was read; of any other text the text itself; null where there is none.
  async function numberOf(text) {
    const token = text.match(OF_DOCUMENT);
    if (!token || !/^https?:/i.test(text)) return text;
    try {
      const answer = await fetch(`/d/${token[1]}`, { credentials: "same-origin" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      return page.querySelector("[data-document-number]").dataset.documentNumber;
    } catch {
      return null;
    }
  }

  // --- the camera ---

  function say(text) {
    dialog.querySelector("[data-said]").textContent = text;
  }

  async function open(field) {
    const mine = { field, stream: null, found: [], last: "", at: 0, timer: null };
    reading = mine;
    const many = field.dataset.scan === "ranges";
    dialog.querySelector("[data-pairs]").hidden = !many;
    dialog.querySelector("[data-done]").hidden = !many;
    dialog.querySelector("[data-read]").textContent = "";
    dialog.returnValue = "";
    say(words("starting"));
    dialog.showModal();
    const look = await prepare(mine);
    if (!look) return;
    if (reading !== mine) return release(mine);
    say(words("aim"));
    watch(mine, look);
  }

  // Camera and reader; null, after having said so, where one of them is not to be had.
  async function prepare(mine) {
    const video = dialog.querySelector("video");
    try {
      if (!navigator.mediaDevices) throw new DOMException("", "NotFoundError");
      const wanted = { facingMode: { ideal: "environment" }, width: { ideal: 1280 } };
      mine.stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
      if (reading !== mine) return release(mine);
      video.srcObject = mine.stream;
      await video.play();
    } catch (error) {
      if (reading === mine) say(words(error.name === "NotAllowedError" ? "refused" : "none"));
      release(mine);
      return null;
    }
    try {
      return (await native(video)) || (await vendored(video));
    } catch {
      say(words("broken"));
      release(mine);
      return null;
    }
  }

  async function native(video) {
    if (!("BarcodeDetector" in window)) return null;
    const known = await window.BarcodeDetector.getSupportedFormats();
    const formats = FORMATS.filter((format) => known.includes(format));
    if (formats.length === 0) return null;
    const detector = new window.BarcodeDetector({ formats });
    return async () => (await detector.detect(video)).map((code) => code.rawValue)[0] || "";
  }

  function library() {
    if (!fetched) {
      fetched = new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = dialog.dataset.reader;
        script.onload = () => resolve(window.ZXing);
        script.onerror = () => { fetched = null; script.remove(); reject(new Error("not loaded")); };
        document.head.append(script);
      });
    }
    return fetched;
  }

  async function vendored(video) {
    const ZXing = await library();
    const hints = new Map([[ZXing.DecodeHintType.TRY_HARDER, true]]);
    const readers = [new ZXing.MultiFormatOneDReader(hints), new ZXing.QRCodeReader()];
    const canvas = document.createElement("canvas");
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    return async () => {
      if (!video.videoWidth) return "";
      const scale = Math.min(1, WIDTH / video.videoWidth);
      canvas.width = Math.round(video.videoWidth * scale);
      canvas.height = Math.round(video.videoHeight * scale);
      pen.drawImage(video, 0, 0, canvas.width, canvas.height);
      const source = new ZXing.HTMLCanvasElementLuminanceSource(canvas);
      const picture = new ZXing.BinaryBitmap(new ZXing.HybridBinarizer(source));
      for (const reader of readers) {
        try {
          return reader.decode(picture, hints).getText();
        } catch { /* no such code in this picture */ }
      }
      return "";
    };
  }

  function watch(mine, look) {
    mine.timer = setTimeout(async () => {
      const text = await look().catch(() => "");
      if (reading !== mine) return;
      if (text) await take(mine, text.trim());
      if (reading === mine) watch(mine, look);
    }, EVERY);
  }

  async function take(mine, text) {
    const now = Date.now();
    const again = text === mine.last && now - mine.at < SAME;
    mine.last = text;
    mine.at = now;
    if (again) return;
    const kind = mine.field.dataset.scan;
    if (kind === "bast") {
      const number = await numberOf(text);
      if (reading !== mine) return;
      if (number === null) return say(words("unknown"));
      return finish(mine, number);
    }
    const number = text.toUpperCase();
    if (!NUMBER.test(number)) return say(words("not-a-number", { text: text.slice(0, 40) }));
    if (navigator.vibrate) navigator.vibrate(60);
    if (kind === "number") return finish(mine, number);
    return collect(mine, number);
  }

  function collect(mine, number) {
    const pairs = dialog.querySelector("[data-pairs] input").checked;
    if (pairs && mine.first) {
      mine.found.push(mine.first === number ? number : `${mine.first}-${number}`);
      mine.first = "";
    } else if (pairs) mine.first = number;
    else mine.found.push(number);
    say(words(mine.first ? "first" : "read", { number: mine.first || mine.found.at(-1) }));
    dialog.querySelector("[data-read]").textContent = mine.found.join(", ");
  }

  function finish(mine, number) {
    put(mine.field, number);
    dialog.close("read");
    if (mine.field.dataset.scan === "number") mine.field.form.requestSubmit();
  }

  function release(mine) {
    clearTimeout(mine.timer);
    if (mine.stream) for (const track of mine.stream.getTracks()) track.stop();
    return null;
  }

  function closed() {
    const mine = reading;
    reading = null;
    if (!mine) return;
    release(mine);
    dialog.querySelector("video").srcObject = null;
    const found = [...mine.found, mine.first].filter(Boolean);
    if (dialog.returnValue === "done" && found.length) add(mine.field, found);
    mine.field.focus();
  }

  // --- a scanner that types ---

  function listen(field) {
    let keys = [];
    field.addEventListener("keydown", (event) => {
      if (event.key.length === 1 && !event.ctrlKey && !event.metaKey) {
        if (keys.length && event.timeStamp - keys.at(-1).at > 3 * FAST) keys = [];
        keys.push({ key: event.key, at: event.timeStamp });
        return;
      }
      if (event.key !== "Enter") return;
      const typed = keys;
      keys = [];
      const took = typed.length > 3 ? event.timeStamp - typed[0].at : Infinity;
      if (took / typed.length > FAST) return;
      event.preventDefault();
      typedBy(field, typed.map(({ key }) => key).join(""));
    });
  }

  async function typedBy(field, text) {
    const before = field.value.endsWith(text) ? field.value.slice(0, -text.length) : null;
    if (field.dataset.scan === "ranges") {
      if (before !== null) field.value = before;
      return add(field, before === null ? [] : [text]);
    }
    if (field.dataset.scan === "number") return field.form.requestSubmit();
    const number = await numberOf(before === null ? field.value : text);
    return number === null ? undefined : put(field, number);
  }

  // --- beginning ---

  function button(name, style) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = style;
    made.textContent = words(name);
    return made;
  }

  // The buttons beside each field within `root`.
  function begin(root) {
    for (const field of root.querySelectorAll("[data-scan]:not([data-scannable])")) {
      field.dataset.scannable = "";
      const ways = document.createElement("div");
      ways.className = "scan-ways";
      const scan = button("scan", "outline secondary");
      scan.setAttribute("aria-label", `${scan.textContent}: ${field.labels[0] ? field.labels[0].textContent : ""}`);
      scan.addEventListener("click", () => open(field));
      ways.append(scan);
      if (field.dataset.scan === "ranges") ways.append(joiner(field));
      field.after(ways);
      listen(field);
    }
  }

  function joiner(field) {
    const join = button("join", "outline");
    const update = () => {
      const found = ends(field);
      join.hidden = !found;
      if (found) join.textContent = words("join", { range: found.range });
    };
    join.addEventListener("click", () => {
      const found = ends(field);
      if (found) put(field, `${[...found.kept, found.range].join("\n")}\n`);
      field.focus();
    });
    field.addEventListener("input", update);
    update();
    return join;
  }

  if (dialog) {
    dialog.addEventListener("close", closed);
    begin(document);
  }
  return { begin, count };
})();
