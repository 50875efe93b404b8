/** Keeps who may write no keys of devices, a router, to what its duty takes: certificates of owners' CAs, and the end that a device has asked for. */
export const GUARD = `
CREATE FUNCTION device_is_guarded() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  -- a certificate of an owner's CA has no key here (registry/pki.ts), and a group of its own
  vouched boolean := NEW.longterm_key = decode(repeat('00', 65), 'hex')
    AND EXISTS (SELECT 1 FROM grp WHERE gid = NEW.gid AND anchor IS NOT NULL);
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF vouched THEN RETURN NEW; END IF;
    RAISE insufficient_privilege USING MESSAGE = 'permission denied to admit a device';
  END IF;
  IF OLD.retired IS NOT NULL THEN
    RAISE insufficient_privilege USING MESSAGE = 'permission denied to change a device that is retired';
  END IF;
  IF NEW.retired IS NULL AND (NEW.banned <> OLD.banned OR (NOT vouched AND (NEW.evicted <> OLD.evicted OR NEW.gid <> OLD.gid))) THEN
    RAISE insufficient_privilege USING MESSAGE = 'permission denied to change what is decided about a device';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER device_is_guarded BEFORE INSERT OR UPDATE OF gid, banned, evicted, retired ON device
  FOR EACH ROW WHEN (NOT has_column_privilege('enf.device'::regclass, 'longterm_key', 'UPDATE')) EXECUTE FUNCTION device_is_guarded();
CREATE TABLE grantee (
  duty text COLLATE "C" PRIMARY KEY CHECK (duty IN ('identity', 'router', 'console')),
  name text COLLATE "C" NOT NULL
);
`;

/** What it asks the tables of the schema for it asks those: a temporary table of that name, which anybody may make, would come before them. */
export const GUARD_BY_SCHEMA = 'ALTER FUNCTION device_is_guarded() SET search_path = enf, pg_temp;';
