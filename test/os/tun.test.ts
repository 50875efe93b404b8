import { afterEach, expect, test, vi } from 'vitest';
import { addon } from '../../native/index.ts';
import { openTun, type TunDevice } from '../../os/tun.ts';
import type { Failure } from '../../protocol/failure.ts';
import { exists, ip, newLink, raise } from '../native/link.ts';
import { echoRequest, frame, isEcho, packetsOf } from '../native/packets.ts';

const devices: TunDevice[] = [];
afterEach(() => {
  vi.restoreAllMocks();
  for (const device of devices.splice(0)) device.close();
});

function open(name: string): TunDevice {
  const device = openTun(name);
  devices.push(device);
  return device;
}

function failing(code: string, remedy: string) {
  return expect.objectContaining({ name: 'Failure', code, remedy });
}

test('carries frames both ways until it is closed', async () => {
  const link = newLink();
  const device = open(link.name);
  expect(device.name).toBe(link.name);
  await raise(link);
  const replied = new Promise<void>((resolve) => {
    device.start((frames) => {
      if (packetsOf(frames).some((packet) => isEcho(packet, 'reply'))) resolve();
      device.resume();
    });
  });
  const ping = frame(echoRequest(link.peer, link.host, 1));
  expect(device.write(ping)).toEqual({ packets: 1, dropped: 0 });
  await replied;
  device.close();
  device.close();
  device.resume();
  expect(device.write(ping)).toEqual({ packets: 1, dropped: 1 });
  expect(await exists(link.name)).toBe(false);
});

test('tells when it is removed', async () => {
  const link = newLink();
  const device = open(link.name);
  await raise(link);
  const lost = new Promise<Failure>((resolve) => device.start(() => device.resume(), resolve));
  await ip('link', 'del', 'dev', link.name);
  expect(await lost).toMatchObject({ code: 'os.tun-lost', remedy: 'retry' });
});

test('without a listener its removal is an uncaught exception', async () => {
  let callback: ((frames: Uint8Array | undefined, lost: Error | undefined) => void) | undefined;
  vi.spyOn(addon(), 'tunStart').mockImplementation((_, onBatch) => {
    callback = onBatch;
  });
  open(newLink().name).start(() => {});
  expect(() => callback!(undefined, new Error('gone'))).toThrow(failing('os.tun-lost', 'retry'));
});

test('is refused without the privilege', () => {
  const { name } = newLink();
  process.seteuid!(65_534);
  try {
    expect(() => openTun(name)).toThrow(failing('os.not-permitted', 'operator'));
  } finally {
    process.seteuid!(0);
  }
});

test('is refused when another holds it, or when it is no TUN', () => {
  const { name } = newLink();
  open(name);
  expect(() => openTun(name)).toThrow(failing('os.tun-busy', 'retry'));
  expect(() => openTun('lo')).toThrow(failing('os.not-a-tun', 'operator'));
});

test.each(['', 'sixteen-bytes-xx', 'a/b', 'a b', 'a:b', 'tun%d', '.', '..', '€€€€€€', 'a\0'])(
  'the name %j is refused',
  (name) => {
    expect(() => openTun(name)).toThrow(failing('os.bad-tun-name', 'operator'));
  },
);

test.each([
  ['ENOENT', 'os.no-tun', 'operator'],
  ['ENODEV', 'os.no-tun', 'operator'],
  ['EACCES', 'os.not-permitted', 'operator'],
  ['EMFILE', 'os.tun-failed', 'retry'],
])('%s becomes %s', (code, expected, remedy) => {
  vi.spyOn(addon(), 'tunOpen').mockImplementation(() => {
    throw Object.assign(new Error('opening /dev/net/tun'), { code });
  });
  expect(() => openTun('enf0')).toThrow(failing(expected, remedy));
});
