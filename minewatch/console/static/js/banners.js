// Banners: what a dispatcher must know before trusting anything else on the page.

import { byId, h, keyed, setText } from "./dom.js";
import { sortedAlarms } from "./alarms.js";
import { act } from "./dialogs.js";
import { age, duration, subject, zoneName } from "./format.js";
import { dataAgeMs, isDead, nowMs, store } from "./store.js";
import { first, t } from "./text.js";
import { confirmDuty } from "./works.js";

const FLOOD_GROUPS = 3;

export function drawBanners() {
  const banners = [];
  const dead = isDead();
  document.body.dataset.stream = store.view === null ? "waiting" : dead ? "dead" : "live";
  if (store.view === null) banners.push({ id: "waiting", level: "doubt", words: t("page.waiting_for_data") });
  else if (dead) banners.push({ id: "dead", level: "bad", words: t("page.data_broken"), more: t("page.data_broken_since", { age: age(dataAgeMs()) }) });
  if (store.view && !dead) banners.push(...emergencies(), ...dutyChecks(), ...fansAboutToCut(), ...flood(), ...ofTheHouse());
  keyed(byId("banners"), banners, (each) => each.id, create, (row, each) => {
    setText(row.words, each.words);
    setText(row.more, each.more ?? "");
    row.act = each.act;
    row.button.hidden = !each.act;
    setText(row.button, each.label ?? "");
  });
}

// A demand with a clock: what it is, and when it withdraws by itself unless somebody is faster.
function emergencies() {
  return Object.entries(store.view.emergencies ?? {}).map(([id, each]) => {
    const left = each.starts_ms === null ? null : each.starts_ms - nowMs();
    const zones = each.zones.map((zone) => (zone === "mine" ? t("page.whole_mine") : zoneName(zone)));
    const when = left === null ? t("page.alarm_only") : left > 0 ? t("page.starts_in", { time: duration(left) }) : t("page.started");
    const what = first([`withdrawal_cause.${each.kind}`], each.kind);
    return {
      id: `emergency-${id}`, level: "bad", words: what,
      more: [subject(each.source) === what ? "" : subject(each.source), each.document, zones.join("、"), when].filter(Boolean).join(" · "),
      label: t("page.withdraw_now"),
      act: store.view.withdrawals && left !== null && left > 0 ? () => withdrawNow(each, what) : null,
    };
  });
}

function withdrawNow(each, what) {
  act({
    kind: "withdraw",
    danger: true,
    title: `${t("command.withdraw")} · ${what}`,
    fields: [{ name: "reason", label: t("page.reason_text"), value: what, required: true }],
    build: ({ reason }) => ({ args: { zones: each.zones }, text: reason }),
  });
}

// Is anybody awake? The night's question and the county's, each with the time that it has waited.
function dutyChecks() {
  return Object.entries(store.view.duty_checks ?? {}).map(([id, each]) => ({
    id: `duty-${id}`,
    level: each.origin === "county" || each.missed ? "bad" : "doubt",
    words: t(each.origin === "county" ? "page.county_asks" : "page.night_asks"),
    more: t("page.asked_ago", { time: duration(nowMs() - each.asked_ms) }),
    label: t("command.on_duty"),
    act: () => confirmDuty(id),
  }));
}

function fansAboutToCut() {
  return Object.entries(store.view.local_fans ?? {})
    .filter(([, each]) => each.cuts_at_ms !== null && each.cuts_at_ms > nowMs())
    .map(([id, each]) => ({
      id: `fan-${id}`, level: "bad", words: t("page.fans_stopped", { zone: zoneName(each.zone) }),
      more: t("page.cuts_in", { time: duration(each.cuts_at_ms - nowMs()) }),
    }));
}

// A flood of alarms: the groups with most of them, each under the alarm that came first.
function flood() {
  const known = store.view.flood;
  if (!known) return [];
  const groups = known.groups.slice(0, FLOOD_GROUPS).map((each) => {
    const alarm = store.view.alarms[each.first_out];
    const where = each.zone ? zoneName(each.zone) : t("page.whole_mine");
    return `${where} ×${each.count}${alarm ? `（${subject(alarm.source)} ${t(`alarm_kind.${alarm.kind}`)}）` : ""}`;
  });
  return [{ id: "flood", level: "doubt", words: t("page.flood", { n: sortedAlarms().length }), more: groups.join("；") }];
}

function ofTheHouse() {
  const banners = [];
  for (const fault of store.view.health?.faults ?? []) {
    banners.push({ id: `fault-${fault}`, level: "doubt", words: t("page.house_fault"), more: faultWords(fault) });
  }
  for (const bus of store.mine?.certified ?? []) {
    const state = store.view.health?.buses?.[bus];
    if (state && !state.up) {
      banners.push({ id: `certified-${bus}`, level: "doubt", words: t("page.certified_lost"), more: sourceWords(state.error) });
    }
  }
  const bypasses = Object.keys(store.view.bypasses);
  if (bypasses.length) {
    banners.push({ id: "bypass", level: "doubt", words: t("page.bypassed", { n: bypasses.length }), more: bypasses.map((id) => store.mine.point.get(id)?.name ?? id).join("、") });
  }
  return banners;
}

function sourceWords(error) {
  const key = `page.certified_error.${error}`;
  return t(key) === key ? error : t(key);
}

function faultWords(fault) {
  const key = `page.fault.${fault}`;
  return t(key) === key ? fault : t(key);
}

function create({ level }) {
  const row = { words: h("b"), more: h("span"), act: null };
  row.button = h("button", { hidden: true, onclick: () => row.act?.() });
  row.element = h("div", { class: `banner ${level}` }, row.words, row.more, row.button);
  return row;
}
