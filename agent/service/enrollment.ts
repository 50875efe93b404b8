import { openFolder } from '../../os/files/folder.ts';
import { systemLookup } from '../../os/net/lookup.ts';
import { markedLookup } from '../../os/net/resolver.ts';
import { stderrLog } from '../../os/service/log.ts';
import { systemClocks } from '../../os/service/process.ts';
import type { Config } from '../config/config.ts';
import { proxyOf } from '../config/proxy.ts';
import { type EnrolledSession, enrolledIdentity } from '../identity/enrolled.ts';
import { policyOf } from '../network/policy.ts';
import { openStore, type Store } from '../state/state.ts';

/** The identity of a device whose agent does not run, to be enrolled. Only one program may have its state open. */
export function openEnrollment(config: Config): Pick<EnrolledSession, 'enroll' | 'close'> {
  const { mark } = policyOf(config);
  const ordinary = config.route.mode === 'split' && config.tunnel.fwmark === 0;
  let store: Promise<Store> | undefined;
  return enrolledIdentity({
    config,
    store() {
      store ??= openFolder(config.state.directory).then(openStore);
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
}
