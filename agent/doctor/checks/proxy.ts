import { failing, ok, skipped } from '../../../cli/check.ts';
import { isFailure } from '../../../protocol/failure.ts';
import type { Check } from '../check.ts';
import { targets } from '../targets.ts';

export const proxy: Check = {
  id: 'proxy',
  about: 'the HTTP proxy connects to the fabric',
  async run(probes) {
    const { proxy } = probes.config.remote;
    if (proxy === undefined) return skipped('none is configured');
    let failure: unknown;
    for (const { host, port } of await targets(probes)) {
      try {
        await probes.connect(host, port);
        return ok(`${proxy} connects to ${host} port ${port}`);
      } catch (error) {
        if (!isFailure(error)) throw error;
        failure = error;
      }
    }
    return failing(failure);
  },
};
