import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { fetchList, LARGEST_LIST } from '../../../fabric/crl/fetch.ts';
import { fetchOne, keepLists, nextFetch } from '../../../fabric/crl/keep.ts';
import { addAnchor, fetchCrlFrom, listAnchors, takeCrl } from '../../../fabric/operations/pki/cas.ts';
import { resolveOutbound } from '../../../os/net/outbound.ts';
import { decodeBase64, encodeBase64 } from '../../../protocol/identity/base64.ts';
import { caFolder, type MadeCertificate } from '../openssl-ca.ts';
import { NETWORK, opened, registryFile, type TestContext, type WholeRegistry } from '../place.ts';

const files = caFolder();
afterAll(() => files.remove());
const root = files.ca({ subject: '/CN=root' });
const other = files.ca({ subject: '/CN=other' });

const derOf = (pem: string): Uint8Array => decodeBase64(pem.replaceAll(/-----[^-]+-----|\s/g, ''))!;
/** Of one second; the next has another. */
const OLD = derOf(files.crl(root, ['01']));
await new Promise((resolve) => setTimeout(resolve, 1_100));
const NEW_PEM = files.crl(root, ['01', '02']);
const FOREIGN = derOf(files.crl(other, ['03']));

const servers: Server[] = [];
afterEach(() => {
  for (const each of servers.splice(0)) {
    each.closeAllConnections();
    each.close();
  }
});

/** Serves lists at its address. */
async function publisher(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/ca.crl`;
}

const serving = (body: Uint8Array | string): Promise<string> =>
  publisher((_request, response) => void response.end(body));

const HERE = { allowPrivate: true };
const DAY = 86_400_000;

describe('a list is fetched', () => {
  test('in DER and in PEM', async () => {
    expect(await fetchList(await serving(OLD), HERE)).toEqual(OLD);
    expect(await fetchList(await serving(NEW_PEM), HERE)).toEqual(derOf(NEW_PEM));
  });

  test('over redirects, three at most', async () => {
    const target = await serving(OLD);
    const once = await publisher(
      (_request, response) => void response.writeHead(302, { location: target }).end(),
    );
    expect(await fetchList(once, HERE)).toEqual(OLD);
    const round = await publisher(
      (_request, response) => void response.writeHead(301, { location: '/' }).end(),
    );
    await expect(fetchList(round, HERE)).rejects.toThrow('more than 3 redirects');
  });

  test.each<[string, RequestListener, RegExp]>([
    ['a page', (_request, response) => void response.end('<!DOCTYPE html><p>Sign in'), /no list.*<!DOCTYPE/],
    ['nothing', (_request, response) => void response.end(), /no list.*nothing/],
    ['an error', (_request, response) => void response.writeHead(503).end(), /HTTP 503/],
    ['a redirect to nowhere', (_request, response) => void response.writeHead(302).end(), /HTTP 302/],
    [
      'a redirect to a file',
      (_request, response) => void response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
      /expected an address that begins with https: or http:/,
    ],
    [
      'a password',
      (_request, response) => void response.writeHead(302, { location: 'http://a:b@127.0.0.1/' }).end(),
      /user name or password/,
    ],
    ['no HTTP', (request) => void request.socket.end('SSH-2.0-x\r\n'), /Parse Error|Expected HTTP/],
    [
      'an end in the middle',
      (_request, response) => {
        response.writeHead(200, { 'content-length': 1_000 });
        response.write('x', () => response.destroy());
      },
      /aborted|hang up/,
    ],
  ])('but not if there is %s', async (_what, answer, why) => {
    await expect(fetchList(await publisher(answer), HERE)).rejects.toThrow(why);
  });

  test('but not without an end, in bytes or in time', async () => {
    let sent = 0;
    const endless = await publisher((_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(16_384, 0x30))) sent += 16_384;
      };
      response.on('drain', more);
      more();
    });
    await expect(fetchList(endless, HERE)).rejects.toThrow('larger than 512 KB');
    expect(sent).toBeLessThan(64 * LARGEST_LIST);
    const slow = await publisher((_request, response) => void response.write('0'));
    await expect(fetchList(slow, { ...HERE, timeoutMs: 300 })).rejects.toThrow('not all of it came');
    const silent = await publisher(() => {});
    await expect(fetchList(silent, { ...HERE, timeoutMs: 300 })).rejects.toThrow('not all of it came');
  });

  test('but not out of private networks unless that is allowed, wherever a redirect leads', async () => {
    let asked = 0;
    const inside = await publisher((_request, response) => {
      asked++;
      response.end(OLD);
    });
    await expect(fetchList(inside, { allowPrivate: false })).rejects.toThrow('private network');
    const outside = await publisher(
      (_request, response) => void response.writeHead(302, { location: inside }).end(),
    );
    const { port } = new URL(outside);
    /** A name that leads to the server of the test, as one of the world would to another. */
    const resolve: typeof resolveOutbound = (url, allowPrivate) =>
      resolveOutbound(
        url.hostname === 'crl.example.org' ? new URL('http://127.0.0.1/') : url,
        allowPrivate || url.hostname === 'crl.example.org',
      );
    const from = `http://crl.example.org:${port}/ca.crl`;
    await expect(fetchList(from, { allowPrivate: false, resolve })).rejects.toThrow('private network');
    expect(asked).toBe(0);
    expect(await fetchList(from, { allowPrivate: true, resolve })).toEqual(OLD);
    for (const each of [
      'https://[::1]/',
      'http://10.0.0.1/',
      'http://[::ffff:127.0.0.1]/',
      'http://169.254.1.1/',
    ])
      await expect(fetchList(each, { allowPrivate: false })).rejects.toThrow('private network');
  });
});

