import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Failure } from '../protocol/failure.ts';

const run = promisify(execFile);

/** Runs `ip` with the arguments. @throws Failure `os.no-iproute`, `os.not-permitted`, `os.ip-failed` */
export async function ip(...args: readonly string[]): Promise<string> {
  try {
    return (await run('ip', [...args], { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } })).stdout;
  } catch (error) {
    const { code, stderr } = error as NodeJS.ErrnoException & { stderr?: string };
    const said = (stderr ?? '').trim().split('\n')[0] ?? '';
    if (code === 'ENOENT') {
      throw new Failure('os.no-iproute', 'operator', 'the program "ip" is not installed', {
        action: 'Install the package iproute2.',
        cause: error,
      });
    }
    if (/not permitted/.test(said)) {
      throw new Failure('os.not-permitted', 'operator', `ip ${args.join(' ')}: ${said}`, {
        action: 'Run as root or grant CAP_NET_ADMIN.',
        cause: error,
      });
    }
    throw new Failure('os.ip-failed', 'retry', `ip ${args.join(' ')}: ${said}`, { cause: error });
  }
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
