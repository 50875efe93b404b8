import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type DialOptions, dial } from '../../../os/net/dial.ts';
import { openTunDevice, type TunDevice } from '../../../tunnel/client.ts';
import { descriptors, outcome } from '../../native/child.ts';
import { type Link, newLink, raise } from '../../native/client/link.ts';

type Found = { address: string; family: number }[];
const lookup = vi.hoisted(() => vi.fn<(host: string) => Promise<Found>>());
vi.mock('node:dns/promises', () => ({ lookup }));

/** Answers of the resolver under test; a name without one is a resolver that hangs. */
const names: Record<string, readonly string[]> = {};

let server: Server;
let port: number;
let refusing: number;
const accepted: Socket[] = [];
/** Nobody answers behind this device: the SYN goes nowhere. */
let link: Link;
let device: TunDevice;

beforeAll(async () => {
  server = createServer((socket) => accepted.push(socket.on('error', () => {})));
  await new Promise<void>((resolve) => server.listen(0, '::', resolve));
  port = (server.address() as AddressInfo).port;
  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
  refusing = (closed.address() as AddressInfo).port;
  await new Promise((resolve) => closed.close(resolve));
  link = newLink();
  device = openTunDevice(link.name);
  await raise(link);
});
afterAll(() => {
  device.close();
  server.close();
});
beforeEach(() => {
  lookup.mockReset().mockImplementation((host) => {
    const found = names[host];
    if (found === undefined) return new Promise(() => {});
    if (found.length === 0)
      return Promise.reject(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }));
    return Promise.resolve(found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
  });
});
afterEach(() => {
  for (const socket of accepted.splice(0)) socket.destroy();
  for (const name of Object.keys(names)) delete names[name];
});

async function reached(
  options: Partial<DialOptions> & { hosts: readonly string[] },
): Promise<string | undefined> {
  const socket = await dial({ port, timeoutMs: 20_000, ...options });
  const address = socket.remoteAddress;
  socket.destroy();
  return address;
}

function refusal(options: Partial<DialOptions> & { hosts: readonly string[] }) {
  return expect(reached({ timeoutMs: 300, ...options })).rejects;
}

function failing(code: string, remedy = 'retry') {
  return expect.objectContaining({ name: 'Failure', code, remedy });
}

