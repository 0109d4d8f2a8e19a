-- Users and cards in bulk, row by row.
CREATE TABLE imports (
    id UUID PRIMARY KEY,
    partner_id BIGINT NOT NULL REFERENCES partners (id),
    row_count BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL
);
CREATE TABLE import_rows (
    import_id UUID NOT NULL REFERENCES imports (id),
    row_no BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('PENDING', 'DONE', 'FAILED')),
    content_sealed BYTEA,
    customer TEXT,
    balance TEXT,
    card TEXT,
    error TEXT,
    field TEXT,
    PRIMARY KEY (import_id, row_no)
);
CREATE INDEX import_rows_pending ON import_rows (import_id, row_no) WHERE state = 'PENDING';
