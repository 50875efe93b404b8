import { failed, ok, warning } from '../../../cli/check.ts';
import type { InspectedMap } from '../../../tpm/inspect.ts';
import type { Check } from '../check.ts';
import { checkTpmThatAnswers } from './tpm-use.ts';

const NEEDED = ['gpk', 'credential', 'basename', 'xttRoot'] as const;

/** What a map lacks to serve; undefined if nothing. */
function missingFrom({ daaKey, objects }: InspectedMap): string | undefined {
  if (daaKey === undefined) return 'the group key';
  if (daaKey.fault !== undefined) return `a usable group key (${daaKey.fault})`;
  const there = new Set<string>(objects.filter(({ written }) => written).map(({ name }) => name));
  const missing = NEEDED.filter((name) => !there.has(name));
  return missing.length === 0 ? undefined : missing.join(', ');
}

export const nvObjects: Check = {
  id: 'nv-objects',
  about: 'what the factory wrote is in the TPM',
  run: (probes) =>
    checkTpmThatAnswers(probes, async () => {
      const { maps } = await probes.inspection();
      const whole = maps.find((map) => missingFrom(map) === undefined);
      if (whole === undefined) {
        const missing = maps.map((map) => `${map.hierarchy}: no ${missingFrom(map)}`).join('; ');
        return failed(
          `the TPM is not personalised (${missing})`,
          'Personalise it: enf-factory device personalise.',
        );
      }
      const key = whole.daaKey?.sealed ? 'sealed secret of the group key' : 'group key';
      const found = `${key} and credential under the ${whole.hierarchy} hierarchy`;
      const tlsRoot = whole.objects.some(({ name, written }) => name === 'tlsRoot' && written);
      if (tlsRoot || probes.config.remote.tlsRoot !== '') return ok(found);
      return warning(`${found}, but no TLS root`, 'Set remote.tls-root, or personalise with a trust bundle.');
    }),
};
