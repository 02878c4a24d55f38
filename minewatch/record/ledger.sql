-- The ledger, version 1. `leaf` is stored verbatim and hashed as an RFC 6962 leaf; `text` is what
-- a person wrote, hashed in the leaf as `text_sha256`. Rows are only ever appended.
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    origin TEXT NOT NULL
) STRICT;
CREATE TABLE entry (
    idx INTEGER PRIMARY KEY,
    leaf TEXT NOT NULL,
    text TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;
-- Roots of complete runs of 256 leaves: tile n covers entries 256 n … 256 n + 255.
CREATE TABLE tile (
    number INTEGER PRIMARY KEY,
    root BLOB NOT NULL
) STRICT;
CREATE TABLE frontier (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    size INTEGER NOT NULL,
    hashes BLOB NOT NULL
) STRICT;
CREATE TABLE checkpoint (
    size INTEGER PRIMARY KEY,
    note TEXT NOT NULL
) STRICT;
PRAGMA user_version = 1;
