// Acts with a clock: planned work, heads that are moved or replaced, shelves, tests, verdicts,
// orders from above. Who may is the core's word; a refusal says every reason.

import { command } from "./api.js";
import { act, note, settle } from "./dialogs.js";
import { h } from "./dom.js";
import { subject } from "./format.js";
import { store } from "./store.js";
import { first, t } from "./text.js";

const VERDICTS = ["true", "false", "drill", "test"];

export function wholeMinutes(typed) {
  const minutes = Number(typed);
  if (!Number.isInteger(minutes) || minutes < 1) {
    throw { code: "number", words: t("page.not_a_number", { value: typed }) };
  }
  return minutes;
}

const minutesField = (value) => ({ name: "minutes", label: t("page.minutes"), value: String(value), required: true, inputmode: "numeric" });
const reasonField = (key = "page.reason_text") => ({ name: "reason", label: t(key), required: true });

export function staffField(name, role, required = true) {
  const known = Object.entries(store.mine.staff).filter(([, each]) => !role || each.role === role);
  return {
    name, label: t(role ? `role.${role}` : "page.applicant"), required,
    options: [["", "—"], ...known.map(([code, each]) => [code, `${code} ${each.name ?? ""}`])],
  };
}

export function giveNotice() {
  const zones = store.mine.zones.map((each) => [each.id, each.name]);
  act({
    kind: "notice",
    title: t("command.notice"),
    intro: [h("p", { class: "about", text: t("page.notice_means") })],
    fields: [
      { name: "work", label: t("page.work"), options: (store.mine.works ?? []).map((kind) => [kind, first([`work.${kind}`], kind)]) },
      { name: "zone", label: t("page.place"), options: zones },
      { name: "point", label: t("page.point"), options: [["", "—"], ...store.mine.points.map((each) => [each.id, each.name])] },
      staffField("applicant", "", true),
      minutesField(60),
      { name: "what", label: t("page.what_is_done") },
    ],
    build: ({ work, zone, point, applicant, minutes, what }) => ({
      args: { work, zones: [zone], ...(point ? { points: [point] } : {}), applicant, minutes: wholeMinutes(minutes) },
      text: what,
    }),
  });
}

export function callFor(notice) {
  act({
    kind: "record_call",
    title: t("command.record_call"),
    fields: [staffField("caller", "", true), reasonField("page.callee")],
    build: ({ caller, reason }) => ({ args: { notice, caller }, text: reason }),
  });
}

export const startWork = (notice) => act({ kind: "start_work", title: t("command.start_work"), build: () => ({ args: { notice } }) });
export const endWork = (notice) => act({ kind: "end_work", title: t("command.end_work"), build: () => ({ args: { notice } }) });

export function headWork(kind, point) {
  act({
    kind,
    title: `${t(`command.${kind}`)} · ${point.name}`,
    fields: [staffField("checker", "gas_checker"), minutesField(60), reasonField(kind === "move_head" ? "page.new_place" : "page.new_head")],
    build: ({ checker, minutes, reason }) => ({ args: { point: point.id, checker, minutes: wholeMinutes(minutes) }, text: reason }),
  });
}

export function testInterlock(output) {
  act({
    kind: "test_interlock",
    danger: true,
    title: `${t("command.test_interlock")} · ${output.name}`,
    intro: [h("p", { class: "about", text: t("page.cut_loads", { loads: output.cuts.map((each) => each.name).join("、") || "—" }) })],
    build: () => ({ args: { output: output.id } }),
  });
}

export function shelve(alarm) {
  act({
    kind: "shelve",
    title: `${t("command.shelve")} · ${subject(alarm.source)} ${t(`alarm_kind.${alarm.kind}`)}`,
    intro: [h("p", { class: "about", text: t("page.shelve_means") })],
    fields: [minutesField(30), reasonField()],
    build: ({ minutes, reason }) => ({
      args: { alarm_kind: alarm.kind, source: alarm.source, minutes: wholeMinutes(minutes) }, text: reason,
    }),
  });
}

export function classify(withdrawal) {
  act({
    kind: "classify_withdrawal",
    title: `${t("command.classify_withdrawal")} · ${withdrawal}`,
    fields: [{ name: "verdict", label: t("page.verdict"), options: VERDICTS.map((each) => [each, t(`verdict.${each}`)]) }, reasonField()],
    build: ({ verdict, reason }) => ({ args: { withdrawal, verdict }, text: reason }),
  });
}

export function orderFromAbove() {
  act({
    kind: "order_from_above",
    danger: true,
    title: t("command.order_from_above"),
    intro: [h("p", { class: "about", text: t("page.order_means") })],
    fields: [{ name: "document", label: t("page.document"), required: true }, { name: "reason", label: t("page.reason_text") }],
    build: ({ document, reason }) => ({ args: { document }, text: reason }),
  });
}

// One key answers; whoever is logged in here is awake.
export async function confirmDuty(check) {
  try {
    settle(await command("on_duty", { check }), t("page.done_act", { act: t("command.on_duty") }));
  } catch (refused) {
    if (refused.code !== "login_needed" && refused.code !== "pin_needed") {
      note(refused.words ?? String(refused), "bad");
      return;
    }
    act({ kind: "on_duty", title: t("command.on_duty"), build: () => ({ args: { check } }) });
  }
}
