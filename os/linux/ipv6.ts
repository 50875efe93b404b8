import { readFile } from 'node:fs/promises';
import { Failure } from '../../protocol/failure.ts';

/** Reads a file under /proc, trimmed; undefined if it is not there. */
export type ReadProc = (path: string) => Promise<string | undefined>;

const readProc: ReadProc = (path) =>
  readFile(`/proc/${path}`, 'latin1').then(
    (text) => text.trim(),
    () => undefined,
  );

/**
 * Why the kernel, or the interface if one is named, has no IPv6: Failure `os.ipv6-disabled` with the remedy. Undefined if IPv6 is
 * enabled.
 */
export async function ipv6Disabled(
  device: string | undefined,
  read: ReadProc = readProc,
): Promise<Failure | undefined> {
  // A kernel without IPv6 has no if_inet6 at all; with IPv6 the file may be empty.
  if ((await read('net/if_inet6')) === undefined) return withoutIpv6((await read('cmdline')) ?? '');
  if (device === undefined) return undefined;
  const isOff = async (name: string) => {
    const value = await read(`sys/net/ipv6/conf/${name}/disable_ipv6`);
    return value === undefined ? undefined : value === '1';
  };
  const [own, first] = [await isOff(device), await isOff('default')];
  // A write to conf/all is copied to each interface; a new interface gets the value of conf/default.
  if (!(own ?? first)) return undefined;
  const names = [...(first ? ['default'] : []), ...(own ? [device] : [])].map(
    (name) => `net.ipv6.conf.${name}.disable_ipv6`,
  );
  return new Failure(
    'os.ipv6-disabled',
    'operator',
    `IPv6 is disabled for ${device}: ${names.join(' and ')} ${names.length > 1 ? 'are' : 'is'} 1`,
    {
      action: `Run "sysctl -e -w ${names.map((name) => `${name}=0`).join(' ')}", and set the same in /etc/sysctl.d, so that it survives a reboot.`,
    },
  );
}

function withoutIpv6(commandLine: string): Failure {
  const parameter = commandLine.split(/\s+/).includes('ipv6.disable=1');
  return new Failure(
    'os.ipv6-disabled',
    'operator',
    parameter
      ? 'this kernel runs without IPv6: ipv6.disable=1 is on its command line'
      : 'this kernel runs without IPv6',
    {
      action: parameter
        ? 'Remove ipv6.disable=1 from the kernel command line, and reboot.'
        : 'Run "modprobe ipv6", remove "options ipv6 disable=1" from /etc/modprobe.d, or use a kernel with IPv6.',
    },
  );
}
