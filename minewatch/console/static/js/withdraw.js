// Withdrawal: a button held to raise it; while one stands, how the mine empties and who is missing.

import { command } from "./api.js";
import { act, note, settle } from "./dialogs.js";
import { byId, h, keyed, setAttribute, setText } from "./dom.js";
import { age, clock, duration, person, range, staffName, subject, zoneName } from "./format.js";
import { holdButton } from "./hold.js";
import { downwind, nowMs, store, toWallMs } from "./store.js";
import { first, language, t } from "./text.js";

let parts = null;
let chosen = false;
const most = new Map();   // withdrawal -> most people seen underground, for the bar that falls

export function buildWithdraw(printRoster) {
  const hold = holdButton(raise);
  parts = {
    hold,
    scope: h("select", { id: "withdraw-scope", onchange: () => { chosen = true; drawScope(); } }),
    also: h("p", { class: "also" }), monitor: h("p", { class: "monitor" }),
    standing: h("div", { class: "standing" }), no_descent: h("div", { class: "no-descent" }),
    scopeLabel: h("label", { for: "withdraw-scope" }), printRoster,
  };
  byId("withdraw-body").replaceChildren(
    parts.standing, parts.no_descent,
    h("div", { class: "raise" }, hold.element,
      h("div", { class: "choose" }, parts.scopeLabel, parts.scope, parts.also, parts.monitor)));
}

export function dressWithdraw() {
  const zones = store.mine.zones.filter((zone) => zone.kind !== "surface" && zone.kind !== "mine");
  const before = parts.scope.value;
  parts.scope.replaceChildren(
    h("option", { value: "mine", text: t("page.whole_mine") }),
    ...zones.map((zone) => h("option", { value: zone.id, text: zone.name })));
  parts.scope.value = before || "mine";
  setText(parts.scopeLabel, t("page.withdraw_scope"));
  parts.hold.say(t("page.withdraw"), t("page.hold_two_seconds"));
  drawScope();
}

// Until somebody chooses, the scope follows the worst standing gas alarm.
function suggest() {
  if (chosen) return;
  const worst = Object.values(store.view.alarms)
    .filter((each) => each.active && each.priority === 1 && store.mine.zone.has(each.zone) && each.zone !== "mine")
    .sort((a, b) => a.raised_ms - b.raised_ms)[0];
  const wanted = worst ? worst.zone : "mine";
  if (parts.scope.value !== wanted) {
    parts.scope.value = wanted;
    drawScope();
  }
}

function drawScope() {
  const scope = parts.scope.value;
  const also = scope === "mine" || !scope ? [] : downwind(scope).filter((id) => id !== scope);
  setText(parts.also, also.length ? t("page.withdraw_also", { zones: also.map(zoneName).join(language().startsWith("zh") ? "、" : ", ") }) : "");
}

export function drawWithdraw() {
  suggest();
  const standing = Object.entries(store.view.withdrawals);
  const mode = store.view.mode;
  setText(parts.monitor, mode === "monitor" ? t("page.monitor_withdraw") : "");
  setAttribute(byId("withdraw"), "data-standing", standing.length > 0);
  setAttribute(document.body, "data-withdrawal", standing.length > 0);
  keyed(parts.standing, standing.map(([id, each]) => ({ id, each })), (item) => item.id, create, update);
  setText(parts.no_descent.firstChild ?? parts.no_descent.appendChild(h("b")), store.view.no_descent ? t("page.no_descent") : "");
  drawResume(standing.length);
}

function drawResume(standing) {
  const wanted = store.view.no_descent && standing === 0;
  let button = parts.no_descent.querySelector("button");
  if (wanted && !button) {
    button = h("button", { onclick: () => act({ kind: "resume_descent", title: t("command.resume_descent"), build: () => ({ args: {} }) }) });
    parts.no_descent.append(button);
  }
  if (button) {
    setText(button, t("command.resume_descent"));
    button.hidden = !wanted;
  }
}

