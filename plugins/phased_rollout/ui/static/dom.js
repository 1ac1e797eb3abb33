// What both pages build on. Everything shown is set as text: nothing here parses HTML.

/** Make an element. Attributes that are null or false are left out; `on…` are listeners. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** Replace what is in an element, but only when what it shows has changed. */
export function show(place, value, build) {
  const now = JSON.stringify(value);
  if (place.shown === now) return;
  place.shown = now;
  place.replaceChildren(...[build(value)].flat().filter(Boolean));
}

const { airflow, view } = document.body.dataset;
export const VIEW = view;

/** Give the address of something in Airflow's own pages. */
export function inAirflow(...parts) {
  return `${airflow}/${parts.map(encodeURIComponent).join("/")}`;
}

export function taskLink(run, task, text, { mapIndex = null, tab = "" } = {}) {
  const mapped = mapIndex === null ? [] : ["mapped", String(mapIndex)];
  const parts = ["dags", run.dag, "runs", run.run, "tasks", task, ...mapped];
  return link(inAirflow(...parts, ...(tab ? [tab] : [])), text);
}

/** Lead to the tab of a run. */
export function tabLink({ dag, run }, text) {
  return link(inAirflow("dags", dag, "runs", run, "plugin", "rollout"), text);
}

export function link(href, text) {
  return el("a", { href, "data-outside": true }, text);
}

// Airflow's frame forbids its content to leave it: the page around opens the link instead.
function openOutside(event) {
  const inside = event.target.closest?.("a[data-outside]");
  if (!inside || window.parent === window || event.button > 1) return;
  const outside = window.parent.document.createElement("a");
  outside.href = inside.href;
  if (event.button || event.ctrlKey || event.metaKey || event.shiftKey) {
    outside.target = "_blank";
    outside.rel = "noopener";
  }
  event.preventDefault();
  outside.click();
}
document.addEventListener("click", openOutside);
document.addEventListener("auxclick", openOutside);

/** Follow the theme that is chosen in Airflow; on its own, a page has that of the system. */
function followTheme() {
  if (window.parent === window) return;
  const around = window.parent.document.documentElement;
  const follow = () => {
    const found = ["dark", "light"].find((name) => around.classList.contains(name));
    if (found) document.documentElement.dataset.theme = found;
  };
  new MutationObserver(follow).observe(around, { attributeFilter: ["class"] });
  follow();
}
followTheme();

// Time, by the server's clock

let ahead = 0;

export function now() {
  return Date.now() + ahead;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export function clock(at) {
  const moment = new Date(at);
  const near = Math.abs(moment - now()) < 12 * 3600e3;
  return el("time", { datetime: at, title: at }, (near ? CLOCK : DAY).format(moment));
}

export function duration(seconds) {
  let left = Math.max(0, Math.round(seconds));
  const words = [];
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]]) {
    const count = Math.floor(left / length);
    left -= count * length;
    if (count && words.length < 2) words.push(`${count}${unit}`);
  }
  return words.join(" ") || "0s";
}

/** Give the moment at which a run can end, `work` seconds of work included. */
export function endAt({ since, seconds, not_before: opens }, work = 0) {
  const from = Math.max(since ? Date.parse(since) : 0, now()) + (seconds + work) * 1000;
  return Math.max(from, opens ? Date.parse(opens) + work * 1000 : 0);
}

const ticking = new Set();

/** Make an element whose text is computed every second, for as long as it is shown. */
export function ticks(attributes, text) {
  const made = el("span", attributes, text());
  ticking.add({ made: new WeakRef(made), text });
  return made;
}

setInterval(() => {
  for (const one of ticking) {
    const made = one.made.deref();
    if (!made) ticking.delete(one);
    else if (made.isConnected && made.textContent !== one.text()) made.textContent = one.text();
  }
}, 1000);

/** Fetch the view every few seconds and hand on what is new, until `update` says that it is over. */
export function poll(update, fail) {
  let etag = null;
  let timer = null;
  const again = (seconds) => {
    clearTimeout(timer);
    timer = setTimeout(look, seconds * 1000);
  };
  async function look() {
    if (document.hidden) return;
    try {
      const headers = etag ? { "If-None-Match": etag } : {};
      const answer = await fetch(VIEW, { headers, cache: "no-store" });
      const off = Date.parse(answer.headers.get("date")) - Date.now();
      // The header tells whole seconds, and a busy server is late with it: less is no difference.
      if (Math.abs(off) > 10000) ahead = off;
      if (answer.status !== 304) {
        const told = await answer.json();
        if (!answer.ok) {
          fail(answer.status, told.detail ?? answer.statusText);
          return answer.status < 500 ? undefined : again(10);
        }
        etag = answer.headers.get("etag");
        fail(0, "");
        if (update(told)) return;
      }
      again(3);
    } catch (error) {
      fail(-1, String(error));
      again(10);
    }
  }
  document.addEventListener("visibilitychange", () => again(0));
  look();
}
