// How numbers, ages and times read. Times are Beijing time, the legal time of every mine in China.

import { ageMs, quality, store } from "./store.js";
import { first, t } from "./text.js";

const BEIJING_MS = 8 * 3600 * 1000;
const OLD_MS = 5000;

export function number(point, value) {
  if (value === null || value === undefined) return "—";
  if (!point) return String(value);
  if (point.switch) return t(`switch.${point.kind}_${value ? 1 : 0}`);
  return (value / 10 ** point.decimals).toFixed(point.decimals);
}

export const withUnit = (point, value) =>
  point && point.unit ? `${number(point, value)} ${point.unit}` : number(point, value);

export function duration(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(s / 3600);
  const rest = `${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

export function age(ms) {
  if (ms === null || !Number.isFinite(ms)) return "—";
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.floor(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.floor(ms / 60_000)} min`;
  return `${Math.floor(ms / 3_600_000)} h`;
}

export function clock(wallMs, seconds = true) {
  const iso = new Date(wallMs + BEIJING_MS).toISOString();
  return iso.slice(11, seconds ? 19 : 16);
}

export const date = (wallMs) => new Date(wallMs + BEIJING_MS).toISOString().slice(0, 10);

export function range(lo, hi) {
  if (lo === null || lo === undefined) return "—";
  if (hi === null || hi === undefined) return `≥ ${lo}`;
  return lo === hi ? String(lo) : `${lo}–${hi}`;
}

// A value that may not be believed shows its quality in words; an old one shows its age.
export function trust(reading, oldMs = OLD_MS) {
  const name = quality(reading);
  const ms = ageMs(reading);
  if (name !== "good") {
    return { words: t(`quality.${name}`), bad: name !== "calibration", calibrating: name === "calibration" };
  }
  return { words: age(ms), bad: false, old: ms !== null && ms > oldMs };
}

export function limitWords(point) {
  const limits = point.limits;
  const parts = [];
  for (const key of ["alarm", "trip", "low_alarm"]) {
    if (limits[key] !== undefined) parts.push([key, (key === "low_alarm" ? "< " : "") + number(point, limits[key])]);
  }
  return parts;
}

export function person(badge) {
  const known = store.mine.people?.[badge];
  return known ? known.name : t("page.badge", { badge });
}

export function staffName(code) {
  if (!code) return "";
  const member = store.mine.staff[code];
  if (!member) return code;
  return `${member.name ?? code} ${t(`role.${member.role}`)}`.trim();
}

// What an alarm, a cause or an approval is about: a point, an output, a zone, a reader, a badge.
export function subject(id) {
  const mine = store.mine;
  const named = mine.point.get(id) ?? mine.output.get(id) ?? mine.zone.get(id) ?? mine.reader.get(id);
  if (named) return named.name;
  const fans = store.view.local_fans?.[id];
  if (fans) return zoneName(fans.zone);
  if (id.startsWith("line:")) return t("page.line", { line: id.slice(5) });
  if (mine.people?.[id] || /^\d{4,8}$/.test(id)) return person(id);
  return first([`system.${id}`, `page.subject.${id}`], id);
}

export const zoneName = (id) => store.mine.zone.get(id)?.name ?? id ?? "";

// A reason is `code` or `code:subject`.
export function reason(text) {
  const [code, ...rest] = String(text).split(":");
  const words = first([`reason.${code}`, `page.reason.${code}`, `page.refusal.${code}`], code);
  const about = rest.join(":");
  return about ? `${subject(about)} ${words}` : words;
}
