// What a rollout tells of itself, part by part.

import { clock, el, now, taskLink } from "./dom.js";

export function failures(run, all) {
  return all.map(({ at, task, reason }) =>
    el("article", {}, el("p", {}, clock(at), " ", taskLink(run, task, task)), el("p", { class: "text" }, reason)),
  );
}

export function rollback(steps) {
  const items = steps.map(({ at, what, why, targets }) =>
    el(
      "li",
      {},
      clock(at),
      ` ${what}`,
      why ? el("p", { class: "text quiet" }, why) : null,
      targets.length ? el("ul", {}, targets.map((line) => el("li", { class: "text" }, line))) : null,
    ),
  );
  return el("ol", { class: "steps" }, items);
}

export function exceptions(all) {
  const rows = all.map(({ at, channel, target, reason }) => [clock(at), channel, target, text(reason)]);
  return table(["when", "channel", "target", "why"], rows);
}

export function decisions(all) {
  const items = all.map(({ at, who, what, why }) =>
    el("li", {}, clock(at), " ", el("strong", {}, who), ` ${what}`, why ? `: ${why}` : ""),
  );
  return el("ul", {}, items);
}

const HEALTH = { ok: "● ok", harm: "✕ harm", unknown: "? unknown" };

export function evidence({ at, channel, reason, rows }) {
  const told = rows.map((row) => [HEALTH[row.health] ?? row.health, row.signal, row.detail, row.targets]);
  const title = el("p", {}, clock(at), ` ${channel}: ${reason}`);
  return [title, table(["health", "signal", "what it said", "targets"], told)];
}

export function preview({ lines, authorize, untested, refused }) {
  const bad = [...authorize, ...(refused ? [refused] : [])].map((line) => el("p", { class: "text warn" }, line));
  const list = el("ul", {}, lines.map((line) => el("li", { class: "text" }, line)));
  const told = untested.filter((line) => !authorize.includes(line));
  const unlike = told.length
    ? [el("h3", {}, "What no earlier channel exercises"), el("ul", {}, told.map((line) => el("li", { class: "text" }, line)))]
    : [];
  return [...bad, lines.length ? list : el("p", {}, "No target would change."), ...unlike];
}

export function owed(debts) {
  return debts.map(({ run, change, what, why, by, authorized_by: second, due }) => {
    const late = Date.parse(due) < now() ? ", overdue" : "";
    const who = `asked for by ${by ?? "the schedule"}${second ? `, authorized by ${second}` : ""}`;
    const told = `${run} owes a full rollout of ${change}: ${what}, ${who}: ${why}. Due `;
    return el("p", {}, "! ", told, clock(due), late);
  });
}

export function history(all) {
  return table(["when", "what", "channel", ""], all.map((e) => [clock(e.at), e.what, e.channel, text(e.told)]));
}

function text(value) {
  return el("span", { class: "text" }, value);
}

/** Make a table; `rows` are lists of texts or elements. */
export function table(columns, rows) {
  const cells = (tag, values) => values.map((value) => el(tag, tag === "th" ? { scope: "col" } : {}, value));
  const body = rows.map((row) => el("tr", {}, cells("td", row)));
  return el("div", { class: "wide" }, el("table", {}, el("thead", {}, el("tr", {}, cells("th", columns))), el("tbody", {}, body)));
}
