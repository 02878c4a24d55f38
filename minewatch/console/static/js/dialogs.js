// Dialogs: login, acts with a PIN, approvals. One form builder serves them all.

import { command, login } from "./api.js";
import { h, setText } from "./dom.js";
import { reason } from "./format.js";
import { store } from "./store.js";
import { t } from "./text.js";

// Acts that wait for a second name after they were asked for (ARCHITECTURE.md §4).
const SECONDED = new Set(["release", "all_clear", "resume_descent", "bypass", "cut", "close_person"]);

let afterLogin = async () => {};
export const onLogin = (call) => { afterLogin = call; };

export function note(words, kind = "good") {
  const line = h("p", { class: `note ${kind}`, text: words });
  document.getElementById("notes").append(line);
  setTimeout(() => line.remove(), kind === "good" ? 4000 : 9000);
}

// Opens a dialog and resolves to true when `submit` succeeded, false when it was put away.
export function ask({ title, intro = [], fields = [], action, danger = false, submit, wide = false }) {
  return new Promise((resolve) => {
    const problem = h("p", { class: "problem", role: "alert" });
    const send = h("button", { type: "submit", class: danger ? "danger" : "primary", text: action });
    const inputs = new Map(fields.map((field) => [field.name, control(field)]));
    const form = h("form", { method: "dialog", novalidate: true },
      h("h2", { id: "dialog-title", text: title }),
      ...intro,
      ...fields.map((field) => row(field, inputs.get(field.name))),
      problem,
      h("div", { class: "buttons" },
        h("button", { type: "button", text: t("page.cancel"), onclick: () => dialog.close() }), send));
    const dialog = h("dialog", { class: wide ? "wide" : "", "aria-labelledby": "dialog-title" }, form);
    let done = false;
    dialog.addEventListener("close", () => { dialog.remove(); resolve(done); });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const missing = fields.find((field) => field.required && !inputs.get(field.name).value.trim());
      if (missing) {
        setText(problem, t("page.missing", { field: missing.label }));
        inputs.get(missing.name).focus();
        return;
      }
      send.disabled = true;
      try {
        await submit(Object.fromEntries([...inputs].map(([name, input]) => [name, input.value.trim()])));
        done = true;
        dialog.close();
      } catch (refused) {
        if (!refused.words) throw refused;
        setText(problem, refused.words);
      } finally {
        send.disabled = false;
      }
    });
    document.body.append(dialog);
    dialog.showModal();
    const empty = fields.find((field) => !inputs.get(field.name).value);
    (empty ? inputs.get(empty.name) : send).focus();
  });
}

function control(field) {
  const id = `field-${field.name}`;
  if (field.options) {
    const options = field.options.map(([value, words]) => h("option", { value, text: words }));
    const select = h("select", { id, name: field.name }, ...options);
    if (field.value) select.value = field.value;
    return select;
  }
  if (field.lines) return h("textarea", { id, name: field.name, rows: field.lines, maxlength: 500 });
  return h("input", {
    id, name: field.name, type: field.type ?? "text", value: field.value ?? "",
    autocomplete: "off", inputmode: field.inputmode, maxlength: 64, "aria-required": field.required,
  });
}

function row(field, input) {
  const parts = [h("span", { text: field.label }), input];
  if (field.hint) parts.push(h("small", { text: field.hint }));
  return h("label", { for: input.id, class: "field" }, ...parts);
}

const identity = () => [
  { name: "code", label: t("page.staff_code"), value: store.session.code ?? "", required: true },
  { name: "pin", label: t("page.pin"), type: "password", inputmode: "numeric", required: true },
];

export function askLogin() {
  return ask({
    title: t("page.login"),
    action: t("page.login"),
    fields: identity(),
    submit: async ({ code, pin }) => {
      await login(code, pin);
      await afterLogin();
    },
  });
}

// Says what the controller answered; a refusal shows each of its reasons.
export function settle(answer, done) {
  if (answer.accepted) {
    note(done ?? t("page.done"));
    return;
  }
  const words = answer.reasons.map(reason).join("；") || t("page.refused");
  throw { code: "refused", words: t("page.refused_because", { reasons: words }) };
}

// An act: fields of its own, then who and PIN. `build` turns the values into arguments and text.
export function act({ kind, title, intro, fields = [], danger, build, wide }) {
  return ask({
    title,
    intro,
    danger,
    wide,
    action: t(`command.${kind}`),
    fields: [...fields, ...identity()],
    submit: async (values) => {
      const { args, text = "" } = build(values);
      const done = SECONDED.has(kind) ? "page.asked_act" : "page.done_act";
      settle(await command(kind, args, { text, code: values.code, pin: values.pin }),
        t(done, { act: t(`command.${kind}`) }));
    },
  });
}
