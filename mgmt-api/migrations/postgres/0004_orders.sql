-- Cards that take time: plastic from a bureau, and virtual ones issued in the background.
CREATE TABLE card_orders (
    id UUID PRIMARY KEY,
    card_id BIGINT NOT NULL REFERENCES cards (id),
    kind TEXT NOT NULL CHECK (kind IN ('PHYSICAL', 'PRINT')),
    state TEXT NOT NULL CHECK (state IN ('ORDERED', 'SENT_TO_BUREAU', 'PERSONALISED', 'SHIPPED',
        'DELIVERED', 'FAILED')),
    delivery_sealed BYTEA NOT NULL,
    batch_id UUID,
    tracking_no TEXT,
    reference TEXT,
    created_at_ms BIGINT NOT NULL,
    changed_at_ms BIGINT NOT NULL
);
CREATE INDEX card_orders_by_card ON card_orders (card_id);
CREATE INDEX card_orders_to_send ON card_orders (created_at_ms) WHERE state = 'ORDERED';
CREATE TABLE operations (
    id UUID PRIMARY KEY,
    customer_id BIGINT NOT NULL REFERENCES customers (id),
    state TEXT NOT NULL CHECK (state IN ('PENDING', 'DONE', 'FAILED')),
    plan_sealed BYTEA,
    card_id BIGINT,
    error TEXT,
    created_at_ms BIGINT NOT NULL
);
CREATE INDEX operations_pending ON operations (created_at_ms) WHERE state = 'PENDING';
