import { systemLookup } from '../../os/net/lookup.ts';
import { markedLookup } from '../../os/net/resolver.ts';
import { stderrLog } from '../../os/service/log.ts';
import { systemClocks } from '../../os/service/process.ts';
import type { Config } from '../config/config.ts';
import { proxyOf } from '../config/proxy.ts';
import { type EnrolledSession, enrolledIdentity } from '../identity/enrolled.ts';
import { policyOf } from '../network/policy.ts';
import { holdState } from '../state/held.ts';
import { openStore, type Store } from '../state/state.ts';

/** The identity of a device whose agent does not run, to be enrolled; no agent has its state meanwhile. @throws Failure `state.in-use`, `os.no-folder` */
export async function openEnrollment(config: Config): Promise<Pick<EnrolledSession, 'enroll' | 'close'>> {
  const { mark } = policyOf(config);
  const ordinary = config.route.mode === 'split' && config.tunnel.fwmark === 0;
  const held = await holdState(config.state.directory);
  let store: Promise<Store> | undefined;
  const identity = enrolledIdentity({
    config,
    store() {
      store ??= openStore(held.folder);
      return store;
    },
    lookup: ordinary ? systemLookup : markedLookup(mark),
    proxy: proxyOf(config),
    mark,
    ...systemClocks,
    log: stderrLog(),
    note: () => {},
    stopping: new AbortController().signal,
  });
  return {
    enroll: identity.enroll,
    async close() {
      await identity.close();
      await held.release();
    },
  };
}
