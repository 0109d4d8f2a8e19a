-- Whose locks of a card its holder may lift. Source: requirements #100.
ALTER TABLE programs ADD COLUMN cardholder_lifts TEXT NOT NULL
    DEFAULT 'USER,PARTNER,ADMIN,OUTSIDE,SWITCH';
-- 1 where the network verifies CVC2 by itself, so that none can be reset here. Source: security 4.2.
ALTER TABLE programs ADD COLUMN network_verifies INTEGER NOT NULL DEFAULT 0;
