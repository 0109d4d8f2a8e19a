-- Where partners are told of what happens, what they are told, and how far that is. Source:
-- requirements #73, #156-#161.
CREATE TABLE endpoints (
    id UUID PRIMARY KEY,
    partner_id BIGINT NOT NULL REFERENCES partners (id),
    url TEXT NOT NULL,
    kinds TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'PAUSED')),
    key_sealed BYTEA NOT NULL,
    key_before_sealed BYTEA,
    encrypts BIGINT NOT NULL,
    client_key_sealed BYTEA,
    client_certificate TEXT,
    next_key_sealed BYTEA,
    created_at_ms BIGINT NOT NULL
);
CREATE INDEX endpoints_by_partner ON endpoints (partner_id, id);
-- In the order in which they were committed; what made one makes it once.
CREATE TABLE notices (
    number BIGINT PRIMARY KEY,
    origin TEXT NOT NULL UNIQUE,
    partner_id BIGINT NOT NULL REFERENCES partners (id),
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    content_sealed BYTEA NOT NULL,
    at_ms BIGINT NOT NULL
);
CREATE INDEX notices_by_partner ON notices (partner_id, number);
CREATE INDEX notices_by_age ON notices (at_ms);
INSERT INTO sequences (name, next_value) VALUES ('notice', 1);
CREATE TABLE deliveries (
    notice BIGINT NOT NULL REFERENCES notices (number),
    endpoint_id UUID NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('PENDING', 'DELIVERED', 'FAILED')),
    attempts BIGINT NOT NULL,
    next_at_ms BIGINT NOT NULL,
    status BIGINT,
    PRIMARY KEY (notice, endpoint_id)
);
-- What waits for an earlier one of its subject is due at no time.
CREATE INDEX deliveries_due ON deliveries (endpoint_id, next_at_ms) WHERE state = 'PENDING';
CREATE INDEX deliveries_pending ON deliveries (endpoint_id, subject, notice) WHERE state = 'PENDING';
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint_id);
-- Up to which record of the switch partners were told.
CREATE TABLE notice_cursor (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    sequence BIGINT NOT NULL
);
INSERT INTO notice_cursor (id, sequence) SELECT 1, sequence FROM event_cursor;
-- Which state of an identity check was told already.
ALTER TABLE verifications ADD COLUMN told TEXT;
UPDATE verifications SET told = status;
CREATE INDEX verifications_to_tell ON verifications (id) WHERE told IS NULL OR told <> status;
