// Sound: tones made here, one pattern per priority; browsers allow it only after a click, so a
// banner asks for one. The relay's horn is the annunciator; this is the second.

import { h, setAttribute, setText } from "./dom.js";
import { needsAnswer, sortedAlarms } from "./alarms.js";
import { number, subject } from "./format.js";
import { icon } from "./shapes.js";
import { isDead, nowMs, store } from "./store.js";
import { language, t } from "./text.js";

const PATTERNS = {
  1: { every: 900, notes: [[880, 0, 0.16], [660, 0.2, 0.16], [880, 0.4, 0.16]] },
  2: { every: 2000, notes: [[660, 0, 0.22], [880, 0.28, 0.22]] },
  3: { every: 8000, notes: [[587, 0, 0.3]] },
  dead: { every: 3000, notes: [[330, 0, 0.35], [262, 0.4, 0.45]] },
  proof: { every: 0, notes: [[523, 0, 0.15], [659, 0.2, 0.15], [784, 0.4, 0.3]] },
};

let context = null;
let lastPlayed = 0;
const spoken = new Set();

export const enabled = () => context !== null && context.state === "running";

export function soundButton() {
  return h("button", { class: "quiet sound", onclick: enable });
}

export function drawSoundButton(button) {
  const on = enabled();
  if (button.dataset.on === String(on)) return;
  button.dataset.on = String(on);
  button.replaceChildren(icon(on ? "sound" : "silent"), h("span", { text: t(on ? "page.proof_tone" : "page.enable_sound") }));
  setAttribute(button, "data-off", !on);
}

export async function enable() {
  context ??= new AudioContext();
  await context.resume();
  play("proof");
}

function play(name) {
  if (!enabled()) return;
  for (const [hz, at, seconds] of PATTERNS[name].notes) {
    const tone = context.createOscillator();
    const gain = context.createGain();
    const begin = context.currentTime + at;
    tone.type = "triangle";
    tone.frequency.value = hz;
    gain.gain.setValueAtTime(0.0001, begin);
    gain.gain.exponentialRampToValueAtTime(0.4, begin + 0.02);
    gain.gain.exponentialRampToValueAtTime(0.0001, begin + seconds);
    tone.connect(gain).connect(context.destination);
    tone.start(begin);
    tone.stop(begin + seconds + 0.05);
  }
}

// Called a few times a second: the worst unanswered alarm sounds, silence is the controller's word.
export function soundWhatStands() {
  if (!store.view) return;
  const name = wanted();
  if (name === null) return;
  const now = performance.now();
  if (now - lastPlayed < PATTERNS[name].every) return;
  lastPlayed = now;
  play(name);
}

function wanted() {
  if (isDead()) return "dead";
  if ((store.view.silenced_until_ms ?? 0) > nowMs()) return null;
  const worst = sortedAlarms().filter(({ alarm }) => needsAnswer(alarm) && alarm.sounds !== false)[0]?.alarm;
  return worst && worst.priority <= 3 ? worst.priority : null;
}

// Speaks a new alarm where the machine itself has a voice; nothing is fetched from elsewhere.
export function speak(alarm, id) {
  const key = `${id}/${alarm.occurrences}`;
  if (spoken.has(key) || !enabled() || !("speechSynthesis" in window)) return;
  if (spoken.size > 500) spoken.clear();
  spoken.add(key);
  const short = language().slice(0, 2);
  const voice = speechSynthesis.getVoices().find((each) => each.localService && each.lang.startsWith(short));
  if (!voice || alarm.priority > 2) return;
  const point = store.mine.point.get(alarm.source);
  const value = alarm.value === null ? "" : number(point, alarm.value);
  const words = new SpeechSynthesisUtterance(`${subject(alarm.source)} ${t(`alarm_kind.${alarm.kind}`)} ${value}`);
  words.voice = voice;
  speechSynthesis.speak(words);
}

export function announce(alarm, place) {
  const point = store.mine.point.get(alarm.source);
  const value = alarm.value === null ? "" : number(point, alarm.value);
  setText(place, `${t("page.new_alarm")} ${subject(alarm.source)} ${t(`alarm_kind.${alarm.kind}`)} ${value}`);
}
