-- Who asked for what, and what came of it; each entry's hash covers the one before.
CREATE TABLE audit_log (
    sequence BIGINT PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    caller TEXT NOT NULL,
    route TEXT NOT NULL,
    target TEXT NOT NULL,
    request_id TEXT NOT NULL,
    reason TEXT,
    status BIGINT,
    chain_hash BYTEA NOT NULL
);
