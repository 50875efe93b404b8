import { expect, test } from 'vitest';
import { parseConfig } from '../../../agent/config/config.ts';
import { checkNetwork, describeNetwork } from '../../../agent/doctor/netcheck.ts';
import { Failure } from '../../../protocol/failure.ts';
import { fakeProbes } from '../probes.ts';

const refused =
  (port: number) =>
  async (_: string, asked: number): Promise<number> => {
    if (asked === port) throw new Failure('net.unreachable', 'retry', 'refused');
    return 3;
  };
const nobody = async () => ({
  ...{
    generation: undefined,
    address: undefined,
    keyKind: undefined,
    unfinished: false,
    decommissioned: false,
  },
  ...{ lastGoodMs: undefined, bad: [], quarantined: [] },
});

test('both ports and a router of the fabric: a tunnel can be set up', async () => {
  const report = await checkNetwork(fakeProbes());
  expect(report).toMatchObject({ usable: true, provisionable: true, provisioned: true });
  expect(describeNetwork(report)).toMatch(/A tunnel can be set up from here\.$/);
});

test('the routers of a service are tried on their own ports', async () => {
  const asked: string[] = [];
  const report = await checkNetwork(
    fakeProbes({
      config: parseConfig('[remote]\nhosts = ["_enf._tcp.example.org"]', 'test'),
      lookup: async (name) => (name.startsWith('_enf.') ? ['1 0 8443 a.example.org'] : ['192.0.2.7']),
      connect: async (address, port) => asked.push(`${address} ${port}`),
      tls: async (address, port) => {
        asked.push(`tls ${address} ${port}`);
        return { verdict: 'trusted', connectMs: 3, handshakeMs: 8 };
      },
    }),
  );
  expect(report).toMatchObject({
    usable: true,
    addresses: [{ host: 'a.example.org', address: '192.0.2.7' }],
  });
  expect(asked.slice(0, 3)).toEqual(['192.0.2.7 8443', '192.0.2.7 444', 'tls 192.0.2.7 8443']);
});

test('the port of the identity server counts for a device that has no identity yet', async () => {
  const connect = refused(444);
  const known = await checkNetwork(fakeProbes({ connect }));
  expect(known).toMatchObject({ usable: true, provisionable: false });
  expect(describeNetwork(known)).toMatch(
    /answers nowhere, which a device that has its identity does not need\.$/,
  );
  const fresh = await checkNetwork(fakeProbes({ connect, state: nobody }));
  expect(fresh).toMatchObject({ usable: false, provisionable: false, provisioned: false });
  expect(describeNetwork(fresh)).toMatch(/A tunnel can be set up from here, but .* cannot get one\.$/);
});

test('a state that this user cannot read does not make a network unusable', async () => {
  const state = async () => {
    throw new Failure('os.not-readable', 'operator', 'not permitted', { action: 'Ask root.' });
  };
  const report = await checkNetwork(fakeProbes({ connect: refused(444), state }));
  expect(report).toMatchObject({ usable: true, provisioned: null });
});

test('without a router of the fabric nothing can be set up', async () => {
  const tls = async () =>
    ({ verdict: 'foreign', reason: 'self-signed', connectMs: 1, handshakeMs: 1 }) as const;
  const report = await checkNetwork(fakeProbes({ tls }));
  expect(report.usable).toBe(false);
  expect(describeNetwork(report)).toMatch(/No tunnel can be set up from here\.$/);
});
