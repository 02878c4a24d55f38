// The mine map: roads as double lines, heads as value chips, switches with their feed state,
// people per zone, withdrawal as a hatch. Drawn once per size, then only changed.

import { byId, h, setAttribute, setText, svg } from "./dom.js";
import { number, range } from "./format.js";
import { Places, beside, bounds, centred, pointAlong } from "./geometry.js";
import { PRIORITY_OF_LEVEL, icon, outline } from "./shapes.js";
import { quality, store } from "./store.js";
import { t } from "./text.js";

const WIDE = { w: 62, h: 19 };
const NARROW = { w: 52, h: 18 };
const WIDE_FROM_PX = 1000;
const SWITCH = 17;
const LABEL_H = 17;
const LEGEND_H = 26;   // px below the map, as in map.css

let chipSize = WIDE;
let drawn = null;
let onZone = () => {};
let onPoint = () => {};

// What the signs mean, in the corner; words change with the language.
export function dressMap() {
  const entry = (className, key, ...shapes) => h("span", { class: "entry" },
    svg("svg", { viewBox: "-9 -9 18 18", class: `mine-sign ${className}`, "aria-hidden": "true" }, ...shapes), h("span", { text: t(key) }));
  const legend = h("p", { class: "legend" },
    entry("power_cut live", "page.legend_live", ...switchSymbol()), entry("power_cut dead", "page.legend_dead", ...switchSymbol()),
    entry("siren", "output_role.siren", ...sirenSymbol()), entry("reader", "page.legend_reader", svg("circle", { r: 6 }), svg("circle", { class: "core", r: 2 })));
  byId("map").querySelector(".legend")?.remove();
  byId("map").append(legend);
}

export function buildMap({ openZone, openPoint }) {
  onZone = openZone;
  onPoint = openPoint;
  new ResizeObserver(() => store.mine && layoutMap()).observe(byId("map"));
}

// Lays the map out anew: sizes in pixels are turned into map units, so that words stay legible.
export function layoutMap() {
  const host = byId("map");
  host.querySelector("svg.mine")?.remove();
  const width = host.clientWidth;
  const height = host.clientHeight - LEGEND_H;
  const zones = store.mine.zones.filter((zone) => zone.path.length > 1);
  if (!zones.length || !width || !height) return;
  chipSize = width < WIDE_FROM_PX ? NARROW : WIDE;
  const box = bounds(zones.map((zone) => zone.path), { x: 60, top: 42, bottom: 26 });
  const unit = Math.max(box.width / width, box.height / height);
  const shift = { x: (width * unit - box.width) / 2, y: (height * unit - box.height) / 2 };
  const root = svg("svg", {
    class: "mine", role: "group", "aria-label": t("page.map"),
    viewBox: `${box.left - shift.x} ${box.top - shift.y} ${width * unit} ${height * unit}`,
  }, hatches(unit));
  drawn = { root, unit, zones: new Map(), points: new Map(), outputs: new Map(), readers: new Map() };
  const layers = ["outer", "inner", "flow", "marks", "labels"].map((name) => svg("g", { class: name }));
  for (const zone of zones) drawRoad(zone, layers);
  const places = new Places({ x: box.left - shift.x, y: box.top - shift.y, w: width * unit, h: height * unit });
  for (const zone of zones) places.pave(zone.path, 19 * unit);
  drawPoints(layers[3], places);
  drawOutputs(layers[3], places);
  drawReaders(layers[3], places);
  for (const zone of zones) drawLabel(zone, layers[4], places);
  root.append(...layers);
  host.append(root);
  if (store.view) drawMap();
}

function hatches(unit) {
  const hatch = (id, className) => svg("pattern", {
    id, width: 9 * unit, height: 9 * unit, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)", class: className,
  }, svg("rect", { class: "ground", width: 9 * unit, height: 9 * unit }), svg("rect", { class: "bar", width: 4.5 * unit, height: 9 * unit }));
  return svg("defs", {}, hatch("hatch-withdraw", "hatch withdraw"), hatch("hatch-restricted", "hatch restricted"));
}

const d = (path) => `M${path.map((point) => point.join(" ")).join("L")}`;

function drawRoad(zone, [outer, inner, flow]) {
  const road = svg("path", { d: d(zone.path), class: `road ${zone.kind}`, "stroke-width": 15 * drawn.unit });
  outer.append(svg("path", { d: d(zone.path), class: "wall", "stroke-width": 19 * drawn.unit }));
  const cover = svg("path", { d: d(zone.path), class: "cover", "stroke-width": 15 * drawn.unit });
  inner.append(road, cover);
  if (zone.restricted) setAttribute(cover, "data-hatch", "restricted");
  if (["intake", "face", "return"].includes(zone.kind) && !zone.restricted) drawFlow(zone, flow);
  drawn.zones.set(zone.id, { road, cover });
}

