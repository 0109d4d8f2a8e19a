-- The switch's record that said last how much a fee is: an older one, read late, does not.
ALTER TABLE fees ADD COLUMN followed BIGINT NOT NULL DEFAULT 0;
