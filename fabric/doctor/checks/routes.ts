import { failed, ok, skipped } from '../../../cli/check.ts';
import { counted } from '../../../protocol/words.ts';
import { type Check, onItsHost } from '../check.ts';

export const routes: Check = {
  id: 'routes',
  about: 'the routes of tunnels are in the kernel for other nodes, and their table is looked up',
  run: (probes) =>
    onItsHost(probes, async ({ routes: written }) => {
      if (written === undefined)
        return skipped('this host tells no other node of its tunnels (routes.install is off)');
      const { table, routes: count, failing } = written;
      if (failing !== null)
        return failed(
          `the routes of tunnels in table ${table} are not as they should be: ${failing}`,
          'See what the fabric logs, and which program changes that table; the fabric restores it.',
        );
      if (!(await probes.hasRule(table)))
        return failed(
          `no rule leads to table ${table}: this host does not reach devices of other nodes`,
          'See which program removes it ("ip -6 rule"); the fabric restores it within two seconds.',
        );
      return ok(
        `${counted(count, 'route')} of tunnels in table ${table}, which is looked up before the main one`,
      );
    }),
};
