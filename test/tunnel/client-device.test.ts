import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { addon } from '../../native/index.ts';
import { openTunDevice, type TunDevice } from '../../tunnel/client.ts';
import { ip, newLink } from '../native/client/link.ts';

const devices: TunDevice[] = [];
afterEach(() => {
  vi.restoreAllMocks();
  for (const device of devices.splice(0)) device.close();
});

function open(name: string): TunDevice {
  const device = openTunDevice(name);
  devices.push(device);
  return device;
}

function failing(code: string, remedy: string) {
  return expect.objectContaining({ name: 'Failure', code, remedy });
}

test('is refused without the privilege', () => {
  const { name } = newLink();
  process.seteuid!(65_534);
  try {
    expect(() => openTunDevice(name)).toThrow(failing('os.not-permitted', 'operator'));
  } finally {
    process.seteuid!(0);
  }
});

test('is refused when another holds it, or when it is no TUN', () => {
  const { name } = newLink();
  open(name);
  expect(() => openTunDevice(name)).toThrow(failing('os.tun-busy', 'retry'));
  expect(() => openTunDevice('lo')).toThrow(failing('os.not-a-tun', 'operator'));
});

test('a persistent device that was made for one queue is taken as it is; one with more is held by one program', async () => {
  const { name } = newLink();
  await ip('tuntap', 'add', 'dev', name, 'mode', 'tun');
  onTestFinished(() => void ip('tuntap', 'del', 'dev', name, 'mode', 'tun'));
  const device = openTunDevice(name, 2, true);
  device.close();
  const other = newLink();
  devices.push(openTunDevice(other.name, 2, true));
  expect(() => openTunDevice(other.name)).toThrow(failing('os.not-a-tun', 'operator'));
});

test.each([
  '',
  'sixteen-bytes-xx',
  'a/b',
  'a b',
  'a:b',
  'tun%d',
  'tun*',
  'tun\\',
  '.',
  '..',
  '€€€€€€',
  'a\0',
])('the name %j is refused', (name) => {
  expect(() => openTunDevice(name)).toThrow(failing('os.bad-tun-name', 'operator'));
});

test.each([
  ['ENOENT', 'os.no-tun', 'operator'],
  ['ENODEV', 'os.no-tun', 'operator'],
  ['EACCES', 'os.not-permitted', 'operator'],
  ['EMFILE', 'os.tun-failed', 'retry'],
])('%s becomes %s', (code, expected, remedy) => {
  vi.spyOn(addon(), 'dataplaneTun').mockImplementation(() => {
    throw Object.assign(new Error('opening /dev/net/tun'), { code });
  });
  expect(() => openTunDevice('enf0')).toThrow(failing(expected, remedy));
});
