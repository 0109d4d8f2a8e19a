-- Art of programs' cards and wallets, as it was checked.
CREATE TABLE program_art (
    config_id TEXT NOT NULL REFERENCES programs (config_id),
    kind TEXT NOT NULL,
    content BLOB NOT NULL,
    changed_at_ms INTEGER NOT NULL,
    PRIMARY KEY (config_id, kind)
) STRICT;
