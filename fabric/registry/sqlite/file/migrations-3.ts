import type { Migration } from './migration.ts';

/** From version 14 on. A new step is added at the end. */
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
];
