import { failed, failing, ok, skipped, warning } from '../../../cli/check.ts';
import { isFailure } from '../../../protocol/failure.ts';
import type { Check } from '../check.ts';
import type { StateView } from '../state-view.ts';

export const state: Check = {
  id: 'state',
  about: 'the state of the device can be read',
  async run(probes) {
    let view: StateView;
    try {
      view = await probes.state();
    } catch (error) {
      if (!isFailure(error)) throw error;
      return failing(error);
    }
    const { directory } = probes.config.state;
    if (view.generation === undefined) {
      if (view.bad.length === 0) return skipped('there is no identity yet');
      return failed(
        `${directory}: ${view.bad.join(', ')} cannot be read, and there is no intact copy`,
        'Start the agent: it renames them and gets its address back from the fabric. Check the disk.',
      );
    }
    const { mode } = probes.config.identity;
    if (mode !== 'pki' && view.keyKind !== undefined && view.keyKind !== mode) {
      return failed(
        `the state holds a key of mode "${view.keyKind}", but identity.mode is "${mode}"`,
        `Set identity.mode = "${view.keyKind}", or provision again: enf-agent forget --yes.`,
      );
    }
    const damaged = [...view.bad, ...view.quarantined];
    if (damaged.length > 0) {
      return warning(
        `damaged files in ${directory}: ${damaged.join(', ')}; an intact copy is in use`,
        'Check the disk and the power supply; files named .bad-… can be removed.',
      );
    }
    if (view.decommissioned) return ok('this device is out of service; it has no identity and gets none');
    const address = mode === 'pki' ? view.certificate?.address : view.address;
    const who = address === undefined ? 'no identity yet' : `identity ${address}`;
    return ok(`${who}${view.unfinished ? ', a provisioning is not finished' : ''}`);
  },
};
