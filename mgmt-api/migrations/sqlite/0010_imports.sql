-- Users and cards in bulk, row by row.
CREATE TABLE imports (
    id BLOB PRIMARY KEY,
    partner_id INTEGER NOT NULL REFERENCES partners (id),
    row_count INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE import_rows (
    import_id BLOB NOT NULL REFERENCES imports (id),
    row_no INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('PENDING', 'DONE', 'FAILED')),
    content_sealed BLOB,
    customer TEXT,
    balance TEXT,
    card TEXT,
    error TEXT,
    field TEXT,
    PRIMARY KEY (import_id, row_no)
) STRICT;
CREATE INDEX import_rows_pending ON import_rows (import_id, row_no) WHERE state = 'PENDING';
