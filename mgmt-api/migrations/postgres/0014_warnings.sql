-- How many days before its end a certificate's owner was told last. Source: requirements #47.
ALTER TABLE client_certificates ADD COLUMN warned_days BIGINT;
