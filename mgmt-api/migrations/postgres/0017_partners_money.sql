-- Money that is with partners: how they are asked for it, and which balances they keep. Source:
-- requirements #81, #143-#153.
ALTER TABLE programs ADD COLUMN answer_ms BIGINT;
ALTER TABLE programs ADD COLUMN on_silence TEXT;
ALTER TABLE balances ADD COLUMN entrusted BIGINT NOT NULL DEFAULT 0;
CREATE INDEX deliveries_open ON deliveries (notice) WHERE state = 'PENDING';
ALTER TABLE deliveries ADD COLUMN not_before_ms BIGINT NOT NULL DEFAULT 0;
