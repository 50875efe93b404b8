import { failing, ok, skipped, warning } from '../../../cli/check.ts';
import { counted } from '../../../protocol/words.ts';
import type { AnchorView } from '../../operations/views/pki.ts';
import type { Check } from '../check.ts';

export const revocationLists: Check = {
  id: 'revocation-lists',
  about: 'whether the lists of revoked certificates of owners’ CAs are new, and can be fetched',
  async run(probes) {
    try {
      const cas = await probes.cas();
      if (cas.length === 0) return skipped('no owner has a CA');
      const wrong = cas.flatMap((ca) => wrongOf(ca, probes.wallMs()));
      if (wrong[0] !== undefined) {
        const more = wrong.length === 1 ? '' : `; ${wrong.length - 1} more`;
        return warning(
          `${wrong[0].what}${more}`,
          `See "enf-fabric pki show ${wrong[0].id}"; give a newer one with "enf-fabric pki crl".`,
        );
      }
      const lists = cas.reduce((sum, each) => sum + each.lists.length, 0);
      return ok(`${counted(cas.length, 'CA')}, ${counted(lists, 'list')}, none overdue`);
    } catch (error) {
      return failing(error);
    }
  },
};

function wrongOf({ id, name, lists, crl }: AnchorView, now: number): { id: number; what: string }[] {
  const overdue = lists.find(({ next }) => next !== null && Date.parse(next) <= now)?.next;
  const failed = crl?.error ? `the list of "${name}" could not be fetched: ${crl.error}` : undefined;
  if (typeof overdue === 'string')
    return [{ id, what: failed ?? `the list of "${name}" is overdue since ${overdue}` }];
  return failed === undefined ? [] : [{ id, what: failed }];
}
