// The alarm list: what stands, since when, what was cut, who answered, what is still to be said.

import { command } from "./api.js";
import { act, askLogin, note, settle } from "./dialogs.js";
import { byId, h, keyed, setAttribute, setText } from "./dom.js";
import { clock, number, staffName, subject, zoneName } from "./format.js";
import { icon, sign } from "./shapes.js";
import { store, toWallMs } from "./store.js";
import { language, t } from "./text.js";
import { giveNotice, shelve } from "./works.js";

const CAUSES = ["gas_emission", "ventilation", "blasting", "power_work", "calibration", "sensor",
  "line", "people_moved", "operation", "drill", "other"];
const RANK = { unacknowledged: 0, returned: 1, acknowledged: 2, latched: 2, normal: 3, shelved: 4, suppressed: 4, out_of_service: 4 };

const CLOSE_OUT_PRIORITY_MAX = 2;

// Cause and measure are due for priorities 1 and 2 (practice 12).
export const isOpen = (alarm) => !alarm.closed && alarm.priority <= CLOSE_OUT_PRIORITY_MAX;
export const needsAnswer = (alarm) => alarm.state === "unacknowledged" || alarm.state === "returned";

export function sortedAlarms() {
  return Object.entries(store.view.alarms)
    .map(([id, alarm]) => ({ id, alarm }))
    .sort((a, b) => RANK[a.alarm.state] - RANK[b.alarm.state]
      || a.alarm.priority - b.alarm.priority
      || Number(b.alarm.first_out) - Number(a.alarm.first_out)
      || b.alarm.raised_ms - a.alarm.raised_ms
      || (a.id < b.id ? -1 : 1));
}

export function dressAlarms() {
  byId("alarm-tools").replaceChildren(
    h("span", { class: "hint", text: t("page.ack_key_hint") }),
    h("button", { class: "tool", onclick: giveNotice }, h("span", { text: t("command.notice") })),
    h("button", { class: "tool", onclick: silence }, icon("silent"), h("span", { text: t("command.silence") })));
}

export function drawAlarms() {
  const list = byId("alarm-list");
  const alarms = sortedAlarms();
  keyed(list, alarms, (each) => each.id, create, update);
  setAttribute(list, "data-empty", alarms.length ? null : t("page.no_alarm"));
  return alarms;
}

function create({ id }) {
  const row = {
    mark: h("span", { class: "mark" }), priority: null,
    first: h("span", { class: "first-out" }), place: h("b"), kind: h("span", { class: "kind" }),
    zone: h("span", { class: "zone" }), value: h("b"), unit: h("small"), limit: h("span", { class: "of" }),
    raised: h("span"), cut: h("span"), feed: h("span"), state: h("span"), by: h("span", { class: "by" }),
    acknowledge: h("button", { class: "primary", onclick: () => acknowledge([id]) }),
    close: h("button", { onclick: () => closeOut(id) }),
    shelve: h("button", { class: "quiet", onclick: () => shelve(store.view.alarms[id]) }),
  };
  const step = (key, ...content) => h("span", { class: "step" }, h("small", { "data-key": key }), ...content);
  row.steps = { raised: step("page.raised", row.raised), cut: step("page.cut_at", row.cut), feed: step("page.feed", row.feed) };
  row.element = h("div", { class: "alarm", role: "group" },
    row.mark,
    h("span", { class: "what" }, h("span", { class: "line" }, row.place, row.first), h("span", { class: "line" }, row.kind, row.zone)),
    h("span", { class: "figure" }, h("span", {}, row.value, row.unit), row.limit),
    row.steps.raised, row.steps.cut, row.steps.feed,
    h("span", { class: "state" }, row.state, row.by),
    h("span", { class: "buttons" }, row.acknowledge, row.close, row.shelve));
  return row;
}

function update(row, { alarm }) {
  const point = store.mine.point.get(alarm.source);
  setAttribute(row.element, "data-state", alarm.state);
  setAttribute(row.element, "data-priority", alarm.priority);
  if (row.priority !== alarm.priority) {
    row.priority = alarm.priority;
    row.mark.replaceChildren(sign(alarm.priority));
  }
  setText(row.place, subject(alarm.source));
  setText(row.first, alarm.first_out ? t("page.first_out") : "");
  setText(row.kind, [t(`alarm_kind.${alarm.kind}`), gradeWords(alarm), alarm.planned ? t("page.planned") : ""].filter(Boolean).join(" · "));
  const place = alarm.zone && alarm.zone !== alarm.source ? zoneName(alarm.zone) : "";
  setText(row.zone, alarm.occurrences > 1 ? `${place} ×${alarm.occurrences}` : place);
  drawFigure(row, alarm, point);
  for (const small of row.element.querySelectorAll("small[data-key]")) setText(small, t(small.dataset.key));
  setText(row.raised, clock(alarm.raised_wall_ms));
  drawCut(row, alarm);
  setText(row.state, stateWords(alarm));
  setText(row.by, alarm.acknowledged_by ? staffName(alarm.acknowledged_by) : "");
  setText(row.acknowledge, t("command.acknowledge"));
  row.acknowledge.hidden = !needsAnswer(alarm);
  setText(row.close, t("command.close_out"));
  row.close.hidden = !isOpen(alarm) || needsAnswer(alarm);
  setText(row.shelve, t("command.shelve"));
  row.shelve.hidden = needsAnswer(alarm) || !row.close.hidden || alarm.state === "shelved" || !(store.mine.shelvable ?? []).includes(alarm.kind);
  const label = `${t(`command.acknowledge`)} ${subject(alarm.source)} ${t(`alarm_kind.${alarm.kind}`)}`;
  setAttribute(row.acknowledge, "aria-label", label);
  setAttribute(row.close, "aria-label", label.replace(t("command.acknowledge"), t("command.close_out")));
}

