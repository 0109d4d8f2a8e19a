-- Where partners are told of what happens, what they are told, and how far that is. Source:
-- requirements #73, #156-#161.
CREATE TABLE endpoints (
    id BLOB PRIMARY KEY,
    partner_id INTEGER NOT NULL REFERENCES partners (id),
    url TEXT NOT NULL,
    kinds TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'PAUSED')),
    key_sealed BLOB NOT NULL,
    key_before_sealed BLOB,
    encrypts INTEGER NOT NULL,
    client_key_sealed BLOB,
    client_certificate TEXT,
    next_key_sealed BLOB,
    created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX endpoints_by_partner ON endpoints (partner_id, id);
-- In the order in which they were committed; what made one makes it once.
CREATE TABLE notices (
    number INTEGER PRIMARY KEY,
    origin TEXT NOT NULL UNIQUE,
    partner_id INTEGER NOT NULL REFERENCES partners (id),
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    content_sealed BLOB NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX notices_by_partner ON notices (partner_id, number);
CREATE INDEX notices_by_age ON notices (at_ms);
INSERT INTO sequences (name, next_value) VALUES ('notice', 1);
CREATE TABLE deliveries (
    notice INTEGER NOT NULL REFERENCES notices (number),
    endpoint_id BLOB NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('PENDING', 'DELIVERED', 'FAILED')),
    attempts INTEGER NOT NULL,
    next_at_ms INTEGER NOT NULL,
    status INTEGER,
    PRIMARY KEY (notice, endpoint_id)
) STRICT;
-- What waits for an earlier one of its subject is due at no time.
CREATE INDEX deliveries_due ON deliveries (endpoint_id, next_at_ms) WHERE state = 'PENDING';
CREATE INDEX deliveries_pending ON deliveries (endpoint_id, subject, notice) WHERE state = 'PENDING';
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint_id);
-- Up to which record of the switch partners were told.
CREATE TABLE notice_cursor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sequence INTEGER NOT NULL
) STRICT;
INSERT INTO notice_cursor (id, sequence) SELECT 1, sequence FROM event_cursor;
-- Which state of an identity check was told already.
ALTER TABLE verifications ADD COLUMN told TEXT;
UPDATE verifications SET told = status;
CREATE INDEX verifications_to_tell ON verifications (id) WHERE told IS NULL OR told <> status;
