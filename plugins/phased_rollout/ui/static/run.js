// The tab of one rollout: where it is, its channels and targets, and all that was decided.

import { Channels } from "./cells.js";
import { chart } from "./charts.js";
import { clock, duration, el, endAt, now, poll, show, tabLink, taskLink, ticks } from "./dom.js";
import * as parts from "./parts.js";
import { MEANING, STATES, TONES, stateOf } from "./words.js";

const desk = document.getElementById("desk");
const places = {};
let channels = null;
let view = null;
const states = new Set();

function build() {
  for (const name of ["alert", "head", "facts", "notices", "asked", "holds", "owed", "target"]) {
    places[name] = el("div", { class: name });
  }
  places.alert.setAttribute("role", "alert");
  places.target.setAttribute("aria-live", "polite");
  places.status = el("div", { class: "status", role: "status" });
  places.since = el("p", { class: "quiet since" });
  places.legend = el("div", { class: "legend", role: "group", "aria-label": "Show only" });
  places.found = el("p", { class: "quiet", role: "status" });
  const words = el("input", {
    type: "search",
    placeholder: "Find a target or account",
    "aria-label": "Find a target or account",
    oninput: () => filter(words.value),
  });
  const grid = el("div", { class: "channels" });
  channels = new Channels(grid, choose);
  desk.replaceChildren(
    places.alert,
    places.head,
    places.status,
    places.since,
    places.facts,
    places.notices,
    places.asked,
    places.holds,
    places.owed,
    el("div", { class: "tools" }, words, places.legend, places.found),
    grid,
    places.target,
    part("failures", "What failed"),
    part("rollback", "The rollback, as it happened"),
    part("exceptions", "What failed within the tolerance"),
    part("decisions", "Who decided what"),
    part("charts", "Health over time"),
    part("evidence", "What was observed last"),
    part("preview", "What changes"),
    part("history", "Everything that is recorded", false),
  );
  desk.removeAttribute("aria-busy");
}

function part(name, title, open = true) {
  places[name] = el("div");
  const box = el("details", { class: "part", open }, el("summary", {}, el("h2", {}, title)), places[name]);
  places[name].box = box;
  return box;
}

function update(told) {
  view = told;
  if (!channels) build();
  show(places.head, [told.run, told.state, told.plan], () => head(told));
  show(places.status, told.standing, status);
  show(places.since, [told.standing, told.over], () => since(told));
  show(places.facts, [told.plan, told.began, told.ended, told.end], () => facts(told));
  show(places.notices, told.notices, (all) => all.map(notice));
  show(places.asked, told.questions, (all) => all.map(asked));
  show(places.holds, told.holds.filter(({ reason }) => reason !== told.standing.detail), (all) => all.map(held));
  channels.update(told.channels);
  show(places.legend, counts(told), legend);
  filter();
  const some = (list) => (list.length ? list : null);
  fill("failures", some(told.failures), (all) => parts.failures(told, all));
  fill("rollback", some(told.rollback), parts.rollback);
  fill("exceptions", some(told.exceptions), parts.exceptions);
  fill("decisions", some(told.decisions), parts.decisions);
  fill("charts", told.charts, chart);
  fill("evidence", told.evidence, parts.evidence);
  fill("preview", told.preview, parts.preview);
  fill("history", some(told.history), parts.history);
  show(places.owed, told.debts, parts.owed);
  return told.over;
}

function fill(name, value, make) {
  places[name].box.hidden = !value;
  if (value) show(places[name], value, make);
}

function head({ run, state, plan }) {
  const title = plan ? `${plan.change}` : run;
  const kind = plan?.emergency ? el("span", { class: "badge bad" }, "emergency") : null;
  const digest = plan ? el("code", { title: plan.digest }, plan.digest.slice(0, 12)) : null;
  const tone = { success: "done", failed: "bad" }[state] ?? "busy";
  return [
    el("h1", {}, title, " ", digest, " ", el("span", { class: `badge ${tone}` }, state), " ", kind),
    plan?.about ? el("p", {}, plan.about) : null,
  ];
}

function status({ title, detail, tone }) {
  const sign = el("span", { class: "sign", "aria-hidden": "true" }, TONES[tone]);
  places.status.dataset.tone = tone;
  return [el("p", { class: "title" }, sign, title), detail ? el("p", { class: "text" }, detail) : null];
}

function since({ standing, over }) {
  const found = [];
  if (standing.since && !over) found.push("since ", clock(standing.since), " · ");
  if (standing.until && !over) found.push("until ", clock(standing.until), left(standing.until), " · ");
  if (standing.task) found.push(taskLink(view, standing.task, `log of ${standing.task}`));
  return found;
}

