/**
 * Names and notes of devices in small letters, as the search has them (search/texts.ts): in the order of ids, and many to a page, since a search may look at a
 * thousand of them.
 *
 * They are collected and indexed, which takes half a minute for a million devices, while everybody reads and writes. Then nobody writes for a second, by the lock that
 * nodes take before any other (commit-queue.ts), until what was written meanwhile is there, too. Nobody reads only while the former indexes are dropped.
 */
export const TEXTS = `
ALTER INDEX device_text RENAME TO device_text_former;
CREATE TABLE device_text (id bigint PRIMARY KEY, text text COLLATE "C" NOT NULL);
INSERT INTO device_text SELECT id, described(name, note) FROM device WHERE name IS NOT NULL OR note IS NOT NULL ORDER BY id;
CREATE INDEX device_text_trigrams ON device_text USING gin (text gin_trgm_ops);
SET LOCAL lock_timeout = '1min';
SELECT pg_advisory_xact_lock(hashtextextended('enf', 0));
RESET lock_timeout;
LOCK TABLE device IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO device_text SELECT id, described(name, note) FROM device LEFT JOIN device_text USING (id)
  WHERE (name IS NOT NULL OR note IS NOT NULL) AND text IS DISTINCT FROM described(name, note)
  ON CONFLICT (id) DO UPDATE SET text = excluded.text;
DELETE FROM device_text WHERE NOT EXISTS
  (SELECT FROM device WHERE device.id = device_text.id AND (name IS NOT NULL OR note IS NOT NULL));
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
CREATE TRIGGER device_arrives_described AFTER INSERT ON device
  FOR EACH ROW WHEN (NEW.name IS NOT NULL OR NEW.note IS NOT NULL) EXECUTE FUNCTION device_is_described();
CREATE TRIGGER device_is_described AFTER UPDATE OF name, note ON device
  FOR EACH ROW WHEN (NEW.name IS DISTINCT FROM OLD.name OR NEW.note IS DISTINCT FROM OLD.note) EXECUTE FUNCTION device_is_described();
DROP INDEX device_text_former;
DROP INDEX device_text_order;
`;
