-- What programs charge, what is due for it, and what was charged. Source: requirements #165-#172.
CREATE TABLE fees (
    id INTEGER PRIMARY KEY,
    config_id TEXT NOT NULL REFERENCES programs (config_id),
    partner_id INTEGER NOT NULL REFERENCES partners (id),
    currency INTEGER NOT NULL,
    kind TEXT NOT NULL,
    settlement TEXT NOT NULL CHECK (settlement IN ('INSTANT', 'INVOICE')),
    fixed INTEGER NOT NULL,
    rate_ppm INTEGER NOT NULL,
    region TEXT,
    home_country TEXT,
    period TEXT CHECK (period IN ('DAY', 'WEEK', 'MONTH')),
    zone TEXT NOT NULL,
    waived_from INTEGER,
    row_state TEXT NOT NULL CHECK (row_state IN ('PENDING', 'CONFIRMED', 'REFUSED', 'CLOSED')),
    next_period_ms INTEGER,
    created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX fees_by_program ON fees (config_id, id);
-- Which balance a fee on accounts means must be clear: one of a kind for a partner and currency.
CREATE UNIQUE INDEX fees_one_account_kind ON fees (partner_id, currency, kind, COALESCE(period, ''))
    WHERE row_state IN ('PENDING', 'CONFIRMED')
    AND kind IN ('ACCOUNT_CREATION', 'ACCOUNT_PERIODIC', 'TRANSFER');
INSERT INTO sequences (name, next_value) VALUES ('fee', 1);
-- One fee for one card or account, once a period; period 0 is for ever, card 0 an
-- account, token 0 the card itself.
CREATE TABLE fee_dues (
    fee_id INTEGER NOT NULL REFERENCES fees (id),
    period_ms INTEGER NOT NULL,
    period_end_ms INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    balance_id BLOB NOT NULL REFERENCES balances (id),
    card_id INTEGER NOT NULL,
    token_no INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('PENDING', 'CHARGED', 'WAIVED', 'DROPPED')),
    PRIMARY KEY (fee_id, balance_id, card_id, token_no, period_ms)
) STRICT;
CREATE INDEX fee_dues_pending ON fee_dues (fee_id, period_ms) WHERE state = 'PENDING';
CREATE INDEX fee_dues_by_age ON fee_dues (period_end_ms);
-- What the switch charged, as its events tell it; given back, where negative.
CREATE TABLE fee_charges (
    sequence INTEGER NOT NULL,
    place INTEGER NOT NULL,
    fee_id INTEGER NOT NULL,
    due INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (sequence, place)
) STRICT;
CREATE INDEX fee_charges_by_fee ON fee_charges (fee_id, at_ms);
-- What cards paid, as long as a fee depends on it; and whose posting a place of the switch is.
CREATE TABLE card_postings (
    sequence INTEGER NOT NULL,
    place INTEGER NOT NULL,
    card_id INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (sequence, place)
) STRICT;
CREATE INDEX card_postings_by_card ON card_postings (card_id, at_ms);
CREATE INDEX card_postings_by_age ON card_postings (at_ms);
CREATE TABLE posted_slots (
    slot INTEGER PRIMARY KEY,
    card_id INTEGER NOT NULL
) STRICT;
-- Tokens that wallets pay with in place of a card, as their service told the partner of them.
CREATE TABLE card_tokens (
    id INTEGER PRIMARY KEY,
    card_id INTEGER NOT NULL REFERENCES cards (id),
    reference TEXT NOT NULL,
    wallet_id TEXT,
    state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'ENDED')),
    created_at_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX card_tokens_once ON card_tokens (card_id, reference);
INSERT INTO sequences (name, next_value) VALUES ('token', 1);
