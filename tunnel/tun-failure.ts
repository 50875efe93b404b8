import { Failure } from '../protocol/failure.ts';

/** Failures of a TUN device. */

/** @throws Failure `os.bad-tun-name` */
export function checkTunName(name: string): void {
  // What the kernel takes (dev_valid_name), except that a % would make it choose a number, and * and \ a pattern for nftables; and nothing
  // unprintable.
  if (
    !/^[^\s\p{C}/:%*\\]{1,15}$/u.test(name) ||
    Buffer.byteLength(name) > 15 ||
    name === '.' ||
    name === '..'
  ) {
    throw new Failure(
      'os.bad-tun-name',
      'operator',
      `bad TUN device name ${JSON.stringify(name)}: expected 1 to 15 bytes without space, control characters, "/", ":", "%", "*" and "\\"`,
      { action: 'Choose another name for the TUN device.' },
    );
  }
}

/** The failure that an error of opening the device stands for. */
export function openFailure(name: string, error: NodeJS.ErrnoException): Error {
  const options = { cause: error };
  switch (error.code) {
    case 'ENOENT':
    case 'ENODEV':
    case 'ENXIO':
      return new Failure('os.no-tun', 'operator', `this system has no TUN driver: ${error.message}`, {
        action: 'Load the kernel module "tun" (modprobe tun), or give the container /dev/net/tun.',
        ...options,
      });
    case 'EPERM':
    case 'EACCES':
      return new Failure('os.not-permitted', 'operator', `cannot open TUN device ${name}: ${error.message}`, {
        action: 'Run as root or grant CAP_NET_ADMIN, and make /dev/net/tun accessible.',
        ...options,
      });
    case 'EBUSY':
      return new Failure('os.tun-busy', 'retry', `TUN device ${name} is held by another process`, {
        action: 'Stop the other instance, or choose another name for the TUN device.',
        ...options,
      });
    case 'EINVAL':
      return new Failure(
        'os.not-a-tun',
        'operator',
        `interface ${name} exists already and is not a TUN device`,
        {
          action: 'Choose another name for the TUN device.',
          ...options,
        },
      );
    default:
      return new Failure(
        'os.tun-failed',
        'retry',
        `cannot open TUN device ${name}: ${error.message}`,
        options,
      );
  }
}

/** The device was removed. */
export function lostFailure(name: string, cause: Error | undefined): Failure {
  return new Failure('os.tun-lost', 'retry', `TUN device ${name} was removed`, {
    action: 'Leave the device to this program; it opens it anew.',
    cause,
  });
}
