"""The rules of a gas place as a mine engineer would write them down, knowing nothing of the core.

It says of every step what must be cut, what people may be given back and who is ordered out. Where
a rule leaves a scan's freedom (a lost line is taken as one), `must` and `may` lie `SLACK_MS` apart.
"""

TRIP, WITHDRAW, RESTORE, CLEAR, BOTH = 150, 150, 100, 80, 300
FAULT_MS, STALE_MS, GAP_MS, SLACK_MS, MIN = 10_000, 3_000, 2_000, 3_000, 60_000
HAND_MS, HOLD_MS, COVER_MS, READING_MS = 15 * MIN, 480 * MIN, 480 * MIN, 30 * MIN
CALIBRATION_MS, EXTENSION_MS = 15 * MIN, 10 * MIN


class Paper:
    """What stands in the ledger: it survives a crash as far as it was synced."""

    def __init__(self):
        self.causes = {}  # cause -> (places to be measured, outputs it holds)
        self.hand = {}  # head -> (value, when)
        self.covers = {}  # head -> (first written at, ends, next reading due)
        self.calibrations = {}  # head -> (written at, ends)
        self.bypasses = {}  # head -> (first written at, ends)
        self.over = set()  # heads that were beyond their range and are not believed
        self.zones = frozenset()  # who is ordered out
        self.all_clear = None  # where the all-clear is written, until it acts
        self.high = set()  # heads whose withdrawal alarm stands
        self.granted = {}  # release -> (outputs, written at)


