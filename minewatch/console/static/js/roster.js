// The printable roster: everybody underground by zone, on paper when the screen is gone.

import { byId, h } from "./dom.js";
import { clock, date, person, range, subject, zoneName } from "./format.js";
import { badges } from "./withdraw.js";
import { isStaff, store, toWallMs, wallMs } from "./store.js";
import { t } from "./text.js";

export function printRoster() {
  byId("roster").replaceChildren(...(isStaff() ? [heading(), ...named()] : [heading(), ...counted()]));
  window.print();
}

function heading() {
  const count = store.view.headcount ?? {};
  return h("header", {},
    h("h1", { text: t("page.roster_title", { mine: store.mine.name }) }),
    h("p", { text: t("page.roster_as_of", { date: date(wallMs()), time: clock(wallMs()), count: range(count.lo, count.hi), limit: count.limit ?? "—" }) }));
}

function named() {
  const missing = new Set(Object.values(store.view.withdrawals).flatMap((each) => badges(each.unaccounted)));
  const zones = new Map();
  for (const [badge, seen] of Object.entries(store.view.people)) {
    if (!zones.has(seen.zone)) zones.set(seen.zone, []);
    zones.get(seen.zone).push([badge, seen]);
  }
  const order = store.mine.zones.map((zone) => zone.id).filter((id) => zones.has(id) && id !== "surface");
  return order.map((id) => h("section", {},
    h("h2", { text: `${zoneName(id)} · ${zones.get(id).length}` }),
    table(["roster_name", "roster_badge", "roster_team", "roster_last", "roster_seen", "roster_tick"],
      zones.get(id).sort(([a], [b]) => (a < b ? -1 : 1)).map(([badge, seen]) => {
        const known = store.mine.people?.[badge];
        const mark = missing.has(badge) ? ` ★${t("alarm_kind.unaccounted")}` : "";
        return [person(badge) + mark, badge, known ? `${known.team} ${known.trade}` : "", subject(seen.reader ?? seen.zone),
          seen.seen_ms ? clock(toWallMs(seen.seen_ms)) : "", "□"];
      }))));
}

function counted() {
  const zones = Object.entries(store.view.headcount?.zones ?? {}).filter(([, each]) => (each.hi ?? 1) > 0);
  const missing = Object.values(store.view.withdrawals).flatMap((each) => badges(each.unaccounted));
  return [
    h("p", { text: t("page.roster_needs_login") }),
    table(["roster_zone", "roster_count"], zones.map(([id, each]) => [zoneName(id), range(each.lo, each.hi)])),
    ...(missing.length ? [h("h2", { text: t("page.unaccounted_n", { n: missing.length }) }),
      table(["roster_badge", "roster_last"], missing.map((badge) => [badge, subject(store.view.people[badge]?.reader ?? "")]))] : []),
  ];
}

function table(columns, rows) {
  return h("table", {},
    h("thead", {}, h("tr", {}, ...columns.map((key) => h("th", { scope: "col", text: t(`page.${key}`) })))),
    h("tbody", {}, ...rows.map((cells) => h("tr", {}, ...cells.map((text) => h("td", { text }))))));
}
