// Interlocks: each power-cut output, the causes that hold it, why it may not yet be released.

import { act } from "./dialogs.js";
import { feedIsLive } from "./alarms.js";
import { byId, h, keyed, setAttribute, setText } from "./dom.js";
import { clock, reason, subject } from "./format.js";
import { handValue } from "./point_acts.js";
import { store, toWallMs } from "./store.js";
import { first, t } from "./text.js";
import { testInterlock } from "./works.js";

export function drawInterlock() {
  const outputs = store.mine.outputs.filter((each) => each.role === "power_cut")
    .map((output, index) => ({ output, index, state: store.view.outputs[output.id] }))
    .sort((a, b) => rank(a) - rank(b) || a.index - b.index);
  keyed(byId("interlock-list"), outputs, (each) => each.output.id, create, update);
}

const rank = ({ state }) => (state?.failed ? 0 : state?.wanted === false ? 1 : 2);

function create({ output }) {
  const row = {
    lamp: h("span", { class: "lamp" }), state: h("span", { class: "state" }), feed: h("span", { class: "feed" }),
    causes: h("div", { class: "causes" }),
    release: h("button", { onclick: () => release(output.id) }),
    hand: h("button", { onclick: () => measure(output.id) }),
    cut: h("button", { class: "quiet", onclick: () => cut(output) }),
    test: h("button", { class: "quiet", onclick: () => testInterlock(output) }),
    about: h("div", { class: "causes about-air" }),
  };
  row.element = h("div", { class: "output" },
    row.lamp, h("span", { class: "name", text: output.name, title: output.cuts.map((each) => each.name).join("、") }), row.state, row.feed,
    h("span", { class: "buttons" }, row.hand, row.release, row.test, row.cut), row.about, row.causes);
  return row;
}

function update(row, { output, state }) {
  const held = state?.wanted === false;
  setAttribute(row.element, "data-state", state?.failed ? "failed" : held ? "cut" : null);
  setText(row.state, state?.failed ? t("alarm_kind.failed_actuation") : held ? t("page.output_cut", { time: clock(toWallMs(state.since_ms)) }) : t("page.output_free"));
  const reading = output.proof ? store.view.points[output.proof] : null;
  setText(row.feed, reading?.value === null || !reading ? t("page.feed_unknown") : feedIsLive(output) ? t("page.feed_live") : t("page.feed_dead"));
  setText(row.release, t("command.release"));
  setText(row.hand, t("command.hand_value"));
  setText(row.cut, t("command.cut"));
  row.release.hidden = row.hand.hidden = !held;
  setText(row.test, t("command.test_interlock"));
  row.cut.hidden = row.test.hidden = held;
  keyed(row.about, airOf(output), (each) => each.id, createAir, updateAir);
  const causes = (state?.causes ?? []).map((id) => ({ id, cause: store.view.causes[id] })).filter(({ cause }) => cause);
  keyed(row.causes, causes, (each) => each.id, createCause, updateCause);
}

// What stands behind an output beside its causes: a vote that is not whole, the fans of a heading.
function airOf(output) {
  const lines = [];
  for (const [id, each] of Object.entries(store.view.interlocks ?? {})) {
    const votes = each.votes;
    if (!each.outputs.includes(output.id) || !votes) continue;
    if (!votes.degraded && !votes.for.length && votes.disagrees_since_ms === null) continue;
    const marks = [votes.degraded ? t("page.vote_degraded") : "", votes.disagrees_since_ms !== null ? t("alarm_kind.vote_disagreement") : ""];
    lines.push({ id: `vote-${id}`, words: t("page.vote", { n: votes.for.length, needed: votes.needed, of: votes.of }), more: marks.filter(Boolean).join(" · "), bad: votes.for.length > 0 });
  }
  for (const [id, each] of Object.entries(store.view.local_fans ?? {})) {
    if (!each.outputs.includes(output.id) || (each.running.includes(each.main) && each.restart.state === "permitted")) continue;
    const running = each.running.length ? t("page.fan_runs", { fan: each.running.map(subject).join("、") }) : t("page.no_fan_runs");
    const restart = each.running.length ? "" : first([`page.restart.${each.restart.state}`], each.restart.state);
    lines.push({ id: `fan-${id}`, words: running, more: [restart, ...each.restart.reasons.map(reason)].filter(Boolean).join("；"), bad: !each.running.length });
  }
  if (store.view.outputs[output.id]?.exhausted) lines.push({ id: "exhausted", words: t("page.chain_exhausted"), more: "", bad: true });
  return lines;
}

