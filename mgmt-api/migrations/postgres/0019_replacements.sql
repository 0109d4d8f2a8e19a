-- A physical card ordered in place of another, which is locked for ever when this one is activated.
ALTER TABLE cards ADD COLUMN replaces BIGINT REFERENCES cards (id);
