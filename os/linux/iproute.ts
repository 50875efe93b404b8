import type { Failure } from '../../protocol/failure.ts';
import { refusal, runNetworkProgram } from './command.ts';
import { ipv6Disabled } from './ipv6.ts';

/** Runs `ip` with the arguments. @throws Failure `os.no-iproute`, `os.not-permitted`, `os.ipv6-disabled`, `os.ip-failed` */
export async function ip(...args: readonly string[]): Promise<string> {
  const { code, stdout, complaint } = await runNetworkProgram('ip', args);
  if (code !== 0) throw (await whyNotIpv6(args)) ?? refusal('ip', args.join(' '), complaint);
  return stdout;
}

/** `ip` itself reports disabled IPv6 only as "Permission denied" or "Operation not supported". */
async function whyNotIpv6(args: readonly string[]): Promise<Failure | undefined> {
  if (!args.includes('-6')) return undefined;
  const at = args.indexOf('dev');
  return ipv6Disabled(at < 0 ? undefined : args[at + 1]);
}

/** Gives an existing interface its MTU, addresses (`addr/len`, no duplicate address detection) and brings it up. */
export async function configureInterface(
  device: string,
  mtu: number,
  addresses: readonly string[],
): Promise<void> {
  await ip('link', 'set', 'dev', device, 'mtu', String(mtu), 'up');
  for (const address of addresses) await ip('-6', 'addr', 'replace', address, 'dev', device, 'nodad');
}

/** Adds or replaces an IPv6 route to `prefix` through `device`. */
export async function routeThrough(prefix: string, device: string): Promise<void> {
  await ip('-6', 'route', 'replace', prefix, 'dev', device);
}

/** Removes an address (`addr/len`) and a route of a device; what is not there is gone already. */
export async function unconfigure(device: string, address: string, prefix: string): Promise<void> {
  await unroute(device, prefix);
  await ip('-6', 'addr', 'flush', 'dev', device, 'to', address);
}

/** Removes a route of a device; one that is not there is gone already. */
export async function unroute(device: string, prefix: string): Promise<void> {
  await ip('-6', 'route', 'flush', prefix, 'dev', device);
}
