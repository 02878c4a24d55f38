// What a click opens: a point's last 24 hours with its limits, or everything in one zone.

import { getJson } from "./api.js";
import { h, svg } from "./dom.js";
import { clock, limitWords, number, person, range, trust, withUnit } from "./format.js";
import { closePerson, pointActs } from "./point_acts.js";
import { pathOf } from "./spark.js";
import { store, toWallMs } from "./store.js";
import { t } from "./text.js";

const BOX = { width: 900, height: 300, left: 52, right: 76, top: 14, bottom: 26 };
const HOURS = [1, 8, 24];
const HOUR_MS = 3_600_000;
const SPAN_MS_MIN = 600_000;

function dialog(title, ...content) {
  const box = h("dialog", { class: "wide look", "aria-labelledby": "look-title" },
    h("div", { class: "head" }, h("h2", { id: "look-title", text: title }),
      h("button", { text: t("page.close"), onclick: () => box.close() })), ...content);
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
  return box;
}

export function openPoint(id) {
  const point = store.mine.point.get(id);
  const reading = store.view.points[id];
  const chart = h("div", { class: "chart", role: "img", "aria-label": t("page.trend_of", { point: point.name }) });
  const buttons = HOURS.map((hours) => h("button", { class: "tab", "aria-pressed": String(hours === 24), text: t("page.hours", { n: hours }),
    onclick: () => choose(hours) }));
  const choose = (hours) => {
    buttons.forEach((each, i) => each.setAttribute("aria-pressed", String(HOURS[i] === hours)));
    fill(chart, point, hours);
  };
  const facts = [
    [t("page.now"), reading && reading.value !== null ? withUnit(point, reading.value) : "—"],
    [t("page.quality"), trust(reading).words],
    [t("page.zone"), store.mine.zone.get(point.zone)?.name ?? point.zone],
    ...Object.entries(point.limits).map(([key, value]) => [t(`limit.${key}`), withUnit(point, value)]),
    ...(point.citation ? [[t("page.citation"), point.citation]] : []),
  ];
  const box = dialog(`${point.name} (${point.id})`,
    h("dl", { class: "facts" }, ...facts.map(([name, value]) => h("div", {}, h("dt", { text: name }), h("dd", { text: value })))),
    h("div", { class: "tools" }, ...buttons), chart, pointActs(point, () => box.close()));
  choose(24);
}

// A young record fills the picture instead of a sliver at its right edge.
function shortestSpan(rows) {
  const age = store.view.wall_ms - rows[0][0];
  return Math.max(SPAN_MS_MIN, age * 1.02);
}

async function fill(chart, point, hours) {
  chart.replaceChildren(h("p", { class: "about", text: t("page.loading") }));
  try {
    const past = await getJson(`/api/v1/history?point=${encodeURIComponent(point.id)}&hours=${hours}`);
    const rows = past.wall_ms.map((at, i) => [at, past.low[i], past.high[i]]);
    chart.replaceChildren(draw(point, rows, Math.min(hours * HOUR_MS, shortestSpan(rows))));
  } catch (refused) {
    const rows = (store.past.get(point.id) ?? []).map(([at, value]) => [toWallMs(at), value, value]);
    chart.replaceChildren(
      h("p", { class: "about", text: `${refused.words ?? ""} ${t("page.only_minutes")}` }), draw(point, rows, 600_000));
  }
}

// `rows` are [wall ms, low, high]: a bucket of many samples shows both its ends.
function draw(point, rows, spanMs) {
  const end = store.view.wall_ms;
  const shown = rows.filter(([at]) => at >= end - spanMs);
  const values = shown.flatMap((row) => row.slice(1)).filter((value) => value !== null);
  const limits = limitWords(point).map(([key]) => [key, point.limits[key]]);
  const all = [...values, ...limits.map((each) => each[1]), ...(point.kind === "methane" || point.switch ? [0] : [])];
  const high = Math.max(...all, 1);
  const low = Math.min(...all, high);
  const room = (high - low || 1) * 0.06;
  const inner = { w: BOX.width - BOX.left - BOX.right, h: BOX.height - BOX.top - BOX.bottom };
  const x = (at) => BOX.left + inner.w * (1 - (end - at) / spanMs);
  const y = (value) => BOX.top + inner.h * (1 - (value - low + room) / (high - low + 2 * room));
  const gapMs = Math.max(5000, spanMs / 200);
  const line = (column) => svg("path", { class: "line", d: pathOf(shown.map((row) => [row[0], row[column]]), x, y, gapMs) });
  return svg("svg", { viewBox: `0 0 ${BOX.width} ${BOX.height}` },
    ...timeLines(spanMs, end, x), ...valueLines(point, low, high, y),
    ...limits.flatMap(([key, value]) => [
      svg("line", { class: `limit ${key}`, x1: BOX.left, x2: BOX.width - BOX.right, y1: y(value), y2: y(value) }),
      svg("text", { class: `limit-name ${key}`, x: BOX.width - BOX.right + 5, y: y(value) + 4, text: `${t(`page.limit_short.${key}`)} ${number(point, value)}` }),
    ]),
    line(1), line(2));
}

function timeLines(spanMs, end, x) {
  const steps = 6;
  return Array.from({ length: steps + 1 }, (_, i) => end - (spanMs * i) / steps).flatMap((at) => [
    svg("line", { class: "grid", x1: x(at), x2: x(at), y1: BOX.top, y2: BOX.height - BOX.bottom }),
    svg("text", { class: "axis", x: x(at), y: BOX.height - 8, "text-anchor": "middle", text: clock(at, spanMs <= HOUR_MS) }),
  ]);
}

function valueLines(point, low, high, y) {
  return [low, (low + high) / 2, high].map((value) =>
    svg("text", { class: "axis", x: BOX.left - 6, y: y(value) + 4, "text-anchor": "end", text: number(point, Math.round(value)) }));
}

export function openZone(id) {
  const zone = store.mine.zone.get(id);
  const points = store.mine.points.filter((each) => each.zone === id);
  const count = store.view.headcount?.zones?.[id];
  const here = Object.entries(store.view.people).filter(([, seen]) => seen.zone === id);
  const facts = [
    [t("page.zone_kind"), t(`zone_kind.${zone.kind}`)],
    [t("page.declared"), t(`declared.${zone.declared}`)],
    [t("page.underground"), count ? `${range(count.lo, count.hi)}${count.limit ? ` / ${count.limit}` : ""}` : "—"],
    ...(zone.headcount_citation ? [[t("page.citation"), zone.headcount_citation]] : []),
  ];
  const box = dialog(zone.name,
    h("dl", { class: "facts" }, ...facts.map(([name, value]) => h("div", {}, h("dt", { text: name }), h("dd", { text: value })))),
    h("div", { class: "zone-points" }, ...points.map((point) => {
      const reading = store.view.points[point.id];
      return h("button", { "data-level": reading?.level || null, onclick: () => { box.close(); openPoint(point.id); } },
        h("span", { text: point.name }), h("b", { text: reading && reading.value !== null ? withUnit(point, reading.value) : "—" }),
        h("small", { text: trust(reading).words }));
    })),
    here.length ? h("p", { class: "names" }, ...here.map(([badge]) => h("button", {
      class: "quiet", text: person(badge), title: t("command.close_person"), onclick: () => { box.close(); closePerson(badge); },
    }))) : null);
}