function create({ id }) {
  const row = {
    watch: h("b", { class: "stopwatch" }), zones: h("p", { class: "where" }), by: h("p", { class: "by" }),
    count: h("b", { class: "count" }), countLabel: h("span"), fill: h("i"),
    missing: h("div", { class: "missing" }), missingTitle: h("h3"), notified: h("p", { class: "by" }),
    clear: h("button", { onclick: () => allClear(id) }), print: h("button", { onclick: parts.printRoster }),
  };
  row.element = h("div", { class: "withdrawal" },
    h("div", { class: "top" }, row.watch, h("div", {}, row.zones, row.by, row.notified)),
    h("div", { class: "emptying" }, row.count, row.countLabel, h("div", { class: "bar" }, row.fill)),
    row.missingTitle, row.missing, h("div", { class: "buttons" }, row.print, row.clear));
  return row;
}

function update(row, { id, each }) {
  setText(row.watch, duration(nowMs() - each.raised_ms));
  const separator = language().startsWith("zh") ? "、" : ", ";
  setText(row.zones, each.zones.map((zone) => (zone === "mine" ? t("page.whole_mine") : zoneName(zone))).join(separator));
  setText(row.by, `${causeWords(each.cause ?? "")} · ${clock(toWallMs(each.raised_ms))}`);
  setText(row.notified, each.notified_ms ? t("page.siren_proved", { s: Math.max(0, Math.round((each.notified_ms - each.raised_ms) / 1000)) }) : t("page.siren_not_proved"));
  setAttribute(row.notified, "data-bad", !each.notified_ms);
  drawCount(row, id, each.underground);
  const missing = badges(each.unaccounted);
  setText(row.missingTitle, t("page.unaccounted_n", { n: missing.length }));
  setAttribute(row.missingTitle, "data-bad", missing.length > 0);
  keyed(row.missing, missing, (badge) => badge, createMissing, updateMissing);
  setText(row.clear, t("command.all_clear"));
  setText(row.print, t("page.print_roster"));
}

// `gas:<point>`, `gas:two_heads`, `fan:<local fans>`, `person:<code or terminal>`.
function causeWords(cause) {
  const [kind, ...rest] = cause.split(":");
  const about = rest.join(":");
  const words = first([`withdrawal_cause.${kind}`], kind);
  if (kind === "person") return `${words} ${staffName(about)}`;
  return `${words} ${first([`withdrawal_cause.${about}`], subject(about))}`;
}

export const badges = (list) => (Array.isArray(list) ? list : Object.keys(list ?? {}));

// `underground` is a number, or lo and hi where the count is not exact.
function drawCount(row, id, underground) {
  const { lo, hi } = typeof underground === "object" && underground ? underground : { lo: underground, hi: underground };
  const top = Math.max(hi ?? lo ?? 0, most.get(id) ?? 0);
  most.set(id, top);
  setText(row.count, range(lo, hi));
  setText(row.countLabel, t("page.still_in_zones"));
  row.fill.style.width = `${top ? (100 * (hi ?? lo ?? 0)) / top : 0}%`;
}

function createMissing(badge) {
  const row = { who: h("b"), where: h("span"), ago: h("span", { class: "ago" }) };
  row.element = h("p", {}, row.who, row.where, row.ago);
  row.badge = badge;
  return row;
}

function updateMissing(row, badge) {
  const seen = store.view.people[badge];
  setText(row.who, person(badge));
  setText(row.where, seen ? t("page.last_place", { place: subject(seen.reader ?? seen.zone) }) : t("page.last_place_unknown"));
  setText(row.ago, seen?.seen_ms ? t("page.ago", { age: age(nowMs() - seen.seen_ms) }) : "");
}

async function raise() {
  const scope = parts.scope.value || "mine";
  const zones = [scope];
  if (store.session.terminal) {
    try {
      settle(await command("withdraw", { zones }), t("page.withdraw_raised"));
      chosen = false;
    } catch (refused) {
      note(refused.words ?? String(refused), "bad");
    }
    return;
  }
  await act({
    kind: "withdraw",
    title: t("page.withdraw_confirm", { scope: scope === "mine" ? t("page.whole_mine") : zoneName(scope) }),
    danger: true,
    fields: [{ name: "reason", label: t("page.reason_text") }],
    build: ({ reason }) => ({ args: { zones }, text: reason }),
  });
}

function allClear(id) {
  act({
    kind: "all_clear",
    title: t("command.all_clear"),
    intro: [h("p", { class: "about", text: t("page.all_clear_needs_two") })],
    build: () => ({ args: { withdrawal: id } }),
  });
}

