// Zooming a picture of a stock: the library and the figures are fetched when somebody asks for them.
// Without this script the picture on the page, and how far back it goes, say the same.
"use strict";

(function () {
  const button = document.querySelector("[data-zoom]");
  const dialog = document.querySelector("dialog.zoomed");
  if (!button || !dialog || !dialog.showModal) return;

  const DAY = 86400;
  const FEWEST_DAYS = 14;
  const language = document.documentElement.lang;
  const number = new Intl.NumberFormat(language);
  const status = dialog.querySelector("[role=status]");
  const place = dialog.querySelector(".plot");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let known = null;
  let plot = null;

  function named(options) {
    const format = new Intl.DateTimeFormat(language, { timeZone: "UTC", ...options });
    return (seconds) => format.format(new Date(seconds * 1000));
  }
  const long = named({ day: "numeric", month: "long", year: "numeric" });
  const short = named({ day: "numeric", month: "short" });
  const month = named({ month: "short", year: "2-digit" });

  function loaded(make) {
    return new Promise((done, failed) => {
      const element = make();
      element.onload = done;
      element.onerror = () => { element.remove(); failed(new Error("not loaded")); };
      document.head.append(element);
    });
  }

  async function library() {
    if (window.uPlot) return;
    const style = () => Object.assign(document.createElement("link"), { rel: "stylesheet", href: button.dataset.sheet });
    const script = () => Object.assign(document.createElement("script"), { src: button.dataset.plot });
    await Promise.all([loaded(style), loaded(script)]);
  }

  async function figures() {
    const answer = await fetch(button.dataset.zoom, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(answer.status);
    const told = await answer.json();
    const first = Date.parse(told.first) / 1000;
    const days = told.store.map((_, index) => first + index * DAY);
    const marked = (pairs) => {
      const at = new Map(pairs);
      return told.store.map((store, index) => (at.has(index) ? store : null));
    };
    const quantities = [told.arrived, told.counted].map((pairs) => new Map(pairs));
    return { data: [days, told.store, marked(told.arrived), marked(told.counted)], quantities };
  }

  // Colours are those of the page, which may turn dark while it is looked at.
  function colours() {
    const style = getComputedStyle(document.documentElement);
    return (name) => style.getPropertyValue(name).trim();
  }

  function points(colour, width, label, quantities) {
    return {
      label,
      stroke: colour,
      paths: () => null,
      points: { show: true, size: 9, width, fill: colour },
      value: (_, __, ___, index) => {
        const quantity = index === null ? undefined : quantities.get(index);
        return quantity === undefined ? "–" : (quantity > 0 ? "+" : "") + number.format(quantity);
      },
    };
  }

  function options(width) {
    const colour = colours();
    const text = colour("--pico-color");
    const grid = { stroke: colour("--pico-muted-border-color"), width: 1 };
    const axis = { stroke: text, grid, ticks: grid, font: "13px sans-serif" };
    const far = (plot) => plot.scales.x.max - plot.scales.x.min > 300 * DAY;
    return {
      width,
      height: Math.max(220, Math.min(420, Math.round(innerHeight * 0.45))),
      tzDate: (seconds) => window.uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      legend: { live: true },
      cursor: { drag: { x: true, y: false } },
      scales: { y: { range: (_, __, most) => [0, Math.max(1, most) * 1.08] } },
      axes: [
        { ...axis, values: (plot, days) => days.map(far(plot) ? month : short), space: 64 },
        { ...axis, values: (_, figures) => figures.map((figure) => number.format(figure)), size: 64 },
      ],
      series: [
        { label: dialog.dataset.day, value: (_, seconds) => (seconds === null ? "–" : long(seconds)) },
        {
          label: dialog.dataset.store,
          stroke: text,
          width: 2,
          fill: colour("--pico-muted-border-color"),
          paths: window.uPlot.paths.stepped({ align: 1 }),
          points: { show: false },
          value: (_, store) => (store === null || store === undefined ? "–" : number.format(store)),
        },
        points(colour("--ok"), 1, dialog.dataset.arrived, known.quantities[0]),
        points(colour("--critical"), 1, dialog.dataset.counted, known.quantities[1]),
      ],
      hooks: { setScale: [(plot, key) => key === "x" && say(plot)] },
    };
  }

  function say(plot) {
    const { min, max } = plot.scales.x;
    const shown = known.data[0].map((day, index) => [day, known.data[1][index]]).filter(([day]) => day >= min && day <= max);
    if (!shown.length) return;
    const words = {
      first: long(shown[0][0]),
      last: long(shown[shown.length - 1][0]),
      store: number.format(shown[shown.length - 1][1]),
      least: number.format(shown.reduce((least, [, store]) => Math.min(least, store), Infinity)),
    };
    const said = dialog.dataset.said.replace(/\{(\w+)\}/g, (_, name) => words[name]);
    status.textContent = said;
    place.setAttribute("aria-label", said);
  }

  function draw(scale) {
    if (plot) plot.destroy();
    plot = new window.uPlot(options(place.clientWidth), known.data, place);
    if (scale) plot.setScale("x", scale);
  }

  function redraw() {
    if (plot && dialog.open) draw({ min: plot.scales.x.min, max: plot.scales.x.max });
  }

  function move(how) {
    const days = known.data[0];
    const [first, last] = [days[0], days[days.length - 1]];
    let { min, max } = plot.scales.x;
    const middle = (min + max) / 2;
    const factor = { in: 0.5, out: 2 }[how];
    const shift = { left: -0.5, right: 0.5 }[how];
    if (how === "all") [min, max] = [first, last];
    if (factor) {
      const half = Math.max((max - min) * factor, FEWEST_DAYS * DAY) / 2;
      [min, max] = [middle - half, middle + half];
    }
    const length = Math.min(max - min, last - first);
    min = Math.min(Math.max(min + (shift || 0) * length, first), last - length);
    plot.setScale("x", { min, max: min + length });
  }

  async function open() {
    dialog.showModal();
    try {
      await library();
      known = known || (await figures());
    } catch {
      status.textContent = dialog.dataset.failed;
      return;
    }
    draw();
  }

  button.hidden = false;
  button.addEventListener("click", open);
  addEventListener("resize", redraw);
  dark.addEventListener("change", redraw);
  new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  dialog.addEventListener("close", () => button.focus());
  dialog.addEventListener("click", (event) => {
    const wanted = event.target.closest("[data-do]");
    if (!wanted) return;
    if (wanted.dataset.do === "close") dialog.close();
    else if (plot) move(wanted.dataset.do);
  });
  dialog.addEventListener("keydown", (event) => {
    const wanted = { ArrowLeft: "left", ArrowRight: "right", "+": "in", "-": "out", 0: "all" }[event.key];
    if (!wanted || !plot) return;
    event.preventDefault();
    move(wanted);
  });
})();
