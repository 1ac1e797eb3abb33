// The soaks and what was seen in them, over time. Plotly is fetched only when there is something
// to draw; the table below the picture says the same in words.

import { clock, el, now } from "./dom.js";
import { table } from "./parts.js";

const LANE = 26;
const AROUND = { t: 32, r: 12, b: 52 };
const REDRAW = 60_000; // milliseconds: the line of now moves
const LETTER = 7.2; // width of one, about, in a label
const HEALTH = {
  ok: { word: "ok", symbol: "circle", color: "--strong-green" },
  unknown: { word: "not known", symbol: "diamond-open", color: "--strong-orange" },
  harm: { word: "harm", symbol: "x", color: "--strong-red" },
};

let library = null;

/** Fetch Plotly, once. */
function fetchLibrary() {
  library ??= new Promise((resolve, reject) => {
    const { charts, styles } = document.body.dataset;
    // Where an element has the id, Plotly adds no style, which the policy of the page forbids.
    for (const id of styles.split(" ")) document.head.append(el("meta", { id }));
    const script = el("script", { src: charts, async: true });
    script.addEventListener("load", () => resolve(window.Plotly));
    script.addEventListener("error", () => {
      library = null;
      reject(new Error("Plotly"));
    });
    document.head.append(script);
  });
  return library;
}

/** Plotly takes some markup in texts for formatting: whatever is shown here is text. */
function plain(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Give the colours that hold now, light or dark. */
function palette() {
  const probe = el("span", { hidden: true });
  document.body.append(probe);
  const color = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const found = { ink: color("--ink"), line: color("--line"), soak: color("--teal"), ground: color("--ground") };
  for (const [name, { color: of }] of Object.entries(HEALTH)) found[name] = color(of);
  probe.remove();
  return found;
}

/** Give the lanes from the top: of each channel its soak, its signals, its unwell targets. */
function lanesOf({ soaks, series }) {
  return soaks.flatMap((soak) => [
    { label: `${soak.channel}: soak`, soak, looks: [] },
    ...series
      .filter((one) => one.channel === soak.channel)
      .map((one) => ({ label: `${soak.channel}: ${one.signal}${one.target ? ` on ${one.target}` : ""}`, ...one })),
  ]);
}

function traces(lanes, colors) {
  const bars = lanes.flatMap((lane, y) => (lane.soak ? [bar(lane.soak, y, colors)] : []));
  const marks = Object.entries(HEALTH).map(([health, { word, symbol }]) => {
    const seen = lanes.flatMap((lane, y) =>
      [...lane.looks, ...(lane.soak ? ends(lane.soak) : [])]
        .filter(([, found]) => found === health)
        .map(([at, , text]) => ({ at, y, text })),
    );
    return {
      type: "scatter",
      mode: "markers",
      name: word,
      x: seen.map(({ at }) => at),
      y: seen.map(({ y }) => y),
      text: seen.map(({ text }) => plain(text)),
      hovertemplate: "%{text}<br>%{x|%H:%M:%S}<extra></extra>",
      marker: { symbol, size: 11, color: colors[health], line: { color: colors[health], width: 2 } },
    };
  });
  return [...bars, ...marks.filter((trace) => trace.x.length)];
}

function bar({ from, to, planned }, y, colors) {
  const end = Date.parse(to ?? planned);
  return {
    type: "bar",
    orientation: "h",
    base: [from],
    x: [end - Date.parse(from)],
    y: [y],
    width: 0.55,
    showlegend: false,
    marker: { color: colors.soak, line: { color: colors.line, width: 1 } },
    hovertemplate: `soaks until ${new Date(end).toLocaleTimeString()}<extra></extra>`,
  };
}

function ends({ to, health }) {
  return to ? [[to, health, health === "ok" ? "judged healthy" : "failed"]] : [];
}

function layout(lanes, colors) {
  const longest = Math.max(...lanes.map(({ label }) => label.length));
  const running = lanes.some(({ soak }) => soak && !soak.to);
  const axis = { gridcolor: colors.line, linecolor: colors.line, zeroline: false, fixedrange: true };
  return {
    height: lanes.length * LANE + AROUND.t + AROUND.b,
    margin: { ...AROUND, l: Math.min(360, 16 + longest * LETTER) },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colors.ink, size: 12 },
    hoverlabel: { bgcolor: colors.ground, bordercolor: colors.line, font: { color: colors.ink } },
    xaxis: { ...axis, type: "date" },
    yaxis: {
      ...axis,
      tickvals: lanes.map((_, y) => y),
      ticktext: lanes.map(({ label }) => plain(label)),
      range: [lanes.length - 0.4, -0.6],
    },
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", font: { color: colors.ink } },
    shapes: running ? [nowLine(colors)] : [],
  };
}

function nowLine(colors) {
  const at = new Date(now()).toISOString();
  const line = { color: colors.ink, width: 1, dash: "dot" };
  return { type: "line", x0: at, x1: at, y0: 0, y1: 1, yref: "paper", line };
}

/** Say in a sentence what the picture shows, for who does not see it. */
function inWords({ soaks }) {
  const told = soaks.map(({ channel, to, health }) => {
    const end = to ? (health === "ok" ? "was judged healthy" : "failed") : "soaks";
    return `${channel} ${end}`;
  });
  return `Soaks and signals over time: ${told.join(", ")}. The table below says the same.`;
}

/** Draw into a place, and again whenever the theme changes. */
export function chart(charts) {
  const place = el("div", { class: "chart", role: "img", "aria-label": inWords(charts) });
  const lanes = lanesOf(charts);
  async function draw() {
    if (place.isConnected === false && place.drawn) return;
    try {
      const plotly = await fetchLibrary();
      const colors = palette();
      await plotly.react(place, traces(lanes, colors), layout(lanes, colors), { displayModeBar: false, responsive: true });
      place.drawn = true;
    } catch {
      place.replaceChildren(el("p", { class: "quiet" }, "The picture could not be loaded; the table says the same."));
    }
  }
  redraw = draw;
  draw();
  return [place, asTable(charts)];
}

let redraw = () => {};
setInterval(() => redraw(), REDRAW);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
new MutationObserver(() => redraw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });

function asTable({ soaks, series }) {
  const rows = [
    ...soaks.flatMap((soak) => [
      [clock(soak.from), soak.channel, "soak", "", "begins"],
      ...ends(soak).map(([at, , text]) => [clock(at), soak.channel, "soak", "", text]),
    ]),
    ...series.flatMap(({ channel, signal, target, looks }) =>
      looks.map(([at, , text]) => [clock(at), channel, signal, target || "all", text]),
    ),
  ];
  const told = table(["when", "channel", "signal", "targets", "what was seen"], rows);
  return el("details", {}, el("summary", {}, "The same as a table"), told);
}