describe('when a list is fetched again', () => {
  const now = 1_000_000_000;
  const HOUR = 3_600_000;

  test('is before the next one is due, at different times', () => {
    for (const rest of [24 * 30, 24, 2, 0.5]) {
      const waits = [0, 0.5, 0.999].map((random) => nextFetch(now, now + rest * HOUR, random) - now);
      expect(Math.max(...waits)).toBeLessThanOrEqual(Math.min(24, rest / 2) * HOUR);
      expect(new Set(waits).size).toBe(3);
    }
  });

  test('is each day if it does not say so, and soon if it is overdue', () => {
    expect(nextFetch(now, undefined, 0) - now).toBe(24 * HOUR);
    expect(nextFetch(now, now - HOUR, 0) - now).toBe(300_000);
    expect(nextFetch(now, now - 1_000 * HOUR, 0.999) - now).toBeGreaterThan(200_000);
  });
});

/** An owner with a CA, whose list is published at an address. */
async function plant(ca: MadeCertificate, url: string) {
  const path = registryFile();
  let passed = 0;
  const now = (): number => Date.now() + passed;
  const registry = opened(path, { now });
  await registry.addNetwork('root', NETWORK, 'plant');
  const context = contextOf(registry);
  const input = {
    name: 'CA',
    certificates: [encodeBase64(derOf(ca.pem))],
    networks: ['plant'],
    admits: 'listed' as const,
  };
  const { view } = await addAnchor.run(context, input);
  await fetchCrlFrom.run(context, { id: view.id, url });
  const one = async () => {
    const [due] = await registry.dueLists(9);
    const outcome = await fetchOne(registry, due!, { ...HERE, now });
    await registry.recordFetch(due!, outcome);
    return outcome;
  };
  const pass = (ms: number): void => {
    passed += ms;
  };
  const shown = async () => (await listAnchors.run(context, {})).rows[0]!;
  return { path, registry, context, id: view.id, one, shown, pass };
}

const contextOf = (registry: WholeRegistry): TestContext => ({
  ...{ registry, whole: registry, actor: 'root', now: Date.now },
  running: { notify: async () => 'in force', presence: async () => undefined },
});

