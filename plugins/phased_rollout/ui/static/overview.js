// All definitions: what the newest run of each does.

import { countsOf } from "./cells.js";
import { clock, duration, el, endAt, inAirflow, link, now, poll, show, tabLink, ticks } from "./dom.js";
import { STAGES, TONES } from "./words.js";

const desk = document.getElementById("desk");
const alert = el("div", { class: "alert", role: "alert" });
const body = el("tbody");

function update({ definitions }) {
  desk.removeAttribute("aria-busy");
  if (!desk.contains(body)) {
    const heads = ["definition", "newest run", "channels, from low to high risk", "where it is", "end"];
    const columns = heads.map((head) => el("th", { scope: "col" }, head));
    const table = el("table", { class: "overview" }, el("thead", {}, el("tr", {}, columns)), body);
    desk.replaceChildren(alert, el("h1", {}, "Rollouts"), el("div", { class: "wide" }, table));
  }
  show(body, definitions, (all) => (all.length ? all.map(row) : none()));
  return false;
}

function none() {
  return el("tr", {}, el("td", { colspan: "5" }, "There is no rollout that you may see."));
}

function row({ definition, dag, about, paused, owed, run }) {
  const notes = [paused ? "paused" : "", owed ? `${owed} owed` : "", ...holdsOf(run)].filter(Boolean);
  const badges = notes.map((note) => el("span", { class: "badge waits" }, note));
  const name = el("th", { scope: "row" }, link(inAirflow("dags", dag), definition), " ", ...badges);
  name.append(el("p", { class: "quiet" }, about));
  if (!run) return el("tr", {}, name, el("td", { colspan: "4", class: "quiet" }, "never run"));
  const { title, detail, tone } = run.standing;
  return el(
    "tr",
    {},
    name,
    el("td", {}, tabLink(run, run.plan?.change ?? run.run), " ", run.plan?.emergency ? el("span", { class: "badge bad" }, "emergency") : "", el("p", { class: "quiet" }, run.began ? clock(run.began) : run.state)),
    el("td", {}, el("ol", { class: "strip", role: "list" }, run.channels.map(stage))),
    el("td", {}, el("p", { class: "where", "data-tone": tone }, `${TONES[tone]} ${title}`), detail ? el("p", { class: "quiet clip", title: detail }, detail) : null),
    el("td", {}, ending(run)),
  );
}

function holdsOf(run) {
  const kinds = new Set((run?.holds ?? []).map(({ why, who }) => ({ operator: `held by ${who}`, freeze: "frozen" })[why]));
  return [...kinds].filter(Boolean);
}

function stage({ name, stage: at, counts }) {
  const [sign, word] = STAGES[at];
  const label = `${name}: ${word}, ${countsOf(counts)}`;
  return el("li", { "data-stage": at, title: label }, el("span", { "aria-hidden": "true" }, `${sign} `), name, el("span", { class: "unseen" }, `: ${word}`));
}

function ending({ ended, end }) {
  if (ended) return clock(ended);
  if (!end) return "";
  const moment = () => endAt(end);
  const text = () => (moment() > now() ? `in ${duration((moment() - now()) / 1000)} or later` : "any moment");
  return ticks({}, text);
}

function fail(status, detail) {
  if (!desk.contains(alert)) desk.prepend(alert);
  const words = { 401: "You are not logged in any more: load the page again.", 403: "You may not read runs.", [-1]: "Airflow does not answer; what is shown may be old." };
  alert.replaceChildren(...(status ? [el("p", { class: "badge bad" }, words[status] ?? `${status}: ${detail}`)] : []));
}

poll(update, fail);
