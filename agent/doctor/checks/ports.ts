import { failed, ok, skipped, warning } from '../../../cli/check.ts';
import { isFailure } from '../../../protocol/failure.ts';
import type { Check } from '../check.ts';
import type { Probes } from '../probes.ts';
import { type TargetAddress, targetRouters } from '../targets.ts';

export const ports: Check = {
  id: 'ports',
  about: 'the ports of the tunnel router and the identity server can be reached',
  async run(probes) {
    const routers = await targetRouters(probes);
    const addresses = [...new Set(routers.map(({ address }) => address))];
    if (addresses.length === 0) return skipped('no address is known');
    const { identityPort } = probes.config.remote;
    const tunnelPort = [...new Set(routers.map(({ port }) => port))].join(', ');
    const [tunnel, identity] = [
      await reachable(probes, routers),
      await reachable(
        probes,
        addresses.map((address) => ({ address, port: identityPort })),
      ),
    ];
    if (!tunnel) {
      return failed(
        `no connection to port ${tunnelPort} of ${addresses.join(', ')}`,
        `Check that the fabric is up and that no firewall blocks TCP port ${tunnelPort} on the way.`,
      );
    }
    if (identity) return ok(`${tunnelPort} and ${identityPort} accept connections`);
    const message = `no connection to port ${identityPort}; port ${tunnelPort} accepts connections`;
    const remedy = `Open TCP port ${identityPort} in the firewall: the device needs it to get its identity.`;
    const { address } = await probes.state().catch(() => ({ address: undefined }));
    return address === undefined ? failed(message, remedy) : warning(message, remedy);
  },
};

async function reachable(probes: Probes, targets: readonly TargetAddress[]): Promise<boolean> {
  for (const { address, port } of targets) {
    try {
      await probes.connect(address, port);
      return true;
    } catch (error) {
      if (!isFailure(error)) throw error;
    }
  }
  return false;
}
