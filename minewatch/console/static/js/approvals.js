// The inbox for a second name: what somebody asked for, and until when it may be approved.

import { act } from "./dialogs.js";
import { h } from "./dom.js";
import { duration, staffName, subject } from "./format.js";
import { nowMs, store } from "./store.js";
import { t } from "./text.js";

export function openApprovals() {
  const waiting = Object.entries(store.view.approvals);
  if (!waiting.length) return;
  act({
    kind: "approve",
    wide: true,
    title: t("page.approvals"),
    intro: [h("p", { class: "about", text: t("page.approve_hint") })],
    fields: [{ name: "approval", label: t("page.approval"), options: waiting.map(([id, each]) => [id, describe(each)]) }],
    build: ({ approval }) => ({ args: { approval } }),
  });
}

export function describe(approval) {
  const about = Object.values(approval.arguments ?? {}).flat()
    .filter((each) => typeof each === "string").map((each) => subject(each)).join("、");
  const until = approval.until_ms ? t("page.valid_for", { time: duration(approval.until_ms - nowMs()) }) : "";
  return [t(`command.${approval.kind}`), about, staffName(approval.by), until].filter(Boolean).join(" · ");
}
