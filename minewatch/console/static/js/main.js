// The dispatch page: loads words and mine, follows the stream, draws, and listens to keys.

import { getJson, loadSession, rememberTerminal } from "./api.js";
import { acknowledgeFirst, dressAlarms, drawAlarms, needsAnswer } from "./alarms.js";
import { openApprovals } from "./approvals.js";
import { drawBanners } from "./banners.js";
import { onLogin } from "./dialogs.js";
import { byId, forget, setText } from "./dom.js";
import { buildGas, dressGas, drawGas } from "./gas.js";
import { drawInterlock } from "./interlock.js";
import { buildLines, drawLines } from "./lines.js";
import { buildMap, drawMap, dressMap, layoutMap } from "./map.js";
import { buildPeople, drawPeople } from "./people.js";
import { printRoster } from "./roster.js";
import { announce, drawSoundButton, soundButton, soundWhatStands, speak } from "./sound.js";
import { setMine, store } from "./store.js";
import { Stream } from "./stream.js";
import { language, loadTexts, t } from "./text.js";
import { buildTopbar, dressTopbar, drawClock, drawTopbar } from "./topbar.js";
import { openPoint, openZone } from "./trend.js";
import { buildWithdraw, dressWithdraw, drawWithdraw } from "./withdraw.js";

const LANGUAGE_KEY = "minewatch.language";
const THEME_KEY = "minewatch.theme";
const TICK_MS = 200;

const sound = soundButton();
const stream = new Stream(onFrame);
const heard = new Map();   // alarm -> occurrences already announced
let config = "";
let drawing = false;
let sparksAt = 0;

async function start() {
  rememberTerminal();
  document.documentElement.dataset.theme = localStorage.getItem(THEME_KEY) ?? "night";
  await loadMine();
  await loadTexts(localStorage.getItem(LANGUAGE_KEY) ?? store.mine.language);
  await loadSession();
  onLogin(refresh);
  buildTopbar({ switchLanguage, switchTheme, refresh, openApprovals, soundButton: sound });
  buildMap({ openZone, openPoint });
  buildGas(openPoint);
  buildLines();
  buildPeople(printRoster);
  buildWithdraw(printRoster);
  dress();
  stream.open();
  setInterval(tick, TICK_MS);
  document.addEventListener("keydown", onKey);
}

async function loadMine() {
  setMine(await getJson("/api/v1/mine"));
  config = store.mine.config;
}

// After login or logout: names come or go, and the stream with them.
async function refresh() {
  await loadMine();
  dress();
  stream.open();
}

function dress() {
  document.title = `${store.mine.name} · minewatch`;
  for (const id of ["alarm-list", "gas-list", "interlock-list"]) forget(byId(id));
  for (const list of document.querySelectorAll(".zones, .standing")) forget(list);
  dressTopbar();
  dressAlarms();
  dressGas();
  dressWithdraw();
  dressMap();
  layoutMap();
  delete sound.dataset.on;
  setText(byId("build"), store.view ? `minewatch ${store.view.version}` : "minewatch");
  if (store.view) draw();
  tick();
}

function onFrame() {
  if (store.view.config && store.view.config !== config) {
    config = store.view.config;
    loadMine().then(dress);
  }
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    draw();
  });
}

function draw() {
  const withSparks = performance.now() - sparksAt > 950;
  if (withSparks) sparksAt = performance.now();
  drawTopbar();
  drawMap();
  drawGas(withSparks);
  hear(drawAlarms());
  drawPeople();
  drawInterlock();
  drawWithdraw();
  drawBanners();
  drawLines();
  setText(byId("build"), t("page.build", { version: store.view.version, config: store.view.config.slice(0, 8), index: store.view.durable_index }));
}

function hear(alarms) {
  for (const { id, alarm } of alarms) {
    if (!needsAnswer(alarm) || heard.get(id) === alarm.occurrences) continue;
    heard.set(id, alarm.occurrences);
    announce(alarm, byId("said"));
    speak(alarm, id);
  }
  for (const id of heard.keys()) if (!store.view.alarms[id]) heard.delete(id);
}

// Between frames: ages count on, and a stream that fell silent shows.
function tick() {
  drawSoundButton(sound);
  drawBanners();
  stream.watch();
  if (!store.view) {
    drawTopbar();
    return;
  }
  drawClock();
  drawGas(false);
  if (Object.keys(store.view.withdrawals).length) drawWithdraw();
  soundWhatStands();
}

async function switchLanguage() {
  const next = language().startsWith("zh") ? "en" : "zh-CN";
  localStorage.setItem(LANGUAGE_KEY, next);
  await loadTexts(next);
  dress();
}

function switchTheme() {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === "night" ? "day" : "night";
  localStorage.setItem(THEME_KEY, root.dataset.theme);
}

// One key acknowledges: A anywhere, the space bar where it has no other meaning.
function onKey(event) {
  const target = event.target;
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || document.querySelector("dialog[open]")) return;
  if (target.closest("input, textarea, select")) return;
  const isSpace = event.key === " " && !target.closest("button, [role=button]");
  if (event.key.toLowerCase() !== "a" && !isSpace) return;
  event.preventDefault();
  acknowledgeFirst();
}

// Whatever keeps the page from starting is tried again: the console may itself be starting.
async function startWithPatience() {
  for (;;) {
    try {
      await start();
      return;
    } catch (problem) {
      console.warn("the page could not start yet", problem);
      await new Promise((resolve) => { setTimeout(resolve, 2000); });
    }
  }
}

startWithPatience();
