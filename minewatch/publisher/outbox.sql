-- The publisher's own database: streams that must not get lost, and how far events were received.
-- One process writes it. user_version 1.

CREATE TABLE IF NOT EXISTS message (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    class   INTEGER NOT NULL,           -- 0 alarm, 1 state, 2 telemetry (outbox.Class)
    stream  TEXT NOT NULL,              -- first word of the topic
    topic   TEXT NOT NULL,              -- below the mine's root
    payload BLOB NOT NULL,              -- as it goes out; empty removes what the broker retains
    retain  INTEGER NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS message_by_class ON message (class, id);
CREATE INDEX IF NOT EXISTS message_by_topic ON message (topic, id);

-- One row per alarm that the broker still holds as retained: its last published view.
CREATE TABLE IF NOT EXISTS standing (
    alarm TEXT PRIMARY KEY,
    view  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- install: random id of this installation; origin, cursor: events of that ledger received so far;
-- shed: messages given up since the installation.
CREATE TABLE IF NOT EXISTS fact (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