class Reference:
    """One mine: heads by zone, the fan wind of each zone, what each head cuts."""

    def __init__(self, heads, winds):
        self.heads, self.winds = heads, winds  # point -> zone
        self.paper, self.said, self.low, self.guard = Paper(), {}, {}, {}
        self.now, self.durable, self.ledger_fault = None, 0, False

    def see(self, now, durable, ledger_fault, readings):
        """Take one cycle's image: the time, what is on disk, and (point, value, quality)."""
        before, self.now, self.durable, self.ledger_fault = self.now, now, durable, ledger_fault
        if before is None or now - before > GAP_MS:
            self.said, self.low = {}, {}
            self.guard = dict.fromkeys([*self.heads, *self.winds], now)
        self.tripped, self.ended = set(), set()
        self._let_acts_run_out()
        moved = {point for point, value, quality in readings if self._read(point, value, quality)}
        both = {h for h in self.heads if h in self.paper.over or self.counts(h, least=BOTH)}
        if moved & both and len(both) > 1:
            self.order_out({"mine"})
        for point in self.guard:
            if not self.is_good(point) or self.has_act(point):
                self.low.pop(point, None)
            if self.is_open(point) and self.is_guarded(point):
                self.guard[point] = now

    def _let_acts_run_out(self):
        for table in (self.paper.calibrations, self.paper.bypasses):
            for head in [h for h, act in table.items() if self.now >= act[1]]:
                del table[head]
                self.guard[head] = self.now
        for head in [h for h, act in self.paper.covers.items() if self.now >= min(act[1:])]:
            del self.paper.covers[head]
            self.ended.add(head)

    def _read(self, point, value, quality):
        self.said[point] = (value, quality, self.now)
        if point not in self.guard or self.is_open(point):
            return False
        over, good = quality == "OVER_RANGE", quality == "GOOD"
        self.guard[point] = self.now if good else self.guard[point]
        if good and (value < RESTORE if point in self.heads else value == 1):
            self.low.setdefault(point, self.now)
        else:
            self.low.pop(point, None)
        if point in self.winds:
            self.tripped |= {point} if good and value == 0 else set()
            return False
        if over or good:
            self.paper.over |= {point} if over else set()
            self.measure(point, TRIP + BOTH if over else value)
            self._calm(point)
        return True

    def measure(self, head, value):
        """A value of the place, read or measured by hand: what it demands."""
        if value >= TRIP:
            self.tripped.add(head)
        if value >= WITHDRAW:
            self.order_out({self.heads[head]})
            self.paper.high.add(head)

    def _calm(self, head):
        held, when = self.paper.hand.get(head, (0, -HOLD_MS))
        high_by_hand = held >= CLEAR and self.now - when < HOLD_MS
        if self.counts(head) and self.said[head][0] < CLEAR and not high_by_hand:
            self.paper.high.discard(head)

    def order_out(self, zones):
        """Order people out; what is demanded meanwhile voids an all-clear that has not acted."""
        zones = frozenset(self.paper.zones | zones)
        self.paper.zones, self.paper.all_clear = zones & {"mine"} or zones, None

    def on_disk(self, index):
        """Only what is on disk, and a disk that is well, lowers protection."""
        return index < self.durable and not self.ledger_fault

    def has_act(self, head):
        """A calibration or bypass is in force."""
        acts = (self.paper.calibrations.get(head), self.paper.bypasses.get(head))
        return any(act and self.on_disk(act[0]) for act in acts)

    def is_open(self, head):
        """An act hides the head; none ever hides one beyond its range."""
        return head not in self.paper.over and self.has_act(head)

    def is_good(self, point):
        """The point has spoken lately, and well."""
        _, quality, at = self.said.get(point, (0, "STALE", 0))
        return quality == "GOOD" and self.now - at <= STALE_MS

    def counts(self, head, least=0):
        """The head may speak for its zone, and reads at least so much."""
        fit = self.is_good(head) and not self.is_open(head) and head not in self.paper.over
        return fit and self.said[head][0] >= least

    def is_covered(self, head):
        """A gas checker stands in for the head."""
        return head in self.paper.covers and self.on_disk(self.paper.covers[head][0])

    def is_guarded(self, point):
        """Another head of the zone, or a checker, watches in its stead."""
        others = [h for h in self.of_zone(self.heads.get(point)) if h != point]
        return self.is_covered(point) or any(map(self.counts, others))

    def is_lost(self, point, slack):
        """The place has been without any watch for its fault time."""
        if self.is_covered(point) or (self.is_good(point) and not self.is_open(point)):
            return False
        is_exact = slack > 0 and point not in self.paper.covers and not self.is_open(point)
        return self.now - self.guard[point] >= FAULT_MS + (0 if is_exact else slack)

    def must_cut(self):
        """Zones that have to be without power now."""
        points = self.tripped | {p for p in self.guard if self.is_lost(p, SLACK_MS)}
        return {self.heads.get(p) or self.winds[p] for p in points}

    def may_latch(self, kind, about, points):
        """Whether there is a reason for this cause."""
        if kind in ("trip", "off"):
            return about in self.tripped
        if kind in ("fault", "line"):
            return all(p in self.ended or self.is_lost(p, -SLACK_MS) for p in points)
        return kind in ("cut", "controller_lost", "upstream")

    def may_release(self, outputs):
        """Whether these outputs, and no fewer, may be given back together now."""
        causes = {c: v for c, v in self.paper.causes.items() if not outputs.isdisjoint(v[1])}
        latched = {output for _, held in causes.values() for output in held}
        places = {place for points, _ in causes.values() for place in points}
        zones = {output.removeprefix("cut_") for output in outputs} & set(self.heads.values())
        return (
            not self.ledger_fault
            and latched == outputs
            and all(map(self.permits, places))
            and all(any(map(self.measured_low, self.of_zone(zone))) for zone in zones)
            and all(map(self.follows, causes))
        )

    def measured_low(self, head):
        """The hand value of the place is below restore and at most 15 min old."""
        value, when = self.paper.hand.get(head, (TRIP, 0))
        return value < RESTORE and self.now - when < HAND_MS

    def follows(self, cause):
        """The switch below is free or proved off; after a stop of wind, every head is fit again."""
        kind, _, about = cause.partition(":")
        if kind == "upstream" and about in self.held():
            feed = about.replace("cut_", "FEED_")
            return self.is_good(feed) and self.said[feed][0] == 0
        return kind != "off" or all(map(self.is_fit, self.of_zone(self.winds[about])))

    def of_zone(self, zone):
        """The heads of a zone."""
        return [head for head, where in self.heads.items() if where == zone]

    def permits(self, place):
        """Whether one place of a cause lets power come back."""
        return self.is_fit(place) and (place in self.winds or self.measured_low(place))

    def is_fit(self, place):
        """The point is good and low for 60 s, or another watches in its stead."""
        alive = self.is_good(place) or self.said.get(place, (0, ""))[1] == "OVER_RANGE"
        if self.is_covered(place) and not alive:
            return True
        if place in self.paper.bypasses and self.on_disk(self.paper.bypasses[place][0]):
            return self.is_guarded(place)
        low = place in self.low and self.now - self.low[place] >= MIN
        return low and not self.is_open(place)

    def held(self):
        """The outputs that are cut, and must stay so."""
        return {output for _, outputs in self.paper.causes.values() for output in outputs}
