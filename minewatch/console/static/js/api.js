// Talking to the console: session, acts, history. Every answer says what was refused and why.

import { store } from "./store.js";
import { language, t } from "./text.js";

const TERMINAL_KEY = "minewatch.terminal";

export function rememberTerminal() {
  const named = new URLSearchParams(location.search).get("terminal");
  if (named !== null) localStorage.setItem(TERMINAL_KEY, named);
}

export const terminal = () => localStorage.getItem(TERMINAL_KEY) ?? "";

export async function getJson(path) {
  const response = await fetch(path);
  const body = await response.json();
  if (!response.ok) throw refusal(body);
  return body;
}

export async function loadSession() {
  store.session = await getJson(`/api/v1/session?terminal=${encodeURIComponent(terminal())}`);
}

export async function login(code, pin) {
  store.session = await post("/api/v1/login", { code, pin, terminal: terminal() });
}

export async function logout() {
  await post("/api/v1/logout", {});
  await loadSession();
}

// One act. Resolves to {accepted, reasons, index}; throws {code, words} when it never got there.
export function command(kind, args, { text = "", code = "", pin = "" } = {}) {
  return post("/api/v1/command", { kind, arguments: args, text, code, pin, terminal: terminal() });
}

async function post(path, body) {
  const headers = { "content-type": "application/json" };
  if (store.session.csrf) headers["x-csrf-token"] = store.session.csrf;
  let response;
  try {
    response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  } catch {
    throw { code: "unreachable", words: t("page.refusal.unreachable") };
  }
  const answer = await response.json();
  if (answer.error) throw refusal(answer);
  return answer;
}

function refusal(answer) {
  const error = answer?.error ?? {};
  const words = language().startsWith("zh") ? error.zh : error.en;
  return { code: error.code ?? "internal", words: words ?? t("page.refusal.internal") };
}