function createAir() {
  const row = { what: h("b"), more: h("span", { class: "why" }) };
  row.element = h("p", {}, row.what, row.more);
  return row;
}

function updateAir(row, each) {
  setText(row.what, each.words);
  setText(row.more, each.more);
  setAttribute(row.element, "data-bad", each.bad);
}

function createCause() {
  const row = { mark: h("span", { class: "first-out" }), what: h("b"), reasons: h("span", { class: "why" }) };
  row.element = h("p", {}, row.mark, row.what, row.reasons);
  return row;
}

const causeWords = (cause) => first([`cause_kind.${cause.kind}`, `page.cause_kind.${cause.kind}`], cause.kind);

function updateCause(row, { cause }) {
  setText(row.mark, cause.first_out ? t("page.first_out") : "");
  setText(row.what, `${causeWords(cause)} ${cause.points.map(subject).join("、")}`.trim());
  const waits = (cause.reasons ?? []).map(reason).join("；");
  setText(row.reasons, cause.ready ? t("page.ready_for_release") : waits || t("page.not_ready"));
  setAttribute(row.element, "data-ready", cause.ready === true);
}

// All outputs of one form: what shares a cause is released together (practice 2).
function formOf(id) {
  const form = new Set([id]);
  for (let grown = true; grown;) {
    grown = false;
    for (const cause of [...form].flatMap(causesOf)) {
      for (const output of cause.outputs) {
        if (!form.has(output) && store.view.outputs[output]?.causes?.length) {
          form.add(output);
          grown = true;
        }
      }
    }
  }
  return [...form].sort();
}

const causesOf = (id) => (store.view.outputs[id]?.causes ?? []).map((each) => store.view.causes[each]).filter(Boolean);

function release(id) {
  const form = formOf(id);
  const causes = [...new Set(form.flatMap(causesOf))];
  const reasons = [...new Set(causes.flatMap((cause) => cause.reasons ?? []))];
  act({
    kind: "release",
    wide: true,
    title: t("page.release_title", { output: form.map(subject).join("、") }),
    intro: [
      h("ul", { class: "checklist" }, ...causes.map((cause) => h("li", { "data-ready": cause.ready === true },
        h("b", { text: `${causeWords(cause)} ${cause.points.map(subject).join("、")}`.trim() }), h("span", { text: cause.ready ? t("page.ready_for_release") : "" })))),
      ...(reasons.length ? [h("p", { class: "about", text: t("page.still_against") }), h("ul", { class: "against" }, ...reasons.map((each) => h("li", { text: reason(each) })))] : []),
      h("p", { class: "about", text: t("page.release_means") }),
    ],
    build: () => ({ args: { outputs: form } }),
  });
}

function measure(id) {
  const points = [...new Set(causesOf(id).flatMap((cause) => cause.points))]
    .map((each) => store.mine.point.get(each)).filter((each) => each && !each.switch);
  const guards = store.mine.interlocks.filter((each) => each.outputs.includes(id)).flatMap((each) => each.points)
    .map((each) => store.mine.point.get(each)).filter((each) => each && !each.switch);
  handValue(points.length ? points : guards);
}

function cut(output) {
  const zone = store.view.headcount?.zones?.[output.zone];
  act({
    kind: "cut",
    danger: true,
    title: t("page.cut_title", { output: output.name }),
    intro: [
      h("p", { class: "about", text: t("page.cut_loads", { loads: output.cuts.map((each) => each.name).join("、") || "—" }) }),
      h("p", { class: "about", text: t("page.cut_people", { zone: subject(output.zone), n: zone ? (zone.hi ?? zone.lo) : "—" }) }),
    ],
    fields: [{ name: "reason", label: t("page.reason_text"), required: true }],
    build: ({ reason: text }) => ({ args: { output: output.id }, text }),
  });
}