describe('reaches', () => {
  test('a literal address of either family without a resolver', async () => {
    expect(await reached({ hosts: ['127.0.0.1'] })).toBe('127.0.0.1');
    expect(await reached({ hosts: ['::1'] })).toBe('::1');
    expect(lookup).not.toHaveBeenCalled();
  });

  test('a name', async () => {
    names['fabric.test'] = ['127.0.0.1'];
    expect(await reached({ hosts: ['fabric.test'] })).toBe('127.0.0.1');
  });

  test('the first host that answers', async () => {
    names['missing.test'] = [];
    expect(await reached({ hosts: ['missing.test', '::1', '127.0.0.1'] })).toBe('::1');
  });

  test('each at a port of its own, and says of each whether it was reached', async () => {
    names['missing.test'] = [];
    const tried: string[] = [];
    const hosts = ['missing.test', { host: '127.0.0.1', port: refusing }, { host: '::1', port }, '127.0.0.1'];
    const onTried = (endpoint: { host: string; port: number }, reached: boolean): void =>
      void tried.push(`${endpoint.host} ${endpoint.port} ${reached}`);
    const socket = await dial({ hosts, port: 1, timeoutMs: 20_000, onTried });
    expect(socket.remoteAddress).toBe('::1');
    socket.destroy();
    expect(tried).toEqual(['missing.test 1 false', `127.0.0.1 ${refusing} false`, `::1 ${port} true`]);
  });

  test('the addresses of a name in the groups that it is given, and says which, and what was left of that family', async () => {
    names['groups.test'] = ['127.0.0.2', '::1', link.peer, '127.0.0.1'];
    const places: unknown[] = [];
    const addressOrder = vi.fn((_: unknown, [refused, v6, silent, v4]: readonly string[]) => [
      [silent!],
      [v4!, v6!, refused!],
    ]);
    const onTried = (...tried: unknown[]): void => void places.push(tried);
    const options = { hosts: ['groups.test'], addressOrder, onTried };
    expect(await reached({ ...options, timeoutMs: 400 })).toBe('127.0.0.1');
    const at = { host: 'groups.test', port };
    expect(addressOrder.mock.calls).toEqual([[at, names['groups.test']]]);
    expect(places).toEqual([[{ ...at, address: '127.0.0.1', peers: ['127.0.0.2'] }, true]]);
  });

  test('a literal address without asking for an order', async () => {
    const addressOrder = () => {
      throw new Error('nothing to choose');
    };
    expect(await reached({ hosts: ['127.0.0.1'], addressOrder })).toBe('127.0.0.1');
  });

  test('nobody, and names each with its port', async () => {
    await expect(
      dial({ hosts: ['127.0.0.1', { host: '::1', port: 2 }], port: 1, timeoutMs: 20_000 }),
    ).rejects.toThrow(/^cannot reach 127\.0\.0\.1 port 1, ::1 port 2 /);
  });

  test('a name with an unreachable IPv6 address', async () => {
    names['half.test'] = [link.peer, '127.0.0.1'];
    expect(await reached({ hosts: ['half.test'] })).toBe('127.0.0.1');
  });

  test('a name whose first address refuses', async () => {
    names['moved.test'] = ['fe80::1%nosuch', '255.255.255.255', '127.0.0.2', '127.0.0.1'];
    const only = createServer();
    await new Promise<void>((resolve) => only.listen(0, '127.0.0.1', resolve));
    expect(await reached({ hosts: ['moved.test'], port: (only.address() as AddressInfo).port })).toBe(
      '127.0.0.1',
    );
    only.close();
  });

  test('a later host when the resolver hangs on the first, or the first is unreachable', async () => {
    expect(await reached({ hosts: ['hangs.test', '127.0.0.1'], timeoutMs: 400 })).toBe('127.0.0.1');
    expect(await reached({ hosts: [link.peer, '127.0.0.1'], timeoutMs: 400 })).toBe('127.0.0.1');
  });

  test('with a socket that carries data both ways, marked', async () => {
    const socket = await dial({ hosts: ['127.0.0.1'], port, mark: 363, timeoutMs: 20_000 });
    await expect.poll(() => accepted.length).toBe(1);
    accepted[0]!.pipe(accepted[0]!);
    const echo = new Promise((resolve) => socket.once('data', resolve));
    socket.write('through');
    expect(String(await echo)).toBe('through');
    const { spawn } = await import('node:child_process');
    const ss = await outcome(
      spawn('ss', ['-tneH', `sport = :${socket.localPort} and dport = :${port}`], {
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
    expect(ss.stdout).toContain('fwmark:0x16b');
    socket.destroy();
  });

  test('with a socket that a reset closes without ending the process', async () => {
    const socket = await dial({ hosts: ['127.0.0.1'], port, timeoutMs: 20_000 });
    await expect.poll(() => accepted.length).toBe(1);
    const closed = new Promise((resolve) => socket.on('close', resolve));
    accepted[0]!.resetAndDestroy();
    expect(await closed).toBe(true);
    expect(socket.errored).toMatchObject({ code: 'ECONNRESET' });
  });
});

describe('fails', () => {
  test('when all refuse', async () => {
    await refusal({ hosts: ['127.0.0.1', '127.0.0.2'], port: refusing }).toMatchObject({
      code: 'net.unreachable',
      remedy: 'retry',
      message: expect.stringContaining('127.0.0.1: ECONNREFUSED, 127.0.0.2: ECONNREFUSED'),
    });
  });

  test('when no host answers in time', async () => {
    await refusal({ hosts: [link.peer] }).toEqual(failing('net.timeout'));
    await refusal({ hosts: ['hangs.test'] }).toEqual(failing('net.timeout'));
  });

  test('when no name can be resolved', async () => {
    names['missing.test'] = [];
    await refusal({ hosts: ['missing.test'] }).toEqual(failing('net.no-such-host'));
  });

  test('with the most useful reason when there are several', async () => {
    names['missing.test'] = [];
    await refusal({ hosts: ['missing.test', link.peer] }).toEqual(failing('net.timeout'));
    await refusal({ hosts: [link.peer, '127.0.0.1'], port: refusing }).toEqual(failing('net.unreachable'));
  });

  test('when it is aborted, before or during the attempt', async () => {
    await refusal({ hosts: ['127.0.0.1'], signal: AbortSignal.abort() }).toEqual(failing('net.aborted'));
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 30);
    await refusal({ hosts: [link.peer, '127.0.0.1'], timeoutMs: 20_000, signal: controller.signal }).toEqual(
      failing('net.aborted'),
    );
  });

  test('without the privilege for a mark, and works without a mark', async () => {
    process.seteuid!(65_534);
    try {
      await refusal({ hosts: ['127.0.0.1'], mark: 363 }).toEqual(failing('os.not-permitted', 'operator'));
      expect(await reached({ hosts: ['127.0.0.1'] })).toBe('127.0.0.1');
    } finally {
      process.seteuid!(0);
    }
  });

  test('and leaves no descriptor', async () => {
    const dead = Array.from({ length: 20 }, (_, i) => `${link.peer.slice(0, -1)}${100 + i}`);
    names['many.test'] = ['127.0.0.1', ...dead];
    const before = descriptors();
    for (let i = 0; i < 5; i++)
      await refusal({ hosts: ['many.test'], port: refusing }).toEqual(failing('net.unreachable'));
    expect(descriptors() - before).toBeLessThan(5);
  });
});