function facts({ plan, began, ended, end }) {
  const found = [];
  if (began) found.push(["began", clock(began)]);
  if (ended) found.push(["ended", clock(ended)]);
  if (plan && !ended) found.push(["sum of soaks", duration(plan.shortest)]);
  if (end) {
    found.push(["earliest end", later(end, 0)]);
    const people = end.people.length ? `, and an approval in ${end.people.join(", ")}` : "";
    if (end.work !== null) found.push(["expected", el("span", {}, later(end, end.work), people)]);
    else if (people) found.push(["needs", people.slice(6)]);
  }
  if (plan?.bypass) {
    const by = plan.bypass.by ?? "the schedule";
    found.push(["bypass", `${plan.bypass.what}: ${plan.bypass.reason} (asked for by ${by})`]);
  }
  if (plan?.policy) found.push(["policy", plan.policy]);
  if (plan?.pays.length) found.push(["makes good", plan.pays.join(", ")]);
  return el("dl", {}, found.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function later(end, work) {
  const moment = () => endAt(end, work);
  return ticks({}, () => {
    if (moment() <= now()) return "any moment";
    const at = clock(new Date(moment()).toISOString()).textContent;
    return `${at} (in ${duration((moment() - now()) / 1000)})`;
  });
}

/** Say how long it is until then, for as long as it is. */
function left(until) {
  const seconds = () => (Date.parse(until) - now()) / 1000;
  return ticks({ class: "countdown" }, () => (seconds() > 0 ? ` (${duration(seconds())} left)` : ""));
}

function notice({ text, run }) {
  return el("p", {}, "! ", text, " ", run ? tabLink(run, "its tab") : "");
}

function asked({ task, title, until, who, barred }) {
  const answer = taskLink(view, task, "answer it under Required Actions", { tab: "required_actions" });
  const as = who.filter((name) => name !== barred);
  const not = barred ? ` Not as ${barred}, who started the rollout.` : "";
  const deadline = until ? [" It waits until ", clock(until), left(until), "."] : [];
  return el("p", {}, `? ${title}: `, answer, as.length ? `, as ${as.join(" or ")}.` : ".", not, ...deadline);
}

const HOLDS = {
  operator: ({ who, reason }) => `Held by ${who}: ${reason}.`,
  freeze: ({ reason }) => `${reason}.`,
  other: ({ reason }) => reason,
};
const AHEAD = {
  operator: " What is in flight goes on, and no further channel is entered.",
  freeze: " It is not entered before.",
  other: "",
};

function held(hold) {
  const { why, channel, until } = hold;
  const ends = until ? [" Opens ", clock(until), left(until), "."] : [];
  return el("p", {}, `Ⅱ ${HOLDS[why](hold)}`, channel ? "" : AHEAD[why], ...ends);
}

function counts(told) {
  const sum = {};
  for (const channel of told.channels) {
    for (const [state, count] of Object.entries(channel.counts)) sum[state] = (sum[state] ?? 0) + count;
  }
  return sum;
}

function legend(sum) {
  for (const state of states) if (!sum[state]) states.delete(state);
  return Object.entries(STATES)
    .filter(([state]) => sum[state])
    .map(([state, [sign, word]]) =>
      el(
        "button",
        {
          type: "button",
          "data-state": state,
          "aria-pressed": String(states.has(state)),
          title: MEANING[state],
          onclick: (event) => {
            if (!states.delete(state)) states.add(state);
            event.currentTarget.setAttribute("aria-pressed", String(states.has(state)));
            filter();
          },
        },
        el("span", { class: "sign", "aria-hidden": "true" }, sign),
        `${word} ${sum[state]}`,
      ),
    );
}

function filter(words = channels.words) {
  const [shown, all] = channels.filter(words, states);
  places.found.textContent = shown === all ? "" : `${shown} of ${all} targets`;
}

function choose(channel, target) {
  const close = el("button", { type: "button", class: "close", "aria-label": "Close", onclick: unchoose }, "✕");
  const at = target.at ? ["Since ", clock(target.at), "."] : [];
  const wave = target.map_index === null ? null : { mapIndex: target.map_index };
  places.target.replaceChildren(
    close,
    el("h2", {}, `${STATES[target.state][0]} ${target.name}: ${stateOf(target)}`),
    el("p", {}, `${MEANING[target.state]} `, ...at),
    target.reason ? el("p", { class: "text" }, target.reason) : "",
    el(
      "p",
      { class: "quiet" },
      `${channel} · ${target.address} · `,
      wave ? taskLink(view, `${channel}.apply`, "log of its apply", wave) : "",
      " ",
      /restor|left/.test(target.state) ? taskLink(view, `rollback.${channel}`, "log of its restore") : "",
    ),
  );
}

function unchoose() {
  places.target.replaceChildren();
}
document.addEventListener("keydown", (event) => event.key === "Escape" && unchoose());

function fail(status, detail) {
  const place = places.alert ?? desk;
  if (!status) return place.replaceChildren();
  const words = {
    401: "You are not logged in any more: load the page again.",
    403: "You may not read the runs of this Dag.",
    404: "This run is no rollout, or it is gone.",
    [-1]: "Airflow does not answer; what is shown may be old.",
  };
  place.replaceChildren(el("p", { class: "badge bad" }, words[status] ?? `${status}: ${detail}`));
}

poll(update, fail);