// Small arrow heads along the path: the way the air goes (paths are written in that direction).
function drawFlow(zone, flow) {
  const size = 4 * drawn.unit;
  for (const share of [0.22, 0.5, 0.78]) {
    const [x, y] = pointAlong(zone.path, share);
    const [ax, ay] = pointAlong(zone.path, share - 0.01);
    const turn = (Math.atan2(y - ay, x - ax) * 180) / Math.PI;
    flow.append(svg("path", {
      d: `M${-size} ${-size}L${size * 0.4} 0L${-size} ${size}`, "stroke-width": 1.4 * drawn.unit,
      transform: `translate(${x} ${y}) rotate(${turn})`, class: zone.kind === "return" ? "return" : "intake",
    }));
  }
}

function tag(className, x, y, open, ...children) {
  const group = svg("g", { class: className, transform: `translate(${x} ${y}) scale(${drawn.unit})`, onclick: open }, ...children);
  return group;
}

function drawPoints(layer, places) {
  const u = drawn.unit;
  for (const point of store.mine.points.filter((each) => each.at)) {
    const [x, y] = point.at;
    const offsets = [[0, 0], [0, -21], [0, 21], [34, 0], [-34, 0], [34, -20], [-34, -20], [0, -42], [0, 42]];
    const box = places.place(offsets.map(([dx, dy]) =>
      centred(x + (dx - 8) * u, y + dy * u, (chipSize.w + 19) * u, (chipSize.h + 3) * u, { at: [x + dx * u, y + dy * u] })));
    const [cx, cy] = box.at;
    if (cx !== x || cy !== y) {
      layer.append(svg("line", { class: "leader", x1: x, y1: y, x2: cx, y2: cy, "stroke-width": u }));
    }
    const shape = svg("path", { class: "shape", transform: `translate(${-chipSize.w / 2 - 17} -8)` });
    const name = svg("text", { class: "short", x: -chipSize.w / 2 + 4, y: 4.2, text: shortName(point) });
    const value = svg("text", { class: "value", x: chipSize.w / 2 - 4, y: 4.6, "text-anchor": "end" });
    const title = svg("title");
    const chip = tag("chip", cx, cy, () => onPoint(point.id), title,
      svg("rect", { x: -chipSize.w / 2, y: -chipSize.h / 2, width: chipSize.w, height: chipSize.h, rx: 2.5 }), name, value, shape);
    layer.append(chip);
    drawn.points.set(point.id, { chip, value, shape, title });
  }
}

// "T1" of 12301_T1, "1" of DR_CH4_1: what tells heads of one road apart.
function shortName(point) {
  const last = point.id.split(/[_.-]/).at(-1);
  return last.length <= 3 ? last : "";
}

function drawOutputs(layer, places) {
  const u = drawn.unit;
  for (const output of store.mine.outputs.filter((each) => each.role === "power_cut" || each.role === "siren")) {
    const zone = store.mine.zone.get(output.zone);
    if (!zone || zone.path.length < 2) continue;
    const shares = output.role === "power_cut" ? [0.1, 0.2, 0.3, 0.4, 0.06] : [0.32, 0.42, 0.62, 0.9, 0.55];
    const size = (SWITCH + 4) * u;
    const box = places.place(shares.map((share) => {
      const at = pointAlong(zone.path, share);
      return centred(at[0], at[1], size, size, { at });
    }));
    const title = svg("title");
    const symbol = output.role === "power_cut" ? switchSymbol() : sirenSymbol();
    const mark = tag(output.role, ...box.at, () => onZone(output.zone), title, ...symbol);
    layer.append(mark);
    drawn.outputs.set(output.id, { mark, title });
  }
}

function switchSymbol() {
  const half = SWITCH / 2;
  return [
    svg("rect", { x: -half, y: -half, width: SWITCH, height: SWITCH, rx: 2 }),
    svg("path", { class: "closed", d: "M0-5V5" }),
    svg("path", { class: "open", d: "M0-6v2.4M0 6V3.2M0 3.2-4.4-3.4" }),
  ];
}

const sirenSymbol = () => [
  svg("circle", { r: SWITCH / 2 }),
  svg("path", { d: "M-4 3.6h8M-3 3.6V0a3 3 0 0 1 6 0v3.6M0-6v1.6M-5.4-3.4l1.2 1M5.4-3.4l-1.2 1" }),
];

function drawReaders(layer, places) {
  const u = drawn.unit;
  for (const reader of store.mine.readers.filter((each) => each.at)) {
    const box = places.place([[0, 0], [18, 0], [-18, 0], [0, 18], [0, -18]].map(([dx, dy]) =>
      centred(reader.at[0] + dx * u, reader.at[1] + dy * u, 15 * u, 15 * u, { at: [reader.at[0] + dx * u, reader.at[1] + dy * u] })));
    const mark = tag("reader", ...box.at, () => onZone(reader.zone), svg("title", { text: reader.name }),
      svg("circle", { r: 6 }), svg("circle", { class: "core", r: 2 }));
    layer.append(mark);
    drawn.readers.set(reader.id, mark);
  }
}

