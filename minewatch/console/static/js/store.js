// What the page knows: the mine (once) and the controller's view (merged from full and deltas).

const SECTIONS = new Set(["points", "outputs", "causes", "alarms", "people", "withdrawals",
  "calibrations", "hand_covers", "bypasses", "approvals", "comparisons"]);
const DEAD_AFTER_MS = 2600;   // said within 3 s, whatever the tick
const KEPT_S = 600;

export const store = {
  mine: null,          // as /api/v1/mine describes it, with tables by id
  view: null,          // the merged frame
  session: { code: null, terminal: "" },
  heardAt: null,       // performance.now() of the last frame
  lostMs: 0,           // how long the console itself has not heard the controller
  past: new Map(),     // point -> [[t_ms, value or null], …], the last minutes
};

export function setMine(mine) {
  const table = (list) => new Map(list.map((each) => [each.id, each]));
  store.mine = {
    ...mine,
    zone: table(mine.zones),
    point: table(mine.points),
    output: table(mine.outputs),
    reader: table(mine.readers),
    interlock: table(mine.interlocks),
    pair: new Map(mine.comparisons.map((each) => [each.theirs, each])),
  };
}

export function apply(kind, message) {
  if (kind === "full") {
    store.view = { ...message };
    for (const name of SECTIONS) store.view[name] ??= {};
  } else if (store.view) {
    for (const [key, value] of Object.entries(message)) {
      if (SECTIONS.has(key)) store.view[key] = merged(store.view[key], value);
      else if (key === "headcount" && value) store.view[key] = headcount(store.view[key], value);
      else if (key !== "type") store.view[key] = value;
    }
  } else {
    return;
  }
  store.heardAt = performance.now();
  store.lostMs = 0;
  remember();
}

function merged(old, changes) {
  const next = { ...old };
  for (const [key, value] of Object.entries(changes ?? {})) {
    if (value === null) delete next[key];
    else next[key] = value;
  }
  return next;
}

const headcount = (old, value) =>
  ({ ...old, ...value, zones: merged(old?.zones, value.zones) });

// Ages go on counting when nothing arrives any more.
export const silenceMs = () =>
  store.heardAt === null ? Infinity : performance.now() - store.heardAt;

export const dataAgeMs = () => Math.max(silenceMs(), store.lostMs);
export const isDead = () => dataAgeMs() > DEAD_AFTER_MS;

// The controller's clocks, carried on from the last frame.
const carried = () => (Number.isFinite(dataAgeMs()) ? dataAgeMs() : silenceMs());
export const nowMs = () => store.view.t_ms + carried();
export const wallMs = () => store.view.wall_ms + carried();
export const toWallMs = (tMs) => store.view.wall_ms - (store.view.t_ms - tMs);

export const quality = (reading) => String(reading?.quality ?? "STALE").toLowerCase();

export function ageMs(reading) {
  return reading?.sampled_ms === null || reading?.sampled_ms === undefined
    ? null : Math.max(0, nowMs() - reading.sampled_ms);
}

function remember() {
  const at = store.view.t_ms;
  for (const [id, reading] of Object.entries(store.view.points)) {
    const value = reading.value === null || quality(reading) === "calibration" ? null : reading.value;
    let past = store.past.get(id);
    if (!past) store.past.set(id, (past = []));
    if (past.length && at - past[past.length - 1][0] < 900) past.pop();
    past.push([at, value]);
    while (past.length > KEPT_S || (past.length && at - past[0][0] > KEPT_S * 1000)) past.shift();
  }
}

export const isStaff = () => Boolean(store.session.code);

// Zones that a withdrawal of `zone` takes along: itself and everything downwind of it.
export function downwind(zone) {
  const found = new Set([zone]);
  for (let grown = true; grown;) {
    grown = false;
    for (const each of store.mine.zones) {
      if (!found.has(each.id) && each.downwind_of.some((up) => found.has(up))) {
        found.add(each.id);
        grown = true;
      }
    }
  }
  return [...found];
}
