/** What the tables keep by themselves, as SQLite's triggers do: counts that would have to read every device, what is never changed, and who hears of it. */
export const COUNTS = `
CREATE FUNCTION device_is_counted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  was_up boolean := false;
  is_up boolean := NEW.tunnel_at IS NOT NULL AND NEW.tunnel_ended IS NULL;
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO group_size (gid, devices) VALUES (NEW.gid, 1) ON CONFLICT (gid) DO UPDATE SET devices = group_size.devices + 1;
    INSERT INTO arrival VALUES (NEW.gid, NEW.created / 60000, 1) ON CONFLICT (gid, minute) DO UPDATE SET devices = arrival.devices + 1;
  ELSE
    was_up := OLD.tunnel_at IS NOT NULL AND OLD.tunnel_ended IS NULL;
    IF was_up <> is_up OR OLD.banned <> NEW.banned OR OLD.evicted <> NEW.evicted OR (OLD.retired IS NULL AND NEW.retired IS NOT NULL) THEN
      UPDATE group_size SET
        connected = connected + is_up::int - was_up::int,
        banned = banned + NEW.banned - OLD.banned,
        evicted = evicted + NEW.evicted - OLD.evicted,
        "both" = "both" + NEW.banned * NEW.evicted - OLD.banned * OLD.evicted,
        retired = retired + (OLD.retired IS NULL AND NEW.retired IS NOT NULL)::int
      WHERE gid = NEW.gid;
    END IF;
    IF OLD.country IS NOT DISTINCT FROM NEW.country AND OLD.place IS NOT DISTINCT FROM NEW.place THEN
      RETURN NULL;
    END IF;
    IF OLD.country IS DISTINCT FROM NEW.country THEN
      UPDATE device_country SET devices = devices - 1 WHERE owner = OLD.owner AND country = OLD.country;
    END IF;
    IF OLD.place IS DISTINCT FROM NEW.place THEN
      UPDATE device_place SET devices = devices - 1 WHERE owner = OLD.owner AND place = OLD.place;
      DELETE FROM device_place WHERE owner = OLD.owner AND place = OLD.place AND devices = 0;
    END IF;
  END IF;
  IF NEW.country IS NOT NULL AND (TG_OP = 'INSERT' OR OLD.country IS DISTINCT FROM NEW.country) THEN
    INSERT INTO device_country VALUES (NEW.owner, NEW.country, 1)
      ON CONFLICT (owner, country) DO UPDATE SET devices = device_country.devices + 1;
  END IF;
  IF NEW.place IS NOT NULL AND (TG_OP = 'INSERT' OR OLD.place IS DISTINCT FROM NEW.place) THEN
    INSERT INTO device_place VALUES (NEW.owner, NEW.place, 1)
      ON CONFLICT (owner, place) DO UPDATE SET devices = device_place.devices + 1;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER device_arrives AFTER INSERT ON device FOR EACH ROW EXECUTE FUNCTION device_is_counted();
CREATE TRIGGER device_changes AFTER UPDATE OF tunnel_at, tunnel_ended, banned, evicted, retired, country, place ON device
  FOR EACH ROW EXECUTE FUNCTION device_is_counted();

CREATE FUNCTION device_is_uncounted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE group_size SET devices = devices - 1 WHERE gid = OLD.gid;
  RETURN NULL;
END $$;
CREATE TRIGGER device_goes AFTER DELETE ON device FOR EACH ROW EXECUTE FUNCTION device_is_uncounted();

CREATE FUNCTION is_never_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME;
END $$;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION is_never_changed();
CREATE TRIGGER handshake_is_append_only
  BEFORE UPDATE OF id, at, suite, gid, pseudonym, proven, result, address, country, owner ON handshake
  FOR EACH ROW EXECUTE FUNCTION is_never_changed();

CREATE FUNCTION change_is_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('enf_change', '');
  RETURN NULL;
END $$;
CREATE TRIGGER change_is_told AFTER INSERT ON change FOR EACH STATEMENT EXECUTE FUNCTION change_is_told();
`;
