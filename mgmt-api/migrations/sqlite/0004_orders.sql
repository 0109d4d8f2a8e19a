-- Cards that take time: plastic from a bureau, and virtual ones issued in the background.
CREATE TABLE card_orders (
    id BLOB PRIMARY KEY,
    card_id INTEGER NOT NULL REFERENCES cards (id),
    kind TEXT NOT NULL CHECK (kind IN ('PHYSICAL', 'PRINT')),
    state TEXT NOT NULL CHECK (state IN ('ORDERED', 'SENT_TO_BUREAU', 'PERSONALISED', 'SHIPPED',
        'DELIVERED', 'FAILED')),
    delivery_sealed BLOB NOT NULL,
    batch_id BLOB,
    tracking_no TEXT,
    reference TEXT,
    created_at_ms INTEGER NOT NULL,
    changed_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX card_orders_by_card ON card_orders (card_id);
CREATE INDEX card_orders_to_send ON card_orders (created_at_ms) WHERE state = 'ORDERED';
CREATE TABLE operations (
    id BLOB PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    state TEXT NOT NULL CHECK (state IN ('PENDING', 'DONE', 'FAILED')),
    plan_sealed BLOB,
    card_id INTEGER,
    error TEXT,
    created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX operations_pending ON operations (created_at_ms) WHERE state = 'PENDING';
