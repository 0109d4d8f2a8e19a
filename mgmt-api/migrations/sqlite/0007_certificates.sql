-- A certificate that was revoked by hand stays so, whatever the configuration says.
ALTER TABLE client_certificates ADD COLUMN revoked_at_ms INTEGER;
