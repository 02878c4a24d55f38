// The table of points: value, limit, age or quality, and the last minutes. What is not normal
// comes first, whatever tab is open. The certified system's values have a tab of their own, each
// with ours beside it.

import { byId, h, keyed, setAttribute, setText } from "./dom.js";
import { limitWords, number, range, trust } from "./format.js";
import { PRIORITY_OF_LEVEL, sign } from "./shapes.js";
import { drawSparkline, sparkline } from "./spark.js";
import { quality, store } from "./store.js";
import { t } from "./text.js";

const CERTIFIED = "certified";
const TABS = ["methane", "other", "switches"];
let tab = "methane";
let onOpen = () => {};

const isCertified = (point) => point.place === CERTIFIED;
const ownTabOf = (point) => (point.kind === "methane" ? "methane" : point.switch || point.kind.startsWith("gate") ? "switches" : "other");

const tabOf = (point) => (isCertified(point) ? CERTIFIED : ownTabOf(point));
const tabs = () => (store.mine.certified.length ? [...TABS, CERTIFIED] : TABS);

export function buildGas(open) {
  onOpen = open;
}

function columns() {
  const cell = (key, right) => h("span", { class: right ? "right" : "", text: key ? t(`page.${key}`) : "" });
  return h("div", { class: "columns point", "data-fixed": true }, cell(""), cell("column_point"), cell("column_past"),
    cell("column_value", true), cell(""), cell("column_limits", true), cell("column_age", true));
}

export function dressGas() {
  const buttons = tabs().map((each) => h("button", {
    class: "tab", "aria-pressed": String(each === tab), text: t(`page.tab_${each}`),
    onclick: () => {
      tab = each;
      dressGas();
      drawGas(true);
    },
  }));
  byId("gas-tabs").replaceChildren(...buttons);
  byId("gas-list").querySelector(".columns")?.remove();
  byId("gas-list").prepend(columns());
}

export function isNormal(point, reading) {
  return !reading || (reading.level === 0 && quality(reading) === "good");
}

function rank(point, reading) {
  if (!reading) return 9;
  if (isCertified(point)) return differs(point) ? 5 : 9;
  if (reading.level > 0) return 4 - reading.level;
  return quality(reading) === "good" ? 9 : 5;
}

export function drawGas(withSparks) {
  const readings = store.view.points;
  const shown = store.mine.points
    .map((point, index) => ({ point, index, reading: readings[point.id], rank: rank(point, readings[point.id]) }))
    .filter(({ point, rank }) => tabOf(point) === tab || rank < 9)
    .sort((a, b) => a.rank - b.rank || a.index - b.index);
  keyed(byId("gas-list"), shown, (each) => each.point.id, create,
    (row, each) => update(row, each, withSparks));
}

const differs = (point) => store.view.comparisons[store.mine.pair.get(point.id)?.id];

// What ours says of the same thing: a value, or from how many to how many people.
function beside(point) {
  const pair = store.mine.pair.get(point.id);
  if (!pair) return "";
  if (pair.kind !== "headcount") return t("page.ours", { value: number(point, store.view.points[pair.ours]?.value) });
  const count = pair.ours === "mine" ? store.view.headcount : store.view.headcount?.zones?.[pair.ours];
  return t("page.ours", { value: range(count?.lo, count?.hi) });
}

function create({ point }) {
  const spark = point.switch ? null : sparkline();
  const limits = limitWords(point);
  const row = {
    mark: h("span", { class: "level" }), value: h("b", { class: "value" }), trust: h("span", { class: "trust" }),
    spark, level: null, limits: h("span", { class: "limits", text: limits.map(([, value]) => value).join(" / ") }),
  };
  row.element = h("button", {
    class: "point", type: "button", title: `${point.id} · ${point.citation}`, onclick: () => onOpen(point.id),
  },
    row.mark,
    h("span", { class: "name", text: point.name }),
    spark ? spark.element : h("span"),
    row.value,
    h("span", { class: "unit", text: point.unit }),
    row.limits,
    row.trust);
  return row;
}

function update(row, { point, reading }, withSparks) {
  const level = differs(point) ? 1 : reading?.level ?? 0;
  if (isCertified(point)) setText(row.limits, beside(point));
  const state = trust(reading, point.old_ms);
  if (row.level !== level) {
    row.level = level;
    row.mark.replaceChildren(...(level ? [sign(PRIORITY_OF_LEVEL[level])] : []));
  }
  const known = reading && reading.value !== null;
  setText(row.value, known ? number(point, reading.value) : "—");
  setText(row.trust, state.words);
  setAttribute(row.element, "data-level", level || null);
  setAttribute(row.element, "data-trust", state.bad ? "bad" : state.calibrating ? "calibration" : state.old ? "old" : null);
  if (row.spark && withSparks) drawSparkline(row.spark, point);
}
