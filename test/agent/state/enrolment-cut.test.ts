import { createPublicKey } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseConfig } from '../../../agent/config/config.ts';
import { certificateKeys } from '../../../agent/identity/certificate-keys.ts';
import { type EnrolledSession, enrolledIdentity } from '../../../agent/identity/enrolled.ts';
import { openStore, type SavedCertificate, type Store } from '../../../agent/state/state.ts';
import { openFolder } from '../../../os/files/folder.ts';
import { systemLookup } from '../../../os/net/lookup.ts';
import { fromHex } from '../../../protocol/bytes.ts';
import { namesIn } from '../../../protocol/identity/certificate-request.ts';
import { type EstServer, startEstServer } from '../est-server.ts';
import { fragile, type Power, PowerCut, power, temporaryFolder } from '../folders.ts';

const ADDRESS = 'fd00:e4f:1:0:a::1';

let server: EstServer;
beforeAll(async () => {
  server = await startEstServer();
});
afterAll(() => server.close());

interface Start {
  readonly session: EnrolledSession;
  readonly store: Store;
}

/** One start of a device over its state. */
async function start(state: string, supply: Power): Promise<Start> {
  const config = parseConfig(
    `[remote]\nhosts = ["127.0.0.1"]\ntls-root = "${server.tlsRoot}"\n[identity]\nmode = "pki"\nkey-in = "file"\nest-server = "${server.url}"\n[state]\ndirectory = "${state}"`,
    'test',
  );
  const store = await openStore(fragile(await openFolder(state), supply));
  const session = enrolledIdentity({
    ...{ config, store: async () => store, lookup: systemLookup, proxy: undefined, mark: 0 },
    ...{ wallMs: Date.now, steadyMs: () => 0, log: () => {}, note: () => {} },
    stopping: new AbortController().signal,
  });
  return { session, store };
}

/** The whole story: enrolled, connected, renewed, connected with what the fabric takes. Steps of the network count as those of the disk. */
async function live({ session, store }: Start, code: string, supply: Power): Promise<void> {
  if (store.record.enrolment?.current === undefined)
    await supply.step('enroll', () => session.enroll(code, false));
  await session.prepare();
  await session.tls();
  await session.heard('taken');
  await supply.step('renew', () => session.provision());
  await session.tls();
  await session.heard('taken');
}

/** That a certificate, its key and the fabric belong together: the server has issued it for that key. */
async function works({ chain, key, address }: SavedCertificate): Promise<void> {
  expect(address).toBe(ADDRESS);
  const config = parseConfig('[remote]\nhosts = ["f"]\n[identity]\nmode = "pki"', 'test');
  const keys = certificateKeys(config, new AbortController().signal);
  const loaded = await keys.load(key);
  const der = fromHex(chain[0]!);
  expect(namesIn(der)).toBeDefined();
  const spki = createPublicKey(
    `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----`,
  );
  const point = spki.export({ type: 'spki', format: 'der' }).subarray(-65);
  expect(Buffer.from(loaded.publicKey).toString('hex')).toBe(point.toString('hex'));
  await keys.close();
}

let codes = 0;
function newCode(): string {
  const code = `cut-${++codes}`;
  server.codes.set(code, ADDRESS);
  return code;
}

const STEPS = [
  ...['enroll', 'write state-0', 'write state-1'],
  ...['renew', 'write state-0', 'write state-1'],
  ...['write state-0', 'write state-1'],
];

test('an enrolment and a renewal have these steps', async () => {
  const supply = power();
  await live(await start(temporaryFolder(), supply), newCode(), supply);
  expect(supply.steps).toEqual(STEPS);
});

for (let cutAt = 0; cutAt < 2 * STEPS.length; cutAt++) {
  const where = `${cutAt % 2 === 0 ? 'before' : 'after'} step ${(cutAt >> 1) + 1}, ${STEPS[cutAt >> 1]}`;

  test(`power cut ${where}: the next start has an identity that works, or the same code and key give it`, async () => {
    const state = temporaryFolder();
    const code = newCode();
    const supply = power(cutAt);
    await expect(start(state, supply).then((begun) => live(begun, code, supply))).rejects.toBeInstanceOf(
      PowerCut,
    );
    const asked = server.requests.filter((request) => request.code === code && request.key !== undefined);
    const again = await start(state, power());
    const { current, former } = again.store.record.enrolment ?? {};
    // What the fabric may have heard of is here, and so is what was used before.
    for (const each of [current, former]) if (each !== undefined) await works(each);
    expect(current !== undefined || cutAt >> 1 < 3).toBe(true);
    await live(again, code, power());
    const { enrolment } = (await start(state, power())).store.record;
    expect(Object.keys(enrolment!)).toEqual(['current']);
    await works(enrolment!.current!);
    // Whatever was asked for with the code was for one key.
    const keys = server.requests.flatMap((request) =>
      request.code === code && request.key !== undefined ? [request.key] : [],
    );
    expect([new Set(keys).size, keys.length >= asked.length]).toEqual([1, true]);
  });
}
