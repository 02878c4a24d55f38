// The top bar: mine, clock, mode, people, age of data, upload, alarm counts, language, login.

import { loadSession, logout } from "./api.js";
import { askLogin } from "./dialogs.js";
import { byId, h, setAttribute, setText } from "./dom.js";
import { age, clock, date, range } from "./format.js";
import { icon, sign } from "./shapes.js";
import { dataAgeMs, isDead, store, wallMs } from "./store.js";
import { openSpecial, specialCount } from "./special.js";
import { language, t } from "./text.js";
import { isOpen } from "./alarms.js";

const BACKFILL_MIN = 50;

let parts = null;

export function buildTopbar({ switchLanguage, switchTheme, refresh, openApprovals, soundButton }) {
  const counts = [1, 2, 3, 4].map((priority) => {
    const figure = h("b", { text: "0" });
    return { priority, figure, element: h("span", { class: "count" }, sign(priority), figure) };
  });
  const cell = (name, ...content) => h("div", { class: `cell ${name}` }, ...content);
  const labelled = (name, key, ...content) =>
    cell(name, h("span", { class: "label", "data-text": key }), h("span", { class: "value" }, ...content));
  parts = {
    mine: h("h1"), mode: h("span", { class: "mode" }),
    time: h("time"), day: h("span", { class: "day" }), clockTrust: h("span", { class: "mark" }),
    people: h("b"), limit: h("span", { class: "of" }),
    age: h("b"), upload: h("b"), waiting: h("span", { class: "of" }), open: h("b"), counts,
    approvals: h("button", { class: "inbox", hidden: true, onclick: openApprovals }),
    special: h("button", { class: "special-count", hidden: true, onclick: openSpecial }),
    theme: h("button", { class: "quiet", onclick: switchTheme }, icon("sun")),
    language: h("button", { class: "quiet", onclick: switchLanguage }),
    login: h("button", {
      class: "who",
      onclick: async () => {
        if (!store.session.code) return askLogin();
        await logout().catch(loadSession);
        return refresh();
      },
    }),
  };
  const alarmCell = cell("alarm-counts", h("span", { class: "label", "data-text": "page.alarms" }),
    h("span", { class: "value" }, ...counts.map((each) => each.element)));
  parts.cells = {
    people: labelled("people", "page.underground", parts.people, parts.limit),
    age: labelled("age", "page.data_age", parts.age),
    upload: labelled("upload", "page.upload", parts.upload, parts.waiting),
    alarms: alarmCell,
    open: labelled("open", "page.not_closed", parts.open),
  };
  byId("bar").replaceChildren(
    h("div", { class: "name" }, parts.mine, parts.mode),
    h("div", { class: "clock" }, parts.time, h("span", { class: "below" }, parts.day, parts.clockTrust)),
    ...Object.values(parts.cells), parts.special, parts.approvals,
    h("div", { class: "right" }, soundButton, parts.theme, parts.language, parts.login));
}

export function dressTopbar() {
  for (const element of byId("bar").querySelectorAll("[data-text]")) setText(element, t(element.dataset.text));
  setText(parts.language, language().startsWith("zh") ? "English" : "中文");
  setAttribute(parts.language, "lang", language().startsWith("zh") ? "en" : "zh-CN");
  setAttribute(parts.theme, "aria-label", t("page.theme"));
  setAttribute(parts.theme, "title", t("page.theme"));
}

export function drawTopbar() {
  const { view, mine, session } = store;
  setText(parts.mine, mine.name);
  const mode = view?.mode ?? mine.mode;
  setText(parts.mode, t(`mode.${mode}`));
  setAttribute(parts.mode, "data-mode", mode);
  setText(parts.login, session.code ? `${session.name} · ${t(`role.${session.role}`)}` : t("page.login"));
  setAttribute(parts.login, "title", session.code ? t("page.logout") : null);
  if (!view) return;
  drawClock();
  drawPeople(view.headcount ?? {});
  drawUpload(view.health?.upload ?? {});
  drawAlarms(Object.values(view.alarms));
  const special = specialCount();
  parts.special.hidden = special.n === 0;
  setText(parts.special, t("page.special_count", { n: special.n }));
  setAttribute(parts.special, "data-bad", special.bad);
  const waiting = Object.keys(view.approvals).length;
  parts.approvals.hidden = waiting === 0;
  setText(parts.approvals, t("page.approvals_waiting", { n: waiting }));
}

export function drawClock() {
  if (!store.view) return;
  setText(parts.time, clock(wallMs()));
  setText(parts.day, date(wallMs()));
  setText(parts.clockTrust, store.view.wall_trusted ? "" : t("page.clock_untrusted"));
  const ms = dataAgeMs();
  setText(parts.age, age(ms));
  setAttribute(parts.cells.age, "data-state", isDead() ? "bad" : null);
}

function drawPeople(headcount) {
  setText(parts.people, range(headcount.lo, headcount.hi));
  setText(parts.limit, `/ ${headcount.limit ?? "—"}`);
  const over = { over_limit: "bad", maybe_over_limit: "doubt" }[headcount.state];
  setAttribute(parts.cells.people, "data-state", over ?? null);
}

// The publisher reports `up` and in `backlog` how many messages wait for the broker.
function drawUpload(upload) {
  const words = upload.up === undefined ? "upload_unknown"
    : !upload.up ? "upload_lost"
      : upload.backlog > BACKFILL_MIN ? "upload_backfill" : "upload_normal";
  setText(parts.upload, t(`page.${words}`));
  const waits = upload.backlog > 0 && words !== "upload_normal";
  setText(parts.waiting, waits ? t("page.upload_waiting", { n: upload.backlog }) : "");
  setAttribute(parts.cells.upload, "data-state", words === "upload_lost" ? "doubt" : null);
}

function drawAlarms(alarms) {
  for (const { priority, figure, element } of parts.counts) {
    const these = alarms.filter((each) => each.priority === priority && each.state !== "normal");
    setText(figure, these.length);
    setAttribute(element, "data-none", these.length === 0);
    setAttribute(element, "data-new", these.some((each) => each.state === "unacknowledged" || each.state === "returned"));
    setAttribute(element, "title", t(`page.priority_${priority}`));
  }
  const open = alarms.filter(isOpen).length;
  setText(parts.open, open);
  setAttribute(parts.cells.open, "data-state", open ? "note" : null);
}
