/**
 * Admits, in one statement, the chips that wait together: those that come for the first time and are within the limits of their group, and devices that
 * are known and may come; of a group with a roster those that are on it. The rows are those that sql/admit.ts writes for them. It returns the numbers of
 * the chips that it has admitted: it has written nothing for the others, which are another case. Whoever calls it has the turn to write.
 *
 * `chips` is an array of objects with the columns below: `address` is the first one that the chip may have, `subject` the same as text, `detail` what the
 * trail says of its admission. Tables that have just begun have no statistics, and grow faster than those are made: so joins go by indexes, and each by
 * the one that finds a single row, since what is "not distinct" is looked for in none.
 */
const ADMIT_TOGETHER = `
CREATE TYPE applicant AS (
  number bigint, gid bytea, owner bigint, pseudonym bytea, address bytea, key bytea, suite bigint,
  source text, country text, place bigint, subject text, detail text,
  -- what the roster calls one that comes for the first time
  name text,
  -- of those that are known: the row, whether the key is another one, and since when and how often that was noted
  device bigint, rekeyed boolean, since bigint, times bigint
);

CREATE FUNCTION admit_together(now bigint, by text, chips json) RETURNS bigint[] LANGUAGE plpgsql
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  one_day CONSTANT bigint := 86400000;
  rows_kept CONSTANT bigint := 50;
  first_day CONSTANT bigint := now / one_day - 400;
  fresh applicant[];
  known applicant[];
  admitted applicant[];
  rekeyed applicant[];
  told applicant[];
  chip applicant;
  written bigint;
  entries bigint;
  changes bigint;
  hash bytea;
  hashes bytea[] := '{}';
BEGIN
  SELECT array_agg(it ORDER BY (it).number) FILTER (WHERE (it).device IS NULL), array_agg(it ORDER BY (it).number) FILTER (WHERE (it).device IS NOT NULL)
    INTO fresh, known
    FROM (
      SELECT ROW(
        come.number, come.gid, come.owner, come.pseudonym, come.address, come.key, come.suite,
        come.source, come.country, place.id, come.subject,
        CASE WHEN given.name IS NULL THEN come.detail ELSE left(come.detail, -1) || ',"name":"' || given.name || '"}' END, given.name,
        device.id, device.longterm_key <> come.key,
        CASE WHEN abs(now - noted.since) < one_day THEN noted.since ELSE now END, CASE WHEN abs(now - noted.since) < one_day THEN noted.times + 1 ELSE 1 END
      )::applicant AS it
      FROM (
        SELECT DISTINCT ON (gid, pseudonym) *, count(*) OVER (PARTITION BY gid) AS of_group FROM json_to_recordset(chips) AS each (
          number bigint, gid bytea, network bigint, owner bigint, pseudonym bytea, address bytea, key bytea, suite bigint,
          source text, country text, subject text, detail text,
          located boolean, city_country text, region text, city text, latitude double precision, longitude double precision, radius_km double precision
        ) ORDER BY gid, pseudonym, number
      ) AS come
      JOIN grp ON grp.gid = come.gid AND grp.network IS NOT DISTINCT FROM come.network AND grp.owner IS NOT DISTINCT FROM come.owner
      JOIN network ON network.id = grp.network
      LEFT JOIN group_size AS size ON size.gid = come.gid
      LEFT JOIN roster ON roster.id = grp.roster
      LEFT JOIN roster_key ON roster_key.roster = grp.roster AND roster_key.key = substr(come.pseudonym, 2, 8)
      LEFT JOIN roster_row AS listed ON listed.roster = roster_key.roster AND listed.line = roster_key.line AND listed.pseudonym = come.pseudonym
      LEFT JOIN place ON (place.country, place.region, place.city, place.latitude, place.longitude, place.radius_km)
        = (come.city_country, come.region, come.city, come.latitude, come.longitude, come.radius_km)
      LEFT JOIN device ON device.address = come.address
      LEFT JOIN LATERAL (
        SELECT serial_name(listed.serial) AS name WHERE device.id IS NULL AND roster.names <> 0
          AND NOT EXISTS (SELECT FROM device AS other WHERE other.name = serial_name(listed.serial) AND other.owner = come.owner)
      ) AS given ON true
      LEFT JOIN noted ON noted.address = device.address AND noted.action = 'device.rekey'
      WHERE grp.status = 'active' AND grp.anchor IS NULL AND grp.keys = 0
        AND (grp.roster IS NULL OR listed.line IS NOT NULL) AND (network.resident = 0 OR listed.resident = 1)
        AND (place.id IS NOT NULL OR NOT come.located)
        AND CASE
          WHEN device.id IS NULL THEN coalesce(listed.banned, 0) = 0
            AND (grp.most IS NULL OR coalesce(size.devices - size.retired, 0) + come.of_group <= grp.most)
            AND (grp.countries IS NULL OR coalesce(come.country, 'unknown') = ANY (string_to_array(grp.countries, ',')))
          ELSE device.gid = come.gid AND device.pseudonym = come.pseudonym AND device.banned = 0 AND device.evicted = 0 AND device.retired IS NULL
            AND ((device.country = come.country) IS NOT FALSE OR 'private' IN (device.country, come.country) OR now - device.handshake_at >= one_day)
            -- an entry that says how many were left out before
            AND NOT coalesce(device.longterm_key <> come.key AND abs(now - noted.since) >= one_day AND noted.times > 3, false)
        END
    ) AS found;

  IF fresh IS NOT NULL THEN
    INSERT INTO device (gid, pseudonym, address, longterm_key, created, handshake_at, handshake_from, country, owner, place, name)
      SELECT it.gid, it.pseudonym, it.address, it.key, now, now, it.source, it.country, it.owner, it.place, it.name FROM unnest(fresh) AS it ORDER BY it.number
      ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written < cardinality(fresh) THEN
      -- another one of these has the address or the name, or the chip has another address
      SELECT array_agg(it ORDER BY it.number) INTO fresh FROM unnest(fresh) AS it JOIN device ON device.address = it.address
        AND device.gid IS NOT DISTINCT FROM it.gid AND device.pseudonym IS NOT DISTINCT FROM it.pseudonym;
    END IF;
  END IF;
  admitted := fresh || known;
  IF admitted IS NULL THEN RETURN '{}'; END IF;

  IF known IS NOT NULL THEN
    UPDATE device SET longterm_key = it.key, handshake_at = now, handshake_from = it.source, country = it.country, place = it.place
      FROM unnest(known) AS it WHERE device.id = it.device;
    SELECT array_agg(it ORDER BY it.number) INTO rekeyed FROM unnest(known) AS it WHERE it.rekeyed;
  END IF;
  IF rekeyed IS NOT NULL THEN
    UPDATE counter SET value = value + cardinality(rekeyed) WHERE name = 'change' RETURNING value - cardinality(rekeyed) INTO changes;
    INSERT INTO change SELECT changes + it.ordinality, 'device', it.address FROM unnest(rekeyed) WITH ORDINALITY AS it;
    INSERT INTO noted SELECT it.address, 'device.rekey', it.since, it.times FROM unnest(rekeyed) AS it
      ON CONFLICT (address, action) DO UPDATE SET since = excluded.since, times = excluded.times;
  END IF;

  SELECT array_agg(it ORDER BY it.number) INTO told FROM unnest(admitted) AS it WHERE it.device IS NULL OR (it.rekeyed AND it.times <= 3);
  IF told IS NOT NULL THEN
    UPDATE counter SET value = value + cardinality(told) WHERE name = 'audit' RETURNING value - cardinality(told) INTO entries;
    hash := coalesce((SELECT last.hash FROM audit AS last WHERE last.seq = entries), decode(repeat('00', 32), 'hex'));
    FOREACH chip IN ARRAY told LOOP
      hash := sha256(hash || convert_to('[' || entries + cardinality(hashes) + 1 || ',' || now || ',' || to_json(by) || ','
        || CASE WHEN chip.device IS NULL THEN '"device.admit","' || chip.subject || '",' || to_json(chip.detail)
           ELSE '"device.rekey","' || chip.subject || '","{\\"rekeyed\\":true}"' END || ']', 'UTF8'));
      hashes := hashes || hash;
    END LOOP;
    INSERT INTO audit (seq, at, actor, action, subject, detail, hash, owner)
      SELECT entries + it.ordinality, now, by, CASE WHEN it.device IS NULL THEN 'device.admit' ELSE 'device.rekey' END, it.subject,
        CASE WHEN it.device IS NULL THEN it.detail ELSE '{"rekeyed":true}' END, hashes[it.ordinality], it.owner
      FROM unnest(told) WITH ORDINALITY AS it;
  END IF;

  INSERT INTO handshake (at, source, suite, gid, pseudonym, proven, result, address, country, owner, place)
    SELECT now, it.source, it.suite, it.gid, it.pseudonym, 1, 'ok', it.address, it.country, it.owner, it.place FROM unnest(admitted) AS it ORDER BY it.number;
  INSERT INTO handshake_hour SELECT now / 3600000, it.owner, coalesce(it.country, ''), 1, count(*) FROM unnest(admitted) AS it GROUP BY 2, 3
    ON CONFLICT (hour, owner, country, ok) DO UPDATE SET times = handshake_hour.times + excluded.times;
  IF known IS NOT NULL THEN
    WITH surplus AS (
      SELECT it.gid, it.pseudonym, oldest.id FROM unnest(known) AS it CROSS JOIN LATERAL (
        SELECT id FROM handshake WHERE handshake.gid = it.gid AND handshake.pseudonym = it.pseudonym ORDER BY id DESC LIMIT 1 OFFSET rows_kept
      ) AS oldest
    ), removed AS (
      DELETE FROM handshake USING surplus
        WHERE handshake.gid = surplus.gid AND handshake.pseudonym = surplus.pseudonym AND handshake.id <= surplus.id
        RETURNING handshake.gid, handshake.pseudonym, at, result, proven = 1 AND result <> 'fabric.not-on-roster' AS own
    ), forgotten AS (
      DELETE FROM handshake_day USING surplus
        WHERE handshake_day.gid = surplus.gid AND handshake_day.pseudonym = surplus.pseudonym AND day < first_day
    )
    INSERT INTO handshake_day
      SELECT CASE WHEN own THEN gid ELSE '' END, CASE WHEN own THEN pseudonym ELSE '' END, at / one_day, result, count(*), min(at), max(at)
        FROM removed WHERE at / one_day >= first_day OR NOT own GROUP BY 1, 2, 3, 4
      ON CONFLICT (gid, pseudonym, day, result) DO UPDATE SET times = handshake_day.times + excluded.times,
        first = least(handshake_day.first, excluded.first), last = greatest(handshake_day.last, excluded.last);
  END IF;
  RETURN ARRAY(SELECT it.number FROM unnest(admitted) AS it);
END $$;
`;

