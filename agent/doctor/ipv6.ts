import { type Check, failed, ok } from './check.ts';

export const ipv6: Check = {
  id: 'ipv6',
  about: 'IPv6 is enabled for the interface of the tunnel',
  async run(probes) {
    const device = probes.config.tunnel.device;
    const read = (name: string) => probes.sysctl(`net/ipv6/conf/${name}/disable_ipv6`);
    if ((await read('all')) === undefined) {
      return failed(
        'this kernel runs without IPv6',
        'Remove ipv6.disable=1 from the kernel command line, or use a kernel with IPv6.',
      );
    }
    const own = await read(device);
    // What is said for all is copied to each interface; a new one gets what is said for default.
    const [deciding, value] = own === undefined ? ['default', await read('default')] : [device, own];
    if (value !== '1') return ok('IPv6 is enabled');
    return failed(
      `IPv6 is disabled for ${device}`,
      `sysctl -w net.ipv6.conf.${deciding}.disable_ipv6=0, and set it in /etc/sysctl.d so that it stays.`,
    );
  },
};