function drawLabel(zone, layer, places) {
  const u = drawn.unit;
  const counted = zone.kind !== "surface" && !zone.restricted;
  const width = textWidth(zone.name, 12.5) + (counted ? 30 + 7 * (zone.headcount_limit ? 5 : 2) : 0);
  const box = places.placeBeside(beside(zone.path, width * u, LABEL_H * u, 12 * u));
  const left = -width / 2;
  const count = svg("text", { class: "count", x: left + textWidth(zone.name, 12.5) + 22, y: 4.4 });
  const person = icon("person");
  for (const [name, value] of Object.entries({ x: left + textWidth(zone.name, 12.5) + 8, y: -6.5, width: 12, height: 12 })) {
    setAttribute(person, name, value);
  }
  const label = tag("zone", box.x + box.w / 2, box.y + box.h / 2, () => onZone(zone.id),
    svg("rect", { x: left - 3, y: -LABEL_H / 2, width: width + 6, height: LABEL_H, rx: 3 }),
    svg("text", { class: "name", x: left, y: 4.4, text: zone.name }), person, count);
  for (const [name, value] of Object.entries({ tabindex: 0, role: "button" })) setAttribute(label, name, value);
  label.addEventListener("keydown", (event) => event.key === "Enter" && onZone(zone.id));
  layer.append(label);
  Object.assign(drawn.zones.get(zone.id), { label, count, person });
}

// Chinese characters are as wide as they are high, Latin letters a little more than half.
function textWidth(text, size) {
  return [...text].reduce((sum, letter) => sum + (letter.codePointAt(0) > 0x2e7f ? size : size * 0.56), 0);
}

export function drawMap() {
  if (!drawn || !store.view) return;
  const levels = new Map();
  for (const point of store.mine.points) {
    const level = store.view.points[point.id]?.level ?? 0;
    levels.set(point.zone, Math.max(level, levels.get(point.zone) ?? 0));
  }
  const withdrawn = new Set(Object.values(store.view.withdrawals).flatMap((each) => each.zones));
  for (const [id, parts] of drawn.zones) drawZone(id, parts, levels.get(id), withdrawn);
  for (const [id, parts] of drawn.points) drawChip(store.mine.point.get(id), parts);
  for (const [id, parts] of drawn.outputs) drawOutput(store.mine.output.get(id), parts);
  const lost = new Set(Object.values(store.view.alarms).filter((each) => each.kind === "reader_lost" && each.active).map((each) => each.source));
  for (const [id, mark] of drawn.readers) setAttribute(mark, "data-state", lost.has(id) ? "lost" : null);
}

function drawZone(id, { road, cover, label, count, person }, level, withdrawn) {
  const zone = store.mine.zone.get(id);
  setAttribute(road, "data-level", level || null);
  const hatch = withdrawn.has(id) || (withdrawn.has("mine") && zone.kind !== "surface") ? "withdraw" : zone.restricted ? "restricted" : null;
  setAttribute(cover, "data-hatch", hatch);
  const people = store.view.headcount?.zones?.[id];
  const limit = people?.limit ? `/${people.limit}` : "";
  const words = people && (people.hi > 0 || limit) ? `${range(people.lo, people.hi)}${limit}` : "";
  setText(count, words);
  setAttribute(person, "visibility", words ? null : "hidden");
  setAttribute(label, "data-state", { over_limit: "bad", maybe_over_limit: "doubt" }[people?.state] ?? null);
  setAttribute(label, "data-withdraw", hatch === "withdraw");
}

function drawChip(point, { chip, value, shape, title }) {
  const reading = store.view.points[point.id];
  const level = reading?.level ?? 0;
  const name = quality(reading);
  const shown = reading && reading.value !== null ? number(point, reading.value) : "";
  setText(value, name === "good" ? shown : name === "calibration" || name === "over_range" ? shown || t(`page.short_quality.${name}`) : t(`page.short_quality.${name}`));
  setAttribute(chip, "data-level", level || null);
  setAttribute(chip, "data-trust", name === "good" ? null : name === "calibration" ? "calibration" : "bad");
  setAttribute(shape, "d", level ? outline(PRIORITY_OF_LEVEL[level]) : "");
  setText(title, `${point.name} ${shown} ${point.unit} · ${t(`quality.${name}`)}`);
}

// The feed state comes from the independent input, never from what we asked for.
function drawOutput(output, { mark, title }) {
  const state = store.view.outputs[output.id];
  const feed = output.proof ? store.view.points[output.proof] : null;
  if (output.role === "siren") {
    const sounding = feed?.value === 1 || state?.wanted === true;
    setAttribute(mark, "data-state", state?.failed ? "failed" : sounding ? "on" : null);
  } else {
    const live = feed?.value === 1 ? "live" : feed?.value === 0 ? "dead" : "unknown";
    setAttribute(mark, "data-state", state?.failed ? "failed" : live);
    setAttribute(mark, "data-held", state ? state.wanted === false : false);
  }
  const words = feed?.value === null || !feed ? t(`quality.${quality(feed)}`) : number(store.mine.point.get(output.proof), feed.value);
  setText(title, `${output.name} · ${state?.failed ? t("alarm_kind.failed_actuation") : words}`);
}
