// Sparklines of the last minutes: a line that breaks where nothing was measured.

import { setAttribute, svg } from "./dom.js";
import { store } from "./store.js";

const WIDTH = 84;
const HEIGHT = 18;
const SPAN_MS = { least: 60_000, most: 600_000 };

export function sparkline() {
  const limit = svg("line", { x1: 0, x2: WIDTH, class: "limit" });
  const path = svg("path", { class: "line" });
  const element = svg("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true",
    preserveAspectRatio: "none" }, limit, path);
  return { element, limit, path };
}

export function drawSparkline(spark, point) {
  const past = store.past.get(point.id) ?? [];
  const values = past.map((each) => each[1]).filter((value) => value !== null);
  if (!values.length) {
    setAttribute(spark.path, "d", "");
    return;
  }
  const alarm = point.limits.alarm ?? point.limits.low_alarm;
  const high = Math.max(...values, alarm ?? -Infinity);
  const low = Math.min(...values, point.limits.low_alarm ?? Infinity, point.kind === "methane" ? 0 : Infinity);
  const y = (value) => HEIGHT - 1.5 - ((value - low) / (high - low || 1)) * (HEIGHT - 3);
  const end = store.view.t_ms;
  const spanMs = Math.min(SPAN_MS.most, Math.max(SPAN_MS.least, end - past[0][0]));
  setAttribute(spark.path, "d", pathOf(past, (at) => WIDTH - ((end - at) / spanMs) * WIDTH, y, 4000));
  const inside = alarm !== undefined;
  setAttribute(spark.limit, "y1", inside ? y(alarm).toFixed(1) : -9);
  setAttribute(spark.limit, "y2", inside ? y(alarm).toFixed(1) : -9);
}

// A path through [time, value] pairs; a null value or a gap longer than `gapMs` lifts the pen.
export function pathOf(pairs, x, y, gapMs) {
  const parts = [];
  let last = null;
  for (const [at, value] of pairs) {
    if (value === null) {
      last = null;
      continue;
    }
    const pen = last === null || at - last > gapMs ? "M" : "L";
    parts.push(`${pen}${x(at).toFixed(1)} ${y(value).toFixed(1)}`);
    last = at;
  }
  if (parts.length === 1) parts.push(`h.8`);
  return parts.join("");
}
