import { failed, ok, skipped, warning } from '../../../cli/check.ts';
import type { Check } from '../check.ts';

/** The oldest major version that is tested. */
const OLDEST = 15;

export const database: Check = {
  id: 'database',
  about: 'the database servers of the registry answer, and one takes changes',
  async run(probes) {
    const servers = await probes.databases();
    if (servers === undefined) return skipped('the registry is in a file');
    const there = servers.filter(({ failure }) => failure === undefined);
    const lost = servers.filter(({ failure }) => failure !== undefined);
    const said = lost.map(({ address, failure }) => `${address}: ${failure!.message}`).join('; ');
    if (!there.some(({ standby }) => standby === false)) {
      const why = there.length > 0 ? 'no server takes changes: all that answer are standbys' : said;
      return failed(
        why,
        'Start PostgreSQL, or promote a standby; correct the addresses in the file "registry.url".',
      );
    }
    const primaries = there.filter(({ standby }) => standby === false);
    if (primaries.length > 1)
      return failed(
        `${primaries.map(({ address }) => address).join(' and ')} both take changes: what is written to one, the other lacks`,
        'Stop the one that was replaced, and make it a standby of the other; the one that was promoted last is used.',
      );
    const unfinished = primaries[0]!.unfinished;
    if (unfinished !== undefined)
      return failed(`${unfinished.message} (${primaries[0]!.address})`, unfinished.action!);
    const old = there.find(({ version }) => Number.parseInt(version!, 10) < OLDEST);
    if (old !== undefined)
      return failed(`${old.address} is PostgreSQL ${old.version}`, `Use PostgreSQL ${OLDEST} or later.`);
    const open = there.find(({ closed }) => closed === false);
    if (open !== undefined)
      return warning(
        `${open.address} is spoken to without TLS`,
        'Add "?sslmode=verify-full" to its address in the file "registry.url".',
      );
    if (lost.length > 0)
      return warning(`not all servers answer: ${said}`, 'See whether that server runs and is reached.');
    return ok(
      there
        .map(
          ({ address, version, standby }) => `${address}: PostgreSQL ${version}${standby ? ', standby' : ''}`,
        )
        .join('; '),
    );
  },
};
