// Words: every text of the page comes from the catalogue of the chosen language.

let texts = {};
let current = "zh-CN";

export const language = () => current;

export async function loadTexts(wanted) {
  const response = await fetch(`/api/v1/catalogue?lang=${encodeURIComponent(wanted)}`);
  if (!response.ok) throw new Error(`catalogue ${response.status}`);
  const answer = await response.json();
  texts = answer.texts;
  current = answer.language;
  document.documentElement.lang = current;
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = t(element.dataset.text);
  }
}

export const has = (key) => Object.hasOwn(texts, key);

export function t(key, fields = {}) {
  if (!has(key)) return key;
  return texts[key].replace(/\{(\w+)\}/g, (whole, name) =>
    Object.hasOwn(fields, name) ? String(fields[name]) : whole);
}

// The first of several keys that the catalogue knows, else `otherwise`.
export function first(keys, otherwise) {
  const key = keys.find(has);
  return key === undefined ? otherwise : t(key);
}
