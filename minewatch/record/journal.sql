-- One numbered journal file, version 1.
-- A part holds at most 10 s of canonical lines (zlib); the parts of one chunk, uncompressed and in
-- order, are what the chunk's sha256 and the ledger's `journal_sealed` event are about.
CREATE TABLE part (
    number INTEGER PRIMARY KEY,
    chunk INTEGER NOT NULL,
    run TEXT NOT NULL,
    first_cycle INTEGER NOT NULL,
    last_cycle INTEGER NOT NULL,
    cycles INTEGER NOT NULL,
    first_wall_ms INTEGER NOT NULL,
    last_wall_ms INTEGER NOT NULL,
    digest TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    marks BLOB NOT NULL,
    lines BLOB NOT NULL
) STRICT;
CREATE INDEX part_by_chunk ON part (chunk, number);
CREATE TABLE chunk (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    first_cycle INTEGER NOT NULL,
    last_cycle INTEGER NOT NULL,
    cycles INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    digest TEXT NOT NULL
) STRICT;
-- Trends: the same readings as one column per point. They are derived and can be built again.
CREATE TABLE block (
    number INTEGER PRIMARY KEY,
    first_wall_ms INTEGER NOT NULL,
    last_wall_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE times (
    block INTEGER NOT NULL,
    exchange INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE INDEX times_by_block ON times (block, exchange);
CREATE TABLE trend (
    point TEXT NOT NULL,
    block INTEGER NOT NULL,
    exchange INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE INDEX trend_by_point ON trend (point, block);
PRAGMA user_version = 1;
