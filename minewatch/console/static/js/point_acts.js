// Acts on one point or one person, offered where they are looked at. Who may is the core's word.

import { act } from "./dialogs.js";
import { h } from "./dom.js";
import { person, withUnit } from "./format.js";
import { store } from "./store.js";
import { headWork, staffField, wholeMinutes } from "./works.js";
import { t } from "./text.js";

const BYPASS_MINUTES = 120;
const BYPASS_MINUTES_MAX = 480;

const reasonField = () => ({ name: "reason", label: t("page.reason_text"), required: true });

const checkerField = (required) => staffField("checker", "gas_checker", required);

// The acts that make sense for a point as it stands now.
export function pointActs(point, before) {
  const calibrating = point.id in store.view.calibrations;
  const covered = point.id in store.view.hand_covers;
  const bypassed = point.id in store.view.bypasses;
  const kinds = [
    ...(point.switch ? [] : ["hand_value"]),
    ...(calibrating ? ["extend_calibration", "end_calibration"] : point.switch ? [] : ["calibrate"]),
    ...(covered ? ["end_hand_cover"] : point.kind === "methane" ? ["hand_cover"] : []),
    ...(point.id in (store.view.head_works ?? {}) ? ["end_head_work"] : point.switch ? [] : ["move_head", "replace_head"]),
    bypassed ? "end_bypass" : "bypass",
  ];
  return h("div", { class: "acts" }, ...kinds.map((kind) => h("button", {
    text: t(`command.${kind}`),
    onclick: () => {
      before();
      if (kind === "hand_value") handValue([point]);
      else if (kind === "move_head" || kind === "replace_head") headWork(kind, point);
      else actOnPoint(kind, point);
    },
  })));
}

function actOnPoint(kind, point) {
  const fields = {
    hand_cover: () => [checkerField(true), reasonField()],
    bypass: () => [{ name: "minutes", label: t("page.minutes"), value: String(BYPASS_MINUTES), required: true, inputmode: "numeric" }, reasonField()],
    calibrate: () => [],
  }[kind] ?? (() => []);
  act({
    kind,
    title: `${t(`command.${kind}`)} · ${point.name}`,
    fields: fields(),
    build: ({ reason = "", checker, minutes }) => {
      const args = { point: point.id };
      if (checker) args.checker = checker;
      if (minutes !== undefined) args.minutes = bypassMinutes(minutes);
      return { args, text: reason };
    },
  });
}

function bypassMinutes(typed) {
  const minutes = wholeMinutes(typed);
  if (minutes > BYPASS_MINUTES_MAX) throw { code: "number", words: t("page.not_a_number", { value: typed }) };
  return minutes;
}

// A gas checker's reading from the place, asked for in the unit of its kind.
export function handValue(points) {
  const restore = points.map((each) => each.limits.restore === undefined ? "" : t("page.restore_below", { limit: withUnit(each, each.limits.restore) }));
  act({
    kind: "hand_value",
    title: t("command.hand_value"),
    fields: [
      { name: "point", label: t("page.place"), options: points.map((each) => [each.id, `${each.name} (${each.unit || t(`kind.${each.kind}`)})`]) },
      { name: "value", label: t("page.measured"), required: true, inputmode: "decimal", hint: restore.find(Boolean) },
      checkerField(false),
    ],
    build: ({ point, value, checker }) => {
      const args = { point, value: inUnits(store.mine.point.get(point), value) };
      return { args: checker ? { ...args, checker } : args };
    },
  });
}

// What was typed as a whole number of the kind's smallest unit; finer digits are refused, not cut.
function inUnits(point, typed) {
  const digits = typed.replace(",", ".");
  const units = Math.round(Number(digits) * 10 ** point.decimals);
  if (!/^\d+(\.\d+)?$/.test(digits)) throw { code: "number", words: t("page.not_a_number", { value: typed }) };
  if ((digits.split(".")[1] ?? "").length > point.decimals) {
    throw { code: "number", words: t("page.too_many_decimals", { n: point.decimals }) };
  }
  return units;
}

export function closePerson(badge) {
  act({
    kind: "close_person",
    title: `${t("command.close_person")} · ${person(badge)}`,
    intro: [h("p", { class: "about", text: t("page.close_person_needs_two") })],
    fields: [reasonField()],
    build: ({ reason }) => ({ args: { badge }, text: reason }),
  });
}
