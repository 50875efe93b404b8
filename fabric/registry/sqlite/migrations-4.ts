import type { Migration } from './migration.ts';

/** From version 24 on. A new step is added at the end. */
export const MIGRATIONS_4: readonly Migration[] = [
  {
    name: 'privacy by owner',
    sql: `
      -- what was chosen for all is the host's choice: it holds for owners who have none of their own
      UPDATE setting SET owner = 0 WHERE name = 'privacy' AND owner = 1;
    `,
  },
  {
    name: 'notes of networks',
    sql: 'ALTER TABLE network ADD COLUMN note TEXT;',
  },
  {
    name: 'registered keys',
    sql: `
      -- 1: its devices have keys that their owner has registered
      ALTER TABLE grp ADD COLUMN keys INTEGER NOT NULL DEFAULT 0;
    `,
  },
  {
    name: 'rate limits',
    sql: `
      -- packets and bytes in a second. kind: 0 the most that the host allows, 1 of each device, 2 of a group, 3 of a device, whose id or address the key is;
      -- 0: any number; NULL: as the kind before says
      CREATE TABLE rate_limit (
        id           INTEGER PRIMARY KEY AUTOINCREMENT,
        network      INTEGER NOT NULL REFERENCES network (id),
        kind         INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 3),
        key          BLOB NOT NULL,
        packets_in   INTEGER,
        bytes_in     INTEGER,
        packets_out  INTEGER,
        bytes_out    INTEGER,
        changed      INTEGER NOT NULL,
        UNIQUE (network, kind, key)
      ) STRICT;
      CREATE INDEX rate_limit_for ON rate_limit (key) WHERE kind = 2;
    `,
  },
  {
    name: 'resident keys',
    sql: `
      -- 1: devices come in only if their roster says that their chips keep their keys
      ALTER TABLE network ADD COLUMN resident INTEGER NOT NULL DEFAULT 0;
    `,
  },
  {
    name: 'keys of makers',
    sql: `
      -- PEM; NULL: it began before it was kept
      ALTER TABLE roster ADD COLUMN maker_key TEXT;
      -- whose rosters have come in force at an owner
      CREATE TABLE maker_key (
        id     INTEGER PRIMARY KEY AUTOINCREMENT,
        owner  INTEGER NOT NULL REFERENCES owner (id),
        maker  BLOB NOT NULL CHECK (length(maker) = 32),
        key    TEXT NOT NULL,
        UNIQUE (owner, maker)
      ) STRICT;
    `,
  },
  {
    name: 'banned and evicted',
    sql: `
      -- how many devices of a group are both; kept by the trigger
      ALTER TABLE group_size ADD COLUMN both INTEGER NOT NULL DEFAULT 0;
      -- a chip that took over an address of another group left its eviction counted there
      UPDATE group_size SET evicted = 0;
      UPDATE group_size SET evicted = n, both = twice FROM
        (SELECT gid AS of_group, count(*) AS n, sum(banned) AS twice FROM device WHERE evicted = 1 GROUP BY gid) WHERE gid = of_group;
      CREATE TRIGGER device_is_both AFTER UPDATE OF banned, evicted ON device WHEN OLD.banned * OLD.evicted <> NEW.banned * NEW.evicted
        BEGIN UPDATE group_size SET both = both + NEW.banned * NEW.evicted - OLD.banned * OLD.evicted WHERE gid = NEW.gid; END;
    `,
  },
  {
    name: 'fetched CRLs',
    sql: `
      -- where the list of revoked certificates of a CA is fetched, when next, and what became of it
      CREATE TABLE list_source (
        anchor    INTEGER PRIMARY KEY REFERENCES anchor (id),
        url       TEXT NOT NULL,
        due       INTEGER NOT NULL,
        fetched   INTEGER,
        failures  INTEGER NOT NULL DEFAULT 0,
        error     TEXT
      ) STRICT;
      CREATE INDEX list_source_by_due ON list_source (due);
    `,
  },
  {
    name: 'issuing CAs',
    sql: `
      -- for how many days its certificates hold, of a CA whose key the fabric has; NULL: of one that its owner has
      ALTER TABLE anchor ADD COLUMN issue_days INTEGER;

      -- SHA-256 of a code, for which a machine of the network gets one certificate: that with the serial number
      CREATE TABLE enrolment_code (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        owner       INTEGER NOT NULL REFERENCES owner (id),
        network     BLOB NOT NULL CHECK (length(network) = 16),
        hash        BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
        name        TEXT,
        address     BLOB CHECK (length(address) = 16),
        created_by  TEXT NOT NULL,
        created     INTEGER NOT NULL,
        expires     INTEGER NOT NULL,
        used        INTEGER,
        serial      BLOB,
        withdrawn   INTEGER
      ) STRICT;
      CREATE INDEX code_of_owner ON enrolment_code (owner, id);
      CREATE INDEX code_by_end ON enrolment_code (expires);
      CREATE INDEX code_by_name ON enrolment_code (owner, name) WHERE name IS NOT NULL;
      CREATE INDEX code_by_address ON enrolment_code (address) WHERE address IS NOT NULL;

      -- lineage: the serial number of the certificate with which the renewals began
      CREATE TABLE issued (
        id             INTEGER PRIMARY KEY AUTOINCREMENT,
        owner          INTEGER NOT NULL REFERENCES owner (id),
        anchor         INTEGER NOT NULL REFERENCES anchor (id),
        address        BLOB NOT NULL CHECK (length(address) = 16),
        serial         BLOB NOT NULL UNIQUE,
        parent_serial  BLOB,
        lineage        BLOB NOT NULL,
        code           INTEGER,
        spki           BLOB NOT NULL CHECK (length(spki) = 32),
        certificate    BLOB NOT NULL,
        created        INTEGER NOT NULL,
        not_after      INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX issued_of_owner ON issued (owner, id);
      CREATE INDEX issued_of_anchor ON issued (anchor, id);
      CREATE INDEX issued_by_address ON issued (address, id);
      CREATE INDEX issued_by_parent ON issued (parent_serial, spki) WHERE parent_serial IS NOT NULL;
      CREATE INDEX issued_by_lineage ON issued (lineage, not_after);
      CREATE INDEX issued_by_end ON issued (not_after);
    `,
  },
  {
    name: 'delegated prefixes',
    sql: `
      -- out of which /64s are delegated to the devices of a network
      CREATE TABLE pool (
        network  INTEGER PRIMARY KEY REFERENCES network (id),
        prefix   BLOB NOT NULL UNIQUE CHECK (length(prefix) = 16),
        length   INTEGER NOT NULL CHECK (length BETWEEN 48 AND 64)
      ) STRICT;
      -- it has a pool, or had one: its devices are told what they have
      ALTER TABLE network ADD COLUMN delegates INTEGER NOT NULL DEFAULT 0;
      -- the id of a group or the address of a device
      CREATE TABLE delegation_grant (
        receiver  BLOB PRIMARY KEY,
        network   INTEGER NOT NULL REFERENCES network (id)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX grant_of_network ON delegation_grant (network);
      -- which of them is whose, also while none is granted; number: its place in the pool
      CREATE TABLE delegation (
        network  INTEGER NOT NULL REFERENCES network (id),
        number   INTEGER NOT NULL,
        prefix   BLOB NOT NULL UNIQUE CHECK (length(prefix) = 16),
        address  BLOB NOT NULL UNIQUE CHECK (length(address) = 16),
        PRIMARY KEY (network, number)
      ) STRICT, WITHOUT ROWID;
    `,
  },
  {
    name: 'certificates of makers',
    sql: `
      -- the first address of the network in which machines with its certificates get one of the fabric's without a code; NULL: in none
      ALTER TABLE anchor ADD COLUMN enrols BLOB CHECK (length(enrols) = 16);
      -- what a maker's certificate has got. lineage: the serial number with which that begins; ended: it gets no other one
      CREATE TABLE maker_enrolment (
        owner    INTEGER NOT NULL REFERENCES owner (id),
        spki     BLOB NOT NULL CHECK (length(spki) = 32),
        serial   BLOB NOT NULL,
        address  BLOB NOT NULL CHECK (length(address) = 16),
        lineage  BLOB NOT NULL,
        ended    INTEGER,
        PRIMARY KEY (owner, spki, serial)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX maker_by_address ON maker_enrolment (address);
      CREATE INDEX maker_by_lineage ON maker_enrolment (lineage);
    `,
  },
  {
    name: 'nodes',
    sql: `
      -- fabrics that serve this registry together; installation: of which there is one process at a time; run: that process; draining: since when devices
      -- are to leave it; tunnels, load: when it was last seen
      CREATE TABLE node (
        id            INTEGER PRIMARY KEY AUTOINCREMENT,
        name          TEXT NOT NULL UNIQUE,
        address       TEXT,
        version       TEXT NOT NULL,
        installation  BLOB NOT NULL CHECK (length(installation) = 32),
        run           BLOB NOT NULL CHECK (length(run) = 16),
        started       INTEGER NOT NULL,
        seen          INTEGER NOT NULL,
        stopped       INTEGER,
        draining      INTEGER,
        tunnels       INTEGER NOT NULL DEFAULT 0,
        load          REAL NOT NULL DEFAULT 0
      ) STRICT;
      -- where the newest tunnel ends, NULL: it is over, or no node has a name; generation: how many tunnels were attached so far
      ALTER TABLE device ADD COLUMN node INTEGER REFERENCES node (id);
      ALTER TABLE device ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
      CREATE INDEX device_at_node ON device (node, id) WHERE node IS NOT NULL;
      -- changes of nodes, too
      CREATE TABLE next_change (
        seq      INTEGER PRIMARY KEY,
        kind     TEXT NOT NULL CHECK (kind IN ('device', 'group', 'network', 'node')),
        subject  BLOB NOT NULL
      ) STRICT;
      INSERT INTO next_change (seq, kind, subject) SELECT seq, kind, subject FROM change;
      DROP TABLE change;
      ALTER TABLE next_change RENAME TO change;
    `,
  },
  {
    name: 'names that a roster gives are found',
    sql: `
      CREATE TRIGGER device_is_named AFTER INSERT ON device WHEN NEW.name IS NOT NULL OR NEW.note IS NOT NULL
        BEGIN INSERT INTO device_text (rowid, name, note) VALUES (NEW.id, NEW.name, NEW.note); END;
      INSERT INTO device_text (rowid, name, note) SELECT id, name, note FROM device
        WHERE (name IS NOT NULL OR note IS NOT NULL) AND id NOT IN (SELECT rowid FROM device_text);
    `,
  },
  // Its index of texts has its rows in that order.
  { name: 'names and notes in the order of their devices', sql: '' },
  {
    name: 'what a node serves',
    sql: `
      -- words of DUTIES (registry/nodes.ts), with commas; those of earlier versions serve all
      ALTER TABLE node ADD COLUMN serves TEXT NOT NULL DEFAULT 'identity,tunnels,console';
    `,
  },
  {
    name: 'nodes whose routes reach no other node',
    // Since when that is so; NULL: it is not.
    sql: 'ALTER TABLE node ADD COLUMN routes_lost INTEGER;',
  },
  // A server's function (postgres/schema/admission.ts): here a statement costs no round trip.
  { name: 'chips are admitted together', sql: '' },
  // In a file nobody has rights of less.
  { name: 'devices are guarded by the tables of the registry', sql: '' },
  {
    name: 'clones at several nodes',
    sql: `
      -- recent_tunnels: as sql/nodes/recent.ts writes them; clones_told: when clones of the device were last told of
      ALTER TABLE device ADD COLUMN recent_tunnels TEXT NOT NULL DEFAULT '';
      ALTER TABLE device ADD COLUMN clones_told INTEGER;
    `,
  },
  // The index of texts is a table here.
  { name: 'texts of devices have rows of their own', sql: '' },
  { name: 'texts of devices have no indexes of their own', sql: '' },
  { name: 'chips on a roster are admitted together, too', sql: '' },
];
