// Special states: everything that is out of its normal protection, by whom and until when, in one
// list; the list ends what may be ended. Nothing here knows a rule: frames say what stands.

import { act, ask } from "./dialogs.js";
import { h } from "./dom.js";
import { clock, duration, number, staffName, subject, zoneName } from "./format.js";
import { nowMs, store, toWallMs } from "./store.js";
import { first, t } from "./text.js";
import { callFor, classify, endWork, startWork } from "./works.js";

const entries = (section) => Object.entries(store.view?.[section] ?? {});
const named = (...codes) => codes.filter(Boolean).map(staffName).join("、");

// Each row: what it is, what it is about, who answers for it, when it ends, what one may do now.
const SOURCES = [
  ["bypasses", (point, each) => ({ kind: "bypass", about: subject(point), who: named(each.by, each.second), until: each.until_ms, end: ["end_bypass", { point }] })],
  ["head_works", (point, each) => ({ kind: each.act, about: subject(point), who: named(each.by, each.checker), until: each.until_ms, end: ["end_head_work", { point }] })],
  ["hand_covers", (point, each) => ({ kind: "hand_cover", about: subject(point), who: named(each.by, each.checker), until: each.next_ms, more: t("page.next_reading"), end: ["end_hand_cover", { point }] })],
  ["calibrations", (point, each) => ({ kind: "calibrate", about: subject(point), who: named(each.by), until: each.until_ms, end: ["end_calibration", { point }] })],
  ["frozen", (point, each) => ({ kind: "frozen", about: subject(point), bad: true, since: each.since_ms, more: number(store.mine.point.get(point), each.value) })],
  ["low_oxygen", (point, each) => ({ kind: "low_oxygen", about: subject(point), bad: true, since: each.since_ms })],
  ["interlock_tests", (output, each) => ({ kind: "test_interlock", about: subject(output), who: named(each.by, each.second), since: each.started_ms })],
  ["warm_ups", (point, each) => ({ kind: "warm_up", about: subject(point), until: each.until_ms })],
  ["shelved", (key, each) => ({ kind: "shelved", about: `${subject(each.source)} ${t(`alarm_kind.${each.alarm_kind}`)}`, who: named(each.by, each.second), until: each.until_ms, end: ["unshelve", { alarm_kind: each.alarm_kind, source: each.source }] })],
  ["notices", (notice, each) => ({ kind: "notice", about: `${first([`work.${each.work}`], each.work)} ${[...each.points.map(subject), ...each.zones.map(zoneName)].join("、")}`, who: named(each.applicant, each.started_by), until: each.until_ms, more: t(`page.notice_${stateOf(each)}`), notice, work: each })],
  ["hand_checks", (point, each) => (each.disagrees ? { kind: "hand_check", about: subject(point), who: named(each.checker), until: each.until_ms, bad: true, more: checked(point, each) } : null)],
  ["suspects", (point, each) => ({ kind: "suspect", about: subject(point), since: each.since_ms, more: first([`suspicion.${each.reason}`, `page.suspicion.${each.reason}`], each.reason) })],
  ["past_withdrawals", (id, each) => (each.verdict ? null : { kind: "unclassified", about: each.zones.map((zone) => (zone === "mine" ? t("page.whole_mine") : zoneName(zone))).join("、"), more: clock(each.raised_wall_ms, false), withdrawal: id })],
  ["due", (key, each) => ({ kind: each.test === "calibration" ? "due_calibration" : "due_test", about: subject(each.source), until: each.due_ms, bad: each.overdue, far: true, record: each.test !== "calibration" && each.source })],
];

const stateOf = (work) => (work.started_by ? "running" : work.acknowledged || work.called ? "acknowledged" : "waiting");

function checked(point, each) {
  const known = store.mine.point.get(point);
  return t("page.hand_beside", { hand: number(known, each.value), head: number(known, each.head) });
}

export function specialStates() {
  const rows = [];
  for (const [section, row] of SOURCES) {
    for (const [key, each] of entries(section)) {
      const made = row(key, each);
      if (made) rows.push({ id: `${section}/${key}`, ...made });
    }
  }
  return rows;
}

// What a top bar counts: standing states, and whether one of them is bad.
export function specialCount() {
  const rows = specialStates().filter((each) => !each.far || each.bad);
  return { n: rows.length, bad: rows.some((each) => each.bad) };
}

export function openSpecial() {
  const rows = specialStates();
  const table = h("table", { class: "special" },
    h("thead", {}, h("tr", {}, ...["state", "about", "who", "until", ""].map((key) => h("th", { text: key ? t(`page.special_${key}`) : "" })))),
    h("tbody", {}, ...rows.map(row)));
  ask({
    wide: true,
    title: t("page.special"),
    intro: rows.length ? [h("div", { class: "scroll tall", tabindex: "0" }, table)] : [h("p", { class: "about", text: t("page.no_special") })],
    action: t("page.close"),
    submit: async () => {},
  });
}

function row(each) {
  return h("tr", { "data-bad": each.bad === true },
    h("td", {}, h("b", { text: first([`page.special_kind.${each.kind}`, `command.${each.kind}`], each.kind) })),
    h("td", {}, h("span", { text: each.about }), each.more ? h("small", { text: each.more }) : null),
    h("td", { text: each.who || "—" }),
    h("td", { class: "figures", text: when(each) }),
    h("td", { class: "buttons" }, ...buttons(each)));
}

function when(each) {
  if (each.until !== undefined) {
    const left = each.until - nowMs();
    return left >= 0 ? t("page.time_left", { time: duration(left) }) : t("page.time_over", { time: duration(-left) });
  }
  return each.since !== undefined ? t("page.since", { time: clock(toWallMs(each.since), false) }) : "—";
}

function buttons(each) {
  if (each.notice) return workButtons(each.notice, each.work);
  if (each.withdrawal) return [button("classify_withdrawal", () => classify(each.withdrawal))];
  if (each.record) return [button("record_test", () => recordTest(each.record))];
  if (!each.end) return [];
  const [kind, args] = each.end;
  return [button(kind, () => act({ kind, title: `${t(`command.${kind}`)} · ${each.about}`, build: () => ({ args }) }))];
}

function workButtons(notice, work) {
  if (work.started_by) return [button("end_work", () => endWork(notice))];
  if (work.acknowledged || work.called) return [button("start_work", () => startWork(notice))];
  return [button("record_call", () => callFor(notice))];
}

function button(kind, onclick) {
  return h("button", { type: "button", text: t(`command.${kind}`), onclick: (event) => { event.target.closest("dialog").close(); onclick(); } });
}

function recordTest(output) {
  act({
    kind: "record_test",
    title: `${t("command.record_test")} · ${subject(output)}`,
    fields: [
      { name: "passed", label: t("page.result"), options: [["yes", t("page.passed")], ["no", t("page.failed")]] },
      { name: "how", label: t("page.reason_text"), required: true },
    ],
    build: ({ passed, how }) => ({ args: { output, passed: passed === "yes" }, text: how }),
  });
}
