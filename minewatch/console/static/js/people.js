// People: headcount against limit as a bar from lo to hi, why it is not exact, zones with limits.

import { byId, h, keyed, setAttribute, setText } from "./dom.js";
import { duration, range, subject } from "./format.js";
import { nowMs, store } from "./store.js";
import { first, t } from "./text.js";

const ZONES_MAX = 6;
let parts = null;

export function buildPeople(printRoster) {
  parts = {
    figure: h("b", { class: "figure" }), limit: h("span", { class: "of" }), state: h("span", { class: "mark" }),
    bar: bar(), reasons: h("p", { class: "reasons" }), zones: h("div", { class: "zones" }),
    roster: h("button", { class: "tool", onclick: printRoster }),
  };
  byId("people-tools").replaceChildren(parts.state, parts.roster);
  byId("people-body").replaceChildren(
    h("div", { class: "total" }, parts.figure, parts.limit), parts.bar.element, parts.reasons, parts.zones);
}

function bar() {
  const sure = h("i", { class: "sure" });
  const doubt = h("i", { class: "doubt" });
  const limit = h("i", { class: "limit" });
  return { sure, doubt, limit, element: h("div", { class: "bar" }, sure, doubt, limit) };
}

function drawBar({ sure, doubt, limit, element }, count) {
  const hi = count.hi ?? count.lo;
  const full = Math.max((count.limit ?? hi) * 1.15, hi, 1);
  const share = (n) => `${((100 * n) / full).toFixed(2)}%`;
  sure.style.width = share(count.lo);
  doubt.style.left = share(count.lo);
  doubt.style.width = share(hi - count.lo);
  limit.style.left = share(count.limit ?? full);
  setAttribute(element, "data-state", { over_limit: "bad", maybe_over_limit: "doubt" }[count.state] ?? null);
}

export function drawPeople() {
  const count = store.view.headcount ?? {};
  setText(parts.roster, t("page.roster"));
  setText(parts.figure, range(count.lo, count.hi));
  setText(parts.limit, t("page.limit_of", { limit: count.limit ?? "—" }));
  setAttribute(parts.limit, "title", store.mine.headcount_citation);
  setText(parts.state, stateWords(count));
  setAttribute(parts.state, "data-state", { over_limit: "bad", maybe_over_limit: "doubt" }[count.state] ?? null);
  setAttribute(byId("people"), "data-state", { over_limit: "bad", maybe_over_limit: "doubt" }[count.state] ?? null);
  if (count.lo !== undefined && count.lo !== null) drawBar(parts.bar, count);
  setText(parts.reasons, (count.reasons ?? []).map(reasonWords).join("；") || t("page.count_exact"));
  const zones = Object.entries(count.zones ?? {})
    .filter(([, each]) => each.limit)
    .sort((a, b) => share(b[1]) - share(a[1]) || (a[0] < b[0] ? -1 : 1))
    .slice(0, ZONES_MAX)
    .map(([id, each]) => ({ id, count: each }));
  keyed(parts.zones, zones, (each) => each.id, createZone, updateZone);
}

const share = (count) => (count.hi ?? count.lo) / count.limit;

function stateWords(count) {
  const until = count.handover_until_ms;
  if (count.state === "over_limit" || count.state === "maybe_over_limit") return t(`alarm_kind.${count.state}`);
  if (until) return t("page.handover_until", { time: duration(until - nowMs()) });
  return "";
}

// 闸机 9，读卡 7: what the gate counted against what the readers read, where both are known.
function reasonWords(each) {
  const words = first([`headcount_reason.${each.code}`, `page.doubt.${each.code}`], each.code);
  const hasGate = each.gate !== undefined && each.gate !== null;
  if (hasGate) return `${words} ${each.count}${t("page.gate_against_reads", { gate: each.gate, reads: each.reads })}`;
  const where = each.source ? subject(each.source) : "";
  return `${where} ${words} ${each.count || ""}`.trim();
}

function createZone({ id }) {
  const row = { bar: bar(), figure: h("b"), limit: h("span", { class: "of" }) };
  row.element = h("div", { class: "zone-row" }, h("span", { class: "name", text: store.mine.zone.get(id)?.name ?? id }),
    row.bar.element, h("span", { class: "numbers" }, row.figure, row.limit));
  setAttribute(row.element, "title", store.mine.zone.get(id)?.headcount_citation);
  return row;
}

function updateZone(row, { count }) {
  drawBar(row.bar, count);
  setText(row.figure, range(count.lo, count.hi));
  setText(row.limit, `/ ${count.limit}`);
  setAttribute(row.element, "data-state", { over_limit: "bad", maybe_over_limit: "doubt" }[count.state] ?? null);
}
