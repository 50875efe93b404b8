import { failed, ok, skipped } from '../../../cli/check.ts';
import type { Check } from '../check.ts';
import { handshakes } from './handshakes.ts';

export const pathMtu: Check = {
  id: 'path-mtu',
  about: 'full-size packets reach the fabric',
  async run(probes) {
    const small = await handshakes(probes).catch(() => []);
    const passing = small.filter(({ answer }) => answer.verdict !== 'broken');
    if (passing.length === 0) return skipped('no router answers');
    const large = await handshakes(probes, true);
    const { address } = passing[0]!;
    const answer = large.find((each) => each.address === address)?.answer;
    if (answer !== undefined && answer.verdict !== 'broken') {
      const mtu = (await probes.route(address))?.mtu;
      return ok(`full-size packets reach ${address}${mtu === undefined ? '' : `, path MTU ${mtu}`}`);
    }
    return failed(
      `small packets reach ${address}, full-size ones do not (${answer?.reason ?? 'no connection'})`,
      'A link on the way has a smaller MTU and its ICMP is filtered: lower the uplink’s MTU (ip link set … mtu 1280), or set net.ipv4.tcp_mtu_probing=1.',
    );
  },
};
