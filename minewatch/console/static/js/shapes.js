// Signs: one shape and one colour for each priority, so that neither speaks alone.

import { svg } from "./dom.js";

const OUTLINES = {
  1: "M5 1h6l4 4v6l-4 4H5l-4-4V5z",
  2: "M8 1.2 15.2 14.4H.8z",
  3: "M8 .8 15.2 8 8 15.2.8 8z",
  4: "M8 1a7 7 0 1 0 .001 0z",
};
const DIGIT_AT = { 1: 11.7, 2: 13, 3: 11.6, 4: 11.7 };

export const PRIORITY_OF_LEVEL = { 1: 4, 2: 2, 3: 1, 4: 1 };

export function sign(priority) {
  return svg("svg", { viewBox: "0 0 16 16", class: `sign p${priority}`, "aria-hidden": "true" },
    svg("path", { d: OUTLINES[priority] }),
    svg("text", { x: 8, y: DIGIT_AT[priority], text: priority }));
}

export const outline = (priority) => OUTLINES[priority];

export function icon(name) {
  const paths = {
    person: "M8 1.6a2.9 2.9 0 1 1 0 5.8 2.9 2.9 0 0 1 0-5.8zM2.6 14.6c0-3.5 2.2-5.7 5.4-5.7s5.4 2.2 5.4 5.7z",
    sound: "M2 6h3l4-3.6v11.2L5 10H2zM11 5.2a4 4 0 0 1 0 5.6M12.8 3a7 7 0 0 1 0 10",
    silent: "M2 6h3l4-3.6v11.2L5 10H2zM11 6l4 4M15 6l-4 4",
    sun: "M8 5a3 3 0 1 0 .001 0zM8 .8v2M8 13.2v2M.8 8h2M13.2 8h2M2.9 2.9l1.4 1.4M11.7 11.7l1.4 1.4M13.1 2.9l-1.4 1.4M4.3 11.7l-1.4 1.4",
    key: "M6 8.2a3.6 3.6 0 1 0 0 .1zM6.2 8.2H15M12 8.4v3M14.4 8.4v2",
    print: "M4 6V1.6h8V6M4 12H1.6V6h12.8v6H12M4 9.6h8v5H4z",
    check: "M2 8.6l4 4L14 3.6",
  };
  return svg("svg", { viewBox: "0 0 16 16", class: `icon ${name}`, "aria-hidden": "true" },
    svg("path", { d: paths[name] }));
}
