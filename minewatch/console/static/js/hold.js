// A button that acts only after it was held: a ring fills in two seconds, letting go stops it.

import { h, setAttribute, setText, svg } from "./dom.js";

export const HOLD_MS = 2000;
const LENGTH = 2 * Math.PI * 44;

export function holdButton(onHeld) {
  const ring = svg("circle", { class: "ring", cx: 50, cy: 50, r: 44, "stroke-dasharray": LENGTH, "stroke-dashoffset": LENGTH });
  const label = h("span", { class: "hold-label" });
  const below = h("span", { class: "hold-below" });
  const element = h("button", { class: "hold", type: "button" },
    svg("svg", { viewBox: "0 0 100 100", "aria-hidden": "true" }, svg("circle", { class: "track", cx: 50, cy: 50, r: 44 }), ring),
    h("span", { class: "hold-words" }, label, below));
  let since = null;
  let frame = 0;

  const stop = () => {
    since = null;
    cancelAnimationFrame(frame);
    setAttribute(ring, "stroke-dashoffset", LENGTH);
    element.removeAttribute("data-held");
  };
  const advance = () => {
    if (since === null) return;
    const share = Math.min(1, (performance.now() - since) / HOLD_MS);
    setAttribute(ring, "stroke-dashoffset", (LENGTH * (1 - share)).toFixed(2));
    if (share < 1) {
      frame = requestAnimationFrame(advance);
      return;
    }
    stop();
    onHeld();
  };
  const start = () => {
    if (since !== null || element.disabled) return;
    since = performance.now();
    setAttribute(element, "data-held", true);
    advance();
  };
  element.addEventListener("pointerdown", (event) => event.button === 0 && start());
  for (const kind of ["pointerup", "pointerleave", "pointercancel", "blur"]) element.addEventListener(kind, stop);
  element.addEventListener("keydown", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    if (!event.repeat) start();
  });
  element.addEventListener("keyup", stop);
  element.addEventListener("contextmenu", (event) => event.preventDefault());
  return { element, say: (words, small) => { setText(label, words); setText(below, small); } };
}
