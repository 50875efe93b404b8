/**
 * Names and notes of devices in small letters, as the search has them (search/texts.ts): in the order of ids, and many to a page, since a search may look at a
 * thousand of them.
 *
 * They are collected and indexed while everybody reads and writes. Then nobody writes, by the lock that nodes take before any other (commit-queue.ts), until rows that
 * transactions have written since (`enf.since` is the oldest that had not ended then) are collected, too: a second with a million devices. None is ever deleted. Nobody
 * reads only while the former indexes are dropped.
 */
export const TEXTS = `
ALTER INDEX device_text RENAME TO device_text_former;
CREATE TABLE device_text (id bigint PRIMARY KEY, text text COLLATE "C" NOT NULL);
SELECT set_config('enf.since', pg_snapshot_xmin(pg_current_snapshot())::text, true);
INSERT INTO device_text SELECT id, described(name, note) FROM device WHERE name IS NOT NULL OR note IS NOT NULL ORDER BY id;
CREATE INDEX device_text_trigrams ON device_text USING gin (text gin_trgm_ops);
SET LOCAL lock_timeout = '1min';
SELECT pg_advisory_xact_lock(hashtextextended('enf', 0));
LOCK TABLE device IN SHARE ROW EXCLUSIVE MODE;
RESET lock_timeout;
INSERT INTO device_text SELECT id, described(name, note) FROM device
  WHERE age(xmin) <= age(current_setting('enf.since')::xid8::xid) AND (name IS NOT NULL OR note IS NOT NULL)
  ON CONFLICT (id) DO UPDATE SET text = excluded.text;
DELETE FROM device_text USING device
  WHERE age(device.xmin) <= age(current_setting('enf.since')::xid8::xid) AND name IS NULL AND note IS NULL AND device_text.id = device.id;
ALTER TABLE device_text ADD FOREIGN KEY (id) REFERENCES device (id) ON DELETE CASCADE;
CREATE FUNCTION device_is_described() RETURNS trigger LANGUAGE plpgsql SET search_path = enf, pg_temp AS $$
BEGIN
  IF NEW.name IS NULL AND NEW.note IS NULL THEN
    DELETE FROM device_text WHERE id = NEW.id;
  ELSE
    INSERT INTO device_text VALUES (NEW.id, described(NEW.name, NEW.note)) ON CONFLICT (id) DO UPDATE SET text = excluded.text;
  END IF;
  RETURN NULL;
END $$;
DO $$ DECLARE kept text; BEGIN
  -- triggers write with the rights of whoever names a device, before the last step has given all of them
  FOR kept IN SELECT DISTINCT name FROM grantee JOIN pg_catalog.pg_roles ON rolname = name LOOP
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON device_text TO %I', kept);
  END LOOP;
END $$;
CREATE TRIGGER device_arrives_described AFTER INSERT ON device
  FOR EACH ROW WHEN (NEW.name IS NOT NULL OR NEW.note IS NOT NULL) EXECUTE FUNCTION device_is_described();
CREATE TRIGGER device_is_described AFTER UPDATE OF name, note ON device
  FOR EACH ROW WHEN (NEW.name IS DISTINCT FROM OLD.name OR NEW.note IS DISTINCT FROM OLD.note) EXECUTE FUNCTION device_is_described();
`;

/** Nobody may read devices meanwhile, which takes a moment: a step of its own, that is tried again without the work before if somebody reads them for long. */
export const FORMER_TEXTS = 'DROP INDEX device_text_former; DROP INDEX device_text_order;';
