// Banners: what a dispatcher must know before trusting anything else on the page.

import { byId, h, keyed, setText } from "./dom.js";
import { age } from "./format.js";
import { dataAgeMs, isDead, store } from "./store.js";
import { t } from "./text.js";

export function drawBanners() {
  const banners = [];
  const dead = isDead();
  document.body.dataset.stream = store.view === null ? "waiting" : dead ? "dead" : "live";
  if (store.view === null) banners.push({ id: "waiting", level: "doubt", words: t("page.waiting_for_data") });
  else if (dead) banners.push({ id: "dead", level: "bad", words: t("page.data_broken"), more: t("page.data_broken_since", { age: age(dataAgeMs()) }) });
  if (store.view && !dead) banners.push(...ofTheHouse());
  keyed(byId("banners"), banners, (each) => each.id, create, (row, each) => {
    setText(row.words, each.words);
    setText(row.more, each.more ?? "");
  });
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
  const row = { words: h("b"), more: h("span") };
  row.element = h("div", { class: `banner ${level}` }, row.words, row.more);
  return row;
}