function drawFigure(row, alarm, point) {
  setText(row.value, alarm.value === null ? "" : number(point, alarm.value));
  setText(row.unit, alarm.value === null || !point ? "" : point.unit);
  const parts = [];
  if (alarm.limit !== null) parts.push(t("page.of_limit", { limit: number(point, alarm.limit) }));
  if (alarm.peak !== null && alarm.peak !== undefined && alarm.peak !== alarm.value) {
    parts.push(t("page.peak", { peak: number(point, alarm.peak) }));
  }
  setText(row.limit, parts.join(" · "));
}

// How grave the exceedance has become for the report (practice 19).
function gradeWords(alarm) {
  if (alarm.kind !== "gas_over_limit") return "";
  const graded = store.view.grades?.[`gas:${alarm.source}`];
  return graded?.grade ? t(`grade.${graded.grade}`) : "";
}

const stateWords = (alarm) =>
  (alarm.state === "normal" ? t("page.returned_open") : t(`alarm_state.${alarm.state}`));

// When the outputs that this alarm's cause demands were cut, and what the feed says now.
function drawCut(row, alarm) {
  const outputs = outputsOf(alarm);
  const cut = outputs.filter(({ state }) => state.wanted === false);
  const since = Math.min(...cut.map(({ state }) => state.since_ms));
  setText(row.cut, cut.length ? clock(toWallMs(since)) : "");
  const failed = outputs.some(({ state }) => state.failed);
  const live = outputs.filter(({ output }) => feedIsLive(output)).length;
  const words = !cut.length ? "" : failed ? t("page.feed_refused") : live ? t("switch.feed_state_1") : t("page.feed_dead");
  setText(row.feed, words);
  setAttribute(row.steps.feed, "data-bad", failed || live > 0);
  for (const step of [row.steps.cut, row.steps.feed]) setAttribute(step, "data-none", !cut.length);
}

function outputsOf(alarm) {
  const ids = new Set(store.view.outputs[alarm.source] ? [alarm.source] : []);
  for (const cause of Object.values(store.view.causes)) {
    if (cause.points.includes(alarm.source)) cause.outputs.forEach((id) => ids.add(id));
  }
  return [...ids]
    .map((id) => ({ output: store.mine.output.get(id), state: store.view.outputs[id] }))
    .filter(({ output, state }) => output?.role === "power_cut" && state);
}

export function feedIsLive(output) {
  const reading = output.proof ? store.view.points[output.proof] : null;
  return reading?.value === 1;
}

export async function acknowledge(ids) {
  if (!store.session.code && !(await askLogin())) return;
  try {
    settle(await command("acknowledge", { alarms: ids }), t("page.done_act", { act: t("command.acknowledge") }));
  } catch (refused) {
    note(refused.words ?? String(refused), "bad");
  }
}

export function acknowledgeFirst() {
  const first = sortedAlarms().find(({ alarm }) => needsAnswer(alarm));
  if (first) acknowledge([first.id]);
}

async function silence() {
  if (!store.session.code && !(await askLogin())) return;
  try {
    settle(await command("silence", {}), t("page.silenced", { s: store.mine.silence_s }));
  } catch (refused) {
    note(refused.words ?? String(refused), "bad");
  }
}

function closeOut(id) {
  const alarm = store.view.alarms[id];
  if (!alarm) return;
  const separator = language().startsWith("zh") ? "　" : " — ";
  act({
    kind: "close_out",
    title: t("page.close_out_title"),
    intro: [h("p", { class: "about", text: subject(alarm.source) + separator + t(`alarm_kind.${alarm.kind}`) })],
    fields: [
      { name: "cause", label: t("page.cause"), options: CAUSES.map((code) => [code, t(`page.cause_code.${code}`)]) },
      { name: "measure", label: t("page.measure"), lines: 3, required: true },
    ],
    build: ({ cause, measure }) => ({ args: { alarms: [id], cause }, text: measure }),
  });
}
