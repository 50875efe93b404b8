import type { Migration } from './migration.ts';

/** From version 14 on. */
export const MIGRATIONS_3: readonly Migration[] = [
  {
    name: 'accounts that were removed',
    sql: `
      -- when its person gave it up: it is nobody's then, and stays known, so that a domain that is let in does not let it in again
      ALTER TABLE account ADD COLUMN unlinked INTEGER;
      DROP INDEX account_of_person;
      CREATE UNIQUE INDEX account_of_person ON account (person, issuer) WHERE unlinked IS NULL;
      CREATE INDEX account_unlinked ON account (person, unlinked) WHERE unlinked IS NOT NULL;
    `,
  },
  {
    name: 'owners',
    // Whose a row is it says in a column that is 1 where it was not written: no table is rewritten. Rows of the first owner are in no index of
    // owners, so that its admissions write none.
    sql: `
      CREATE TABLE owner (
        id       INTEGER PRIMARY KEY AUTOINCREMENT,
        name     TEXT NOT NULL UNIQUE,
        status   TEXT NOT NULL CHECK (status IN ('active', 'closed')),
        created  INTEGER NOT NULL
      ) STRICT;
      INSERT INTO owner SELECT 1, 'default', 'active', coalesce(min(applied), 0) FROM migration;

      -- prefixes that the host has lent an owner; none lies in another one
      CREATE TABLE space (
        prefix  BLOB PRIMARY KEY CHECK (length(prefix) = 16),
        length  INTEGER NOT NULL,
        owner   INTEGER NOT NULL REFERENCES owner (id)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX space_of_owner ON space (owner);

      -- what a person is at an owner; whoever runs the host is nothing there
      CREATE TABLE membership (
        person      INTEGER NOT NULL REFERENCES person (id),
        owner       INTEGER NOT NULL REFERENCES owner (id),
        role        TEXT NOT NULL,
        created_by  TEXT NOT NULL,
        created     INTEGER NOT NULL,
        PRIMARY KEY (person, owner)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX membership_of_owner ON membership (owner, person);
      INSERT INTO membership SELECT id, 1, role, created_by, created FROM person WHERE role <> 'host';
      ALTER TABLE person ADD COLUMN host INTEGER NOT NULL DEFAULT 0;
      UPDATE person SET host = 1 WHERE role = 'host';
      ALTER TABLE person DROP COLUMN role;

      -- 0: the host's, or nobody's
      ALTER TABLE network ADD COLUMN owner INTEGER NOT NULL DEFAULT 1;
      ALTER TABLE grp ADD COLUMN owner INTEGER NOT NULL DEFAULT 1;
      ALTER TABLE device ADD COLUMN owner INTEGER NOT NULL DEFAULT 1;
      ALTER TABLE handshake ADD COLUMN owner INTEGER NOT NULL DEFAULT 1;
      ALTER TABLE audit ADD COLUMN owner INTEGER NOT NULL DEFAULT 1;
      ALTER TABLE alarm ADD COLUMN owner INTEGER NOT NULL DEFAULT 1;
      ALTER TABLE hook ADD COLUMN owner INTEGER NOT NULL DEFAULT 1;
      ALTER TABLE token ADD COLUMN owner INTEGER NOT NULL DEFAULT 1;
      ALTER TABLE invite ADD COLUMN owner INTEGER NOT NULL DEFAULT 1;
      UPDATE token SET owner = 0 WHERE role = 'host';
      UPDATE invite SET owner = 0 WHERE role = 'host';
      UPDATE alarm SET owner = 0 WHERE kind IN
        ('group.knocking', 'fleet.dropped', 'certificate.expiring', 'registry.behind', 'disk.full-soon', 'backup.old');

      CREATE INDEX network_of_owner ON network (owner, id);
      CREATE INDEX group_of_owner ON grp (owner, created, gid);
      CREATE INDEX device_of_owner ON device (owner, id) WHERE owner > 1;
      CREATE INDEX handshake_of_owner ON handshake (owner, id) WHERE owner > 1;
      CREATE INDEX audit_of_owner ON audit (owner, seq) WHERE owner > 1;
      -- a name is one device's of each owner
      DROP INDEX device_name;
      CREATE UNIQUE INDEX device_name ON device (name, owner) WHERE name IS NOT NULL;

      DROP TRIGGER handshake_is_append_only;
      CREATE TRIGGER handshake_is_append_only
        BEFORE UPDATE OF id, at, suite, gid, pseudonym, proven, result, address, country, owner ON handshake
        BEGIN SELECT RAISE (ABORT, 'handshakes are never changed'); END;

      -- numbers of each owner
      ALTER TABLE group_size ADD COLUMN evicted INTEGER NOT NULL DEFAULT 0;
      UPDATE group_size SET evicted = n FROM
        (SELECT gid AS of_group, count(*) AS n FROM device WHERE evicted = 1 GROUP BY gid) WHERE gid = of_group;
      CREATE TRIGGER device_is_evicted AFTER UPDATE OF evicted ON device WHEN OLD.evicted <> NEW.evicted
        BEGIN UPDATE group_size SET evicted = evicted + NEW.evicted - OLD.evicted WHERE gid = NEW.gid; END;

      DROP TRIGGER device_comes_from;
      DROP TRIGGER device_moves;
      ALTER TABLE device_country RENAME TO former_country;
      CREATE TABLE device_country (
        owner    INTEGER NOT NULL,
        country  TEXT NOT NULL,
        devices  INTEGER NOT NULL,
        PRIMARY KEY (owner, country)
      ) STRICT, WITHOUT ROWID;
      INSERT INTO device_country SELECT 1, country, devices FROM former_country;
      DROP TABLE former_country;
      CREATE TRIGGER device_comes_from AFTER INSERT ON device WHEN NEW.country IS NOT NULL
        BEGIN INSERT INTO device_country VALUES (NEW.owner, NEW.country, 1) ON CONFLICT DO UPDATE SET devices = devices + 1; END;
      CREATE TRIGGER device_moves AFTER UPDATE OF country ON device WHEN OLD.country IS NOT NEW.country BEGIN
        UPDATE device_country SET devices = devices - 1 WHERE owner = OLD.owner AND country = OLD.country;
        INSERT INTO device_country SELECT NEW.owner, NEW.country, 1 WHERE NEW.country IS NOT NULL
          ON CONFLICT DO UPDATE SET devices = devices + 1;
      END;

      ALTER TABLE handshake_hour RENAME TO former_hour;
      CREATE TABLE handshake_hour (
        hour     INTEGER NOT NULL,
        owner    INTEGER NOT NULL,
        country  TEXT NOT NULL,
        ok       INTEGER NOT NULL,
        times    INTEGER NOT NULL,
        PRIMARY KEY (hour, owner, country, ok)
      ) STRICT, WITHOUT ROWID;
      INSERT INTO handshake_hour SELECT hour, 1, country, ok, times FROM former_hour;
      DROP TABLE former_hour;
    `,
  },
  {
    name: 'admissions without scattered indexes',
    sql: `
      -- an admission writes a page of each index whose order is not that of time: the last group of an address is searched for in memory, and that
      -- a device was admitted is found by when
      DROP INDEX device_by_end;
      DROP INDEX audit_of_subject;
      CREATE INDEX audit_of_subject ON audit (subject, seq) WHERE action <> 'device.admit';
      CREATE INDEX audit_of_admissions ON audit (at) WHERE action = 'device.admit';
    `,
  },
  {
    name: 'cities',
    sql: `
      -- where addresses are registered, as a database of cities has said: each of its records once, so it bounds them
      CREATE TABLE place (
        id         INTEGER PRIMARY KEY,
        country    TEXT NOT NULL,
        region     TEXT NOT NULL,
        city       TEXT NOT NULL,
        latitude   REAL NOT NULL,
        longitude  REAL NOT NULL,
        radius_km  REAL NOT NULL,
        UNIQUE (country, region, city, latitude, longitude, radius_km)
      ) STRICT;
      -- of the newest handshake; NULL: no finer than its country
      ALTER TABLE device ADD COLUMN place INTEGER;

      -- how many devices of each owner are where; kept by the triggers
      CREATE TABLE device_place (
        owner    INTEGER NOT NULL,
        place    INTEGER NOT NULL,
        devices  INTEGER NOT NULL,
        PRIMARY KEY (owner, place)
      ) STRICT, WITHOUT ROWID;
      CREATE TRIGGER device_is_placed AFTER INSERT ON device WHEN NEW.place IS NOT NULL
        BEGIN INSERT INTO device_place VALUES (NEW.owner, NEW.place, 1) ON CONFLICT DO UPDATE SET devices = devices + 1; END;
      CREATE TRIGGER device_changes_place AFTER UPDATE OF place ON device WHEN OLD.place IS NOT NEW.place BEGIN
        UPDATE device_place SET devices = devices - 1 WHERE owner = OLD.owner AND place = OLD.place;
        DELETE FROM device_place WHERE owner = OLD.owner AND place = OLD.place AND devices = 0;
        INSERT INTO device_place SELECT NEW.owner, NEW.place, 1 WHERE NEW.place IS NOT NULL ON CONFLICT DO UPDATE SET devices = devices + 1;
      END;
    `,
  },
  {
    name: 'owners apart',
    sql: `
      -- whoever runs the host is told of these, as of the others about the fabric itself
      UPDATE alarm SET owner = 0 WHERE kind IN ('audit.broken', 'places.old');

      -- a group may have been another owner's, of which an alarm is open still
      DROP INDEX alarm_open;
      CREATE UNIQUE INDEX alarm_open ON alarm (kind, subject, owner) WHERE ended IS NULL;

      -- the newest refusals by limits of each owner
      DROP INDEX handshake_beyond_limits;
      CREATE INDEX handshake_beyond_limits ON handshake (owner, id)
        WHERE result IN ('fabric.group-full', 'fabric.country-unexpected');

      -- names that owners have had: whoever still sends one must not reach another owner by it
      CREATE TABLE former_name (
        name   TEXT PRIMARY KEY,
        owner  INTEGER NOT NULL REFERENCES owner (id)
      ) STRICT, WITHOUT ROWID;
    `,
  },
  {
    name: 'names in DNS',
    sql: `
      -- the domain below which the devices of a network have their names
      ALTER TABLE network ADD COLUMN zone TEXT;
    `,
  },
  {
    name: 'rules',
    sql: `
      -- who reaches whom: those of a network are asked in the order of their places, 1 to their number. A key is the id of a group, the address of a
      -- device or the prefix of a network; numbers are not used again
      CREATE TABLE rule (
        id            INTEGER PRIMARY KEY AUTOINCREMENT,
        network       INTEGER NOT NULL REFERENCES network (id),
        place         INTEGER NOT NULL,
        action        TEXT NOT NULL CHECK (action IN ('allow', 'deny')),
        direction     TEXT NOT NULL CHECK (direction IN ('in', 'out')),
        devices_kind  TEXT NOT NULL CHECK (devices_kind IN ('any', 'group', 'device')),
        devices_key   BLOB,
        other_kind    TEXT NOT NULL CHECK (other_kind IN ('any', 'group', 'device', 'network', 'host', 'outside')),
        other_key     BLOB,
        protocol      TEXT NOT NULL CHECK (protocol IN ('any', 'tcp', 'udp', 'icmpv6')),
        first_port    INTEGER,
        last_port     INTEGER,
        note          TEXT,
        created       INTEGER NOT NULL,
        CHECK ((first_port IS NULL) = (last_port IS NULL))
      ) STRICT;
      CREATE INDEX rule_of_network ON rule (network, place);
      CREATE INDEX rule_for ON rule (devices_key) WHERE devices_key IS NOT NULL;
      CREATE INDEX rule_with ON rule (other_key) WHERE other_key IS NOT NULL;
    `,
  },
  {
    name: 'cities of handshakes',
    sql: `
      -- where the address of each was registered, as finely as the city of a device; NULL: no finer than its country
      ALTER TABLE handshake ADD COLUMN place INTEGER;
    `,
  },
  {
    name: 'rosters',
    sql: `
      -- NULL: a group without a roster; 0: one is awaited, and nobody gets in until then; else the roster that is in force
      ALTER TABLE grp ADD COLUMN roster INTEGER;
      -- the maker whose rosters alone are taken: what its key is known by
      ALTER TABLE grp ADD COLUMN maker BLOB CHECK (length(maker) = 32);

      -- gid: NULL of one that was taken away, whose rows go little by little; received_hash: of the bytes that have come so far;
      -- indexed: rows whose keys can be found; counted: devices of the group that were looked for, by their number; outside: those not in it
      CREATE TABLE roster (
        id             INTEGER PRIMARY KEY AUTOINCREMENT,
        gid            BLOB CHECK (length(gid) = 32),
        maker          BLOB NOT NULL CHECK (length(maker) = 32),
        sha256         BLOB NOT NULL CHECK (length(sha256) = 32),
        bytes          INTEGER NOT NULL,
        devices        INTEGER NOT NULL,
        unnamed        INTEGER NOT NULL,
        per_box        INTEGER,
        names          INTEGER NOT NULL,
        created        INTEGER NOT NULL,
        received       INTEGER NOT NULL DEFAULT 0,
        received_hash  BLOB,
        lines          INTEGER NOT NULL DEFAULT 0,
        whole          INTEGER NOT NULL DEFAULT 0,
        indexed        INTEGER NOT NULL DEFAULT 0,
        counted        INTEGER NOT NULL DEFAULT 0,
        outside        INTEGER NOT NULL DEFAULT 0,
        banned         INTEGER NOT NULL DEFAULT 0,
        in_force       INTEGER
      ) STRICT;
      -- those whom a roster keeps out, too
      DROP INDEX handshake_beyond_limits;
      CREATE INDEX handshake_beyond_limits ON handshake (owner, id)
        WHERE result IN ('fabric.group-full', 'fabric.country-unexpected', 'fabric.not-on-roster');
      CREATE INDEX handshake_off_roster ON handshake (id) WHERE result = 'fabric.not-on-roster';
      CREATE UNIQUE INDEX roster_of_group ON roster (gid) WHERE gid IS NOT NULL;

      -- in the order of the lines of the file, which is that of the boxes: rows are only added at the end
      CREATE TABLE roster_row (
        roster     INTEGER NOT NULL,
        line       INTEGER NOT NULL,
        pseudonym  BLOB,
        serial     TEXT,
        resident   INTEGER,
        banned     INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (roster, line)
      ) STRICT, WITHOUT ROWID;
      -- by the first bytes of the pseudonym behind its 04; written in runs that are sorted, when all rows are there
      CREATE TABLE roster_key (
        roster  INTEGER NOT NULL,
        key     BLOB NOT NULL,
        line    INTEGER NOT NULL,
        PRIMARY KEY (roster, key)
      ) STRICT, WITHOUT ROWID;
      -- by the serial number, as they are ordered
      CREATE TABLE roster_serial (
        roster  INTEGER NOT NULL,
        key     TEXT NOT NULL,
        line    INTEGER NOT NULL,
        PRIMARY KEY (roster, key, line)
      ) STRICT, WITHOUT ROWID;
    `,
  },
  {
    name: 'existing PKI',
    sql: `
      -- CAs of owners: DER; others: intermediates, one behind the other; one that was removed stays, for the groups of its devices
      CREATE TABLE anchor (
        id           INTEGER PRIMARY KEY AUTOINCREMENT,
        owner        INTEGER NOT NULL REFERENCES owner (id),
        name         TEXT NOT NULL,
        certificate  BLOB NOT NULL,
        others       BLOB NOT NULL,
        fingerprint  BLOB NOT NULL CHECK (length(fingerprint) = 32),
        subject      TEXT NOT NULL,
        not_after    INTEGER NOT NULL,
        admits       TEXT NOT NULL CHECK (admits IN ('listed', 'anybody')),
        listed       INTEGER NOT NULL DEFAULT 0,
        revoked      INTEGER NOT NULL DEFAULT 0,
        created      INTEGER NOT NULL,
        removed      INTEGER
      ) STRICT;
      CREATE UNIQUE INDEX anchor_of_owner ON anchor (owner, fingerprint) WHERE removed IS NULL;
      -- the devices that a CA admits to a network are a group; NULL: a group of TPMs
      ALTER TABLE grp ADD COLUMN anchor INTEGER;
      CREATE INDEX group_of_anchor ON grp (anchor) WHERE anchor IS NOT NULL;

      -- which certificate may have an address, or has it; NULL: whatever it is
      CREATE TABLE listed_device (
        anchor   INTEGER NOT NULL REFERENCES anchor (id),
        address  BLOB NOT NULL CHECK (length(address) = 16),
        subject  TEXT,
        serial   BLOB,
        spki     BLOB CHECK (length(spki) = 32),
        PRIMARY KEY (anchor, address)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX listed_by_spki ON listed_device (spki) WHERE spki IS NOT NULL;
      CREATE INDEX listed_by_serial ON listed_device (serial) WHERE serial IS NOT NULL;
      CREATE INDEX listed_by_subject ON listed_device (subject) WHERE subject IS NOT NULL;

      -- issuer: SHA-256 of its name, or empty for what an owner has revoked, whoever issued it
      CREATE TABLE revoked_certificate (
        anchor  INTEGER NOT NULL REFERENCES anchor (id),
        issuer  BLOB NOT NULL,
        serial  BLOB NOT NULL,
        at      INTEGER NOT NULL,
        reason  TEXT NOT NULL,
        PRIMARY KEY (anchor, issuer, serial)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE revocation_list (
        anchor       INTEGER NOT NULL REFERENCES anchor (id),
        issuer       BLOB NOT NULL,
        this_update  INTEGER NOT NULL,
        next_update  INTEGER,
        PRIMARY KEY (anchor, issuer)
      ) STRICT, WITHOUT ROWID;

      -- what a device has shown last
      CREATE TABLE shown_certificate (
        address     BLOB PRIMARY KEY CHECK (length(address) = 16),
        anchor      INTEGER NOT NULL REFERENCES anchor (id),
        serial      BLOB NOT NULL,
        spki        BLOB NOT NULL,
        subject     TEXT NOT NULL,
        not_before  INTEGER NOT NULL,
        not_after   INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
    `,
  },
];