/** Devices are counted once for each statement that brings some, and those that change only where a count does. */
const COUNTED_TOGETHER = `
CREATE FUNCTION devices_are_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO group_size (gid, devices) SELECT gid, count(*) FROM arrived GROUP BY gid
    ON CONFLICT (gid) DO UPDATE SET devices = group_size.devices + excluded.devices;
  INSERT INTO arrival SELECT gid, created / 60000, count(*) FROM arrived GROUP BY 1, 2
    ON CONFLICT (gid, minute) DO UPDATE SET devices = arrival.devices + excluded.devices;
  INSERT INTO device_country SELECT owner, country, count(*) FROM arrived WHERE country IS NOT NULL GROUP BY 1, 2
    ON CONFLICT (owner, country) DO UPDATE SET devices = device_country.devices + excluded.devices;
  INSERT INTO device_place SELECT owner, place, count(*) FROM arrived WHERE place IS NOT NULL GROUP BY 1, 2
    ON CONFLICT (owner, place) DO UPDATE SET devices = device_place.devices + excluded.devices;
  RETURN NULL;
END $$;
DROP TRIGGER device_arrives ON device;
CREATE TRIGGER device_arrives AFTER INSERT ON device REFERENCING NEW TABLE AS arrived FOR EACH STATEMENT EXECUTE FUNCTION devices_are_counted();
DROP TRIGGER device_changes ON device;
CREATE TRIGGER device_changes AFTER UPDATE OF tunnel_at, tunnel_ended, banned, evicted, retired, country, place ON device FOR EACH ROW
  WHEN ((OLD.tunnel_at, OLD.tunnel_ended, OLD.banned, OLD.evicted, OLD.retired, OLD.country, OLD.place)
    IS DISTINCT FROM (NEW.tunnel_at, NEW.tunnel_ended, NEW.banned, NEW.evicted, NEW.retired, NEW.country, NEW.place))
  EXECUTE FUNCTION device_is_counted();
`;

/** Programs of the former version admit each chip by the code of both engines once theirs is gone, until they are started anew. */
const FORMER = 'DROP FUNCTION IF EXISTS admit_new;';

export const COUNTED = `${FORMER}${COUNTED_TOGETHER}`;

/** As protocol/serial.ts makes a name of a serial number. */
const SERIAL_NAME = `
CREATE FUNCTION serial_name(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN rtrim(left(regexp_replace(lower($1 COLLATE "C"), '[^a-z0-9]+', '-', 'g'), 63), '-');
`;

export const ADMISSION = `DROP FUNCTION IF EXISTS admit_together; DROP TYPE IF EXISTS applicant;${SERIAL_NAME}${ADMIT_TOGETHER}`;
