/**
 * Admits a chip that comes for the first time to a group without limits and without a roster, with the same rows as sql/admit.ts writes: what mostly
 * happens takes one statement instead of eight. False: nothing was written, and it is another case. `entry` is the end of the text that an
 * entry of the trail is hashed as (audit-chain.ts), behind its number and time.
 */
export const ADMISSION_FUNCTION = `
CREATE FUNCTION admit_new(
  of_group bytea, of_network bigint, of_owner bigint, its_pseudonym bytea, its_address bytea, its_key bytea,
  now bigint, its_source text, its_country text, its_place bigint, its_suite bigint, its_subject text, its_detail text, entry text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  number bigint;
  previous bytea;
BEGIN
  PERFORM 1 FROM grp JOIN network ON network.id = grp.network
    WHERE gid = of_group AND status = 'active' AND network = of_network AND grp.owner = of_owner AND resident = 0
      AND most IS NULL AND countries IS NULL AND roster IS NULL AND anchor IS NULL AND keys = 0;
  IF NOT FOUND THEN RETURN false; END IF;
  INSERT INTO device (gid, pseudonym, address, longterm_key, created, handshake_at, handshake_from, country, owner, place)
    VALUES (of_group, its_pseudonym, its_address, its_key, now, now, its_source, its_country, of_owner, its_place)
    ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN RETURN false; END IF;
  UPDATE counter SET value = value + 1 WHERE name = 'audit' RETURNING value INTO number;
  SELECT hash INTO previous FROM audit WHERE seq = number - 1;
  INSERT INTO audit (seq, at, actor, action, subject, detail, hash, owner) VALUES (
    number, now, 'fabric', 'device.admit', its_subject, its_detail,
    sha256(coalesce(previous, decode(repeat('00', 32), 'hex')) || convert_to('[' || number || ',' || now || entry, 'UTF8')), of_owner);
  INSERT INTO handshake (at, source, suite, gid, pseudonym, proven, result, address, country, owner, place)
    VALUES (now, its_source, its_suite, of_group, its_pseudonym, 1, 'ok', its_address, its_country, of_owner, its_place);
  INSERT INTO handshake_hour VALUES (now / 3600000, of_owner, coalesce(its_country, ''), 1, 1)
    ON CONFLICT (hour, owner, country, ok) DO UPDATE SET times = handshake_hour.times + 1;
  RETURN true;
END $$;
`;
