// The lines: how many are up, and how punctual each is beside what was predicted of it.

import { byId, h, setAttribute, setText } from "./dom.js";
import { store } from "./store.js";
import { t } from "./text.js";

const COLUMNS = ["line_name", "line_state", "line_load", "scan_class", "period_p99", "worst_reaction", "late_scans"];

let table = null;

export function buildLines() {
  byId("lines").addEventListener("click", open);
}

// Called with every frame: the button in the foot, and the table while it is open.
export function drawLines() {
  const buses = Object.values(store.view.health?.buses ?? {});
  const up = buses.filter((bus) => bus.up).length;
  const button = byId("lines");
  setText(button, t("page.lines_up", { up, all: buses.length }));
  setAttribute(button, "data-state", up < buses.length ? "bad" : buses.some(isOdd) ? "doubt" : null);
  if (table) fill();
}

const isOver = (bus) => (bus.classes ?? []).some((each) => each.over);
const isOdd = (bus) => isOver(bus) || bus.stretched || Object.keys(bus.refused ?? {}).length > 0;

function open() {
  if (!store.view) return;
  table = h("tbody");
  const head = h("tr", {}, ...COLUMNS.map((key) => h("th", { scope: "col", text: t(`page.${key}`) })));
  const box = h("dialog", { class: "wide look", "aria-labelledby": "lines-title" },
    h("div", { class: "head" }, h("h2", { id: "lines-title", text: t("page.lines") }),
      h("button", { text: t("page.close"), onclick: () => box.close() })),
    h("p", { class: "about", text: t("page.lines_hint") }),
    h("table", { class: "lines" }, h("thead", {}, head), table));
  box.addEventListener("close", () => {
    box.remove();
    table = null;
  });
  fill();
  document.body.append(box);
  box.showModal();
}

function fill() {
  const buses = Object.entries(store.view.health?.buses ?? {});
  buses.sort(([a, one], [b, other]) => rank(one) - rank(other) || a.localeCompare(b));
  table.replaceChildren(...buses.flatMap(([id, bus]) => rows(id, bus)));
}

const rank = (bus) => (!bus.up ? 0 : isOdd(bus) ? 1 : 2);

function rows(id, bus) {
  const load = `${bus.load_pct} %${bus.predicted_load_pct == null ? "" : ` (${bus.predicted_load_pct} %)`}`;
  const state = bus.up ? t("page.line_up") : bus.error;
  const made = (bus.classes ?? []).map((each, n) => row([
    ...(n ? ["", "", ""] : [id, state, load]),
    each.scan_ms ? `${each.scan_ms} ms` : t("page.urged_scan", { ms: bus.urged_ms }),
    `${each.p99_ms} ms`,
    `${each.reaction_ms} ms${each.predicted_ms === null ? "" : ` (${each.predicted_ms} ms)`}`,
    each.late,
  ], !bus.up ? "bad" : each.over ? "doubt" : null));
  if (!made.length) made.push(row([id, state, load, "", "", "", ""], bus.up ? null : "bad"));
  if (bus.stretched) made.push(wide(t("page.urged_stretched", { ms: bus.urged_ms })));
  for (const [point, code] of Object.entries(bus.refused ?? {})) {
    made.push(wide(t("page.point_refused", { point, code })));
  }
  return made;
}

const row = (cells, state) => h("tr", { "data-state": state }, ...cells.map((text) => h("td", { text })));
const wide = (text) => h("tr", { "data-state": "doubt" }, h("td"), h("td", { colspan: COLUMNS.length - 1, text }));