describe('the list of a CA', () => {
  test('counts once it is fetched; a newer one replaces it, and who gave it stands in the trail', async () => {
    let body: Uint8Array | string = OLD;
    const { one, shown, registry, pass } = await plant(
      root,
      await publisher((_request, response) => void response.end(body)),
    );
    expect(await one()).toMatchObject({ kind: 'fetched' });
    expect(await shown()).toMatchObject({
      revoked: 1,
      lists: [{}],
      crl: { error: null, fetched: expect.any(String) },
    });
    expect(await registry.dueLists(9)).toEqual([]);
    body = NEW_PEM;
    pass(DAY);
    await one();
    expect(await shown()).toMatchObject({ revoked: 2 });
    const { rows } = await registry.audit({ limit: 2 });
    expect(rows.map(({ actor, action }) => `${actor} ${action}`)).toEqual([
      'fabric pki.crl',
      'fabric pki.crl',
    ]);
  });

  test.each([
    ['of another CA', FOREIGN, /has signed it/],
    ['that is older', OLD, /older than the list that counts/],
    ['that is no list', '<html>', /no list of revoked certificates/],
    ['that is cut short', OLD.subarray(0, OLD.length - 9), /no list of revoked certificates/],
    ['with something behind it', Buffer.concat([OLD, OLD]), /no list of revoked certificates/],
  ])('stays as it was when one is published %s', async (_what, body, why) => {
    const { one, shown, context, id, registry } = await plant(root, await serving(body));
    await takeCrl.run(context, { id, crl: encodeBase64(derOf(NEW_PEM)) });
    expect(await one()).toMatchObject({ kind: 'failed', error: expect.stringMatching(why) });
    const ca = await shown();
    expect(ca).toMatchObject({ revoked: 2, crl: { fetched: null, error: expect.stringMatching(why) } });
    expect(Date.parse(ca.crl!.due)).toBeGreaterThan(Date.now());
    expect(await registry.dueLists(9)).toEqual([]);
  });

  test('is taken for fetched when it is as it was', async () => {
    const { one, shown, context, id } = await plant(root, await serving(OLD));
    await takeCrl.run(context, { id, crl: encodeBase64(OLD) });
    expect(await one()).toMatchObject({ kind: 'fetched' });
    expect(await shown()).toMatchObject({ revoked: 1, crl: { error: null } });
  });

  test('is fetched by a fabric that serves, also after it was stopped meanwhile', async () => {
    let silent = true;
    const url = await publisher((_request, response) => void (silent ? undefined : response.end(OLD)));
    const { path, registry, shown } = await plant(root, url);
    const first = keepLists(registry, HERE, () => {});
    await expect.poll(() => connectionsOf(servers[0]!), { timeout: 5_000 }).toBeGreaterThan(0);
    await first();
    expect(await shown()).toMatchObject({ crl: { fetched: null, error: null } });
    await registry.close();
    silent = false;
    const again = opened(path);
    const stop = keepLists(again, HERE, () => {});
    await expect.poll(async () => (await again.anchors())[0]!.revoked, { timeout: 10_000 }).toBe(1);
    await stop();
  });

  test('is not fetched again at once, however often its address is given', async () => {
    let [first, second] = [0, 0];
    const { registry, context, id } = await plant(
      root,
      await publisher((_request, response) => {
        first++;
        response.end(OLD);
      }),
    );
    const stop = keepLists(registry, HERE, () => {});
    await expect.poll(() => first, { timeout: 5_000 }).toBe(1);
    const [{ source } = { source: undefined }] = await registry.anchors();
    await fetchCrlFrom.run(context, { id, url: source!.url });
    const { view } = await addAnchor.run(context, {
      ...{ name: 'other', networks: ['plant'], admits: 'listed' },
      certificates: [encodeBase64(derOf(other.pem))],
    });
    const url = await publisher((_request, response) => {
      second++;
      response.end(FOREIGN);
    });
    await fetchCrlFrom.run(context, { id: view.id, url });
    await expect.poll(() => second, { timeout: 5_000 }).toBe(1);
    expect(first).toBe(1);
    await stop();
  });

  test('has no address any more when that is taken back, or the CA removed; what comes late is not recorded', async () => {
    const { registry, context, id, shown } = await plant(root, await serving(OLD));
    const [due] = await registry.dueLists(9);
    await fetchCrlFrom.run(context, { id, url: 'http://crl.example.org/other.crl' });
    await registry.recordFetch(due!, { kind: 'failed', due: 9e12, error: 'late' });
    expect(await shown()).toMatchObject({ crl: { error: null } });
    await fetchCrlFrom.run(context, { id, url: '' });
    expect((await shown()).crl).toBeNull();
    await fetchCrlFrom.run(context, { id, url: 'http://crl.example.org/other.crl' });
    await registry.removeAnchor('root', id);
    expect(await registry.dueLists(9)).toEqual([]);
  });

  test.each(['ftp://a.example/', 'no address', 'http://a:b@a.example/'])(
    'cannot have the address %j',
    async (url) => {
      const { context, id } = await plant(root, 'http://crl.example.org/');
      await expect(fetchCrlFrom.run(context, { id, url })).rejects.toMatchObject({
        code: 'pki.bad-crl-address',
      });
    },
  );
});

describe('an alarm', () => {
  const list = (thisUpdate: number, nextUpdate: number) => ({
    issuerHash: new Uint8Array(32),
    thisUpdate: thisUpdate / 1_000,
    nextUpdate: nextUpdate / 1_000,
    revoked: new Uint8Array(0),
  });

  test('tells of a list that ends soon or is overdue, of a short one later, and is over with a newer one', async () => {
    let now = 100 * DAY;
    const registry = opened(registryFile(), { now: () => now });
    await registry.addNetwork('root', NETWORK, 'plant');
    const { view } = await addAnchor.run(contextOf(registry), {
      ...{ name: 'CA', networks: ['plant'], admits: 'listed' },
      certificates: [encodeBase64(derOf(root.pem))],
    });
    await registry.takeList('root', view.id, list(now, now + 10 * DAY));
    expect(await registry.listsEnding()).toEqual([]);
    now += 9 * DAY;
    expect(await registry.listsEnding()).toMatchObject([
      { kind: 'crl.expiring', subject: `CA ${view.id}`, detail: { name: 'CA', overdue: false } },
    ]);
    now += 2 * DAY;
    expect(await registry.listsEnding()).toMatchObject([{ detail: { overdue: true } }]);
    await registry.takeList('root', view.id, list(now, now + DAY));
    expect(await registry.listsEnding()).toEqual([]);
    now += 0.8 * DAY;
    expect(await registry.listsEnding()).toHaveLength(1);
  });

  test('tells of one that never could be fetched, and says why', async () => {
    const { registry, one, pass } = await plant(root, await serving('<html>'));
    for (let times = 1; times <= 3; times++) {
      expect(await registry.listsEnding()).toEqual([]);
      await one();
      pass(DAY);
    }
    expect(await registry.listsEnding()).toMatchObject([
      { detail: { name: 'CA', error: expect.stringContaining('no list') } },
    ]);
  });
});

const connectionsOf = (server: Server): Promise<number> =>
  new Promise((resolve) => server.getConnections((_error, count) => resolve(count)));
