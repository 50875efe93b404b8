import { refusal, runCommand } from './command.ts';

/** Runs `ip` with the arguments. @throws Failure `os.no-iproute`, `os.not-permitted`, `os.ip-failed` */
export async function ip(...args: readonly string[]): Promise<string> {
  const { code, stdout, complaint } = await runCommand('ip', args);
  if (code !== 0) throw refusal('ip', args.join(' '), complaint);
  return stdout;
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
