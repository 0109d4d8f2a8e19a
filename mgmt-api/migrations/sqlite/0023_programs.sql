-- What a program's application calls itself on /lifecycle, and the processor that alone locks its
-- cards from outside. Source: requirements #61, #23.
ALTER TABLE programs ADD COLUMN application_id TEXT;
ALTER TABLE programs ADD COLUMN processor INTEGER;
