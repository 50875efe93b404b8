import { addon } from '../native/index.ts';
import type { NetFace, TunHandle } from '../native/net.ts';
import { Failure } from '../protocol/failure.ts';

/** A TUN device, read and written in batches of enftun frames: u16 length ‖ packet, back to back (enftun.md §4). */
export interface TunDevice {
  readonly name: string;
  /**
   * Calls back with a batch of frames (at most 64 KB or 256 packets) read from the device, valid until `resume()`;
   * nothing is read meanwhile. `onLost` is called once if the device is removed under us (Failure `os.tun-lost`);
   * without `onLost` that is an uncaught exception. A started device keeps the process alive until `close()`.
   */
  start(onBatch: (frames: Uint8Array) => void, onLost?: (failure: Failure) => void): void;
  /** Reads on. Does nothing after `close()`. */
  resume(): void;
  /**
   * Writes whole frames; returns how many packets they held and how many of them the kernel refused (interface down,
   * not an IP packet, no room, device closed or removed).
   */
  write(frames: Uint8Array): { packets: number; dropped: number };
  /** Any number of times, also inside the callbacks. A device that is not persistent vanishes with it. */
  close(): void;
}

/**
 * Opens the TUN device `name`, creating it if it is not there. It is neither configured nor up.
 * @throws Failure `os.no-tun`, `os.not-permitted`, `os.tun-busy`, `os.not-a-tun`, `os.bad-tun-name`, `os.tun-failed`
 */
export function openTun(name: string): TunDevice {
  checkTunName(name);
  const native = addon();
  const handle = open(native, name);
  return {
    name,
    start(onBatch, onLost) {
      native.tunStart(handle, (frames, lost) => {
        if (frames !== undefined) return onBatch(frames);
        const failure = lostFailure(name, lost);
        if (onLost === undefined) throw failure;
        onLost(failure);
      });
    },
    resume: () => native.tunResume(handle),
    write: (frames) => native.tunWrite(handle, frames),
    close: () => native.tunClose(handle),
  };
}

/** @throws Failure `os.bad-tun-name` */
export function checkTunName(name: string): void {
  // What the kernel takes (dev_valid_name), except that a % would make it choose a number; and nothing unprintable.
  if (!/^[^\s\p{C}/:%]{1,15}$/u.test(name) || Buffer.byteLength(name) > 15 || name === '.' || name === '..') {
    throw new Failure(
      'os.bad-tun-name',
      'operator',
      `bad TUN device name ${JSON.stringify(name)}: expected 1 to 15 bytes without space, control characters, "/", ":" and "%"`,
      { action: 'Choose another name for the TUN device.' },
    );
  }
}

function open(native: NetFace, name: string): TunHandle {
  try {
    return native.tunOpen(name);
  } catch (error) {
    throw openFailure(name, error as NodeJS.ErrnoException);
  }
}

/** What the addon's refusal to open the device means. */
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

/** Somebody has removed the device. */
export function lostFailure(name: string, cause: Error | undefined): Failure {
  return new Failure('os.tun-lost', 'retry', `TUN device ${name} was removed`, {
    action: 'Leave the device to this program; it opens it anew.',
    cause,
  });
}
