import { describe, expect, test } from 'vitest';
import { type Attempt, type Chip, dialed, provision } from '../device.ts';
import { allOf } from '../place.ts';
import { idle, openTestServer, type TestServer } from './fixture.ts';

const at = ({ server, root, batch }: TestServer, chip: Chip): Attempt => ({
  port: server.port,
  root,
  gid: batch.gid,
  chip,
});

/** Hundreds of handshakes on a busy machine. */
const LONG_MS = 600_000;

const refused = { code: 'xtt.error-received' };

describe('[H-A6] a chip that provisions again and again', () => {
  test(
    'gets the same address each time; rows and lines are bounded, and nobody else is kept waiting',
    async () => {
      const own = await openTestServer();
      const { registry, batch, log } = own;
      const attempt = at(own, await batch.chip());
      const { identity } = await provision(attempt);
      for (let i = 0; i < 200; i++) expect((await provision(attempt)).identity).toEqual(identity);
      const last = await provision(attempt);
      expect((await registry.device(identity)).longtermKey).toEqual(last.longtermKey);
      await provision(at(own, await batch.chip()));

      expect(await allOf((page) => registry.handshakes(page))).toHaveLength(50 + 1);
      expect(await registry.handshakeCounts(await registry.device(identity))).toMatchObject([
        { result: 'ok', times: 202 - 50 },
      ]);
      expect((await allOf((page) => registry.audit(page))).length).toBeLessThanOrEqual(10);
      await registry.verifyAudit();
      expect(log).toHaveLength(3 + 1);
      await own.close();
      expect(log.at(-1)).toMatch(/^info .* provisioned from 127\.0\.0\.1 \(and 198 more like it in 60 s\)$/);
    },
    LONG_MS,
  );

  test('is refused beyond its rate without a verification, for a while, and others are not', async () => {
    let ms = 0;
    const own = await openTestServer({ chipRate: { burst: 3, periodMs: 10_000 }, now: () => ms });
    const { registry, batch } = own;
    let admitted = 0;
    const { admit } = registry;
    registry.admit = (applicant) => {
      admitted++;
      return admit(applicant);
    };
    const attempt = at(own, await batch.chip());
    for (let i = 0; i < 3; i++) await provision(attempt);
    const spoilt: Attempt = {
      ...attempt,
      alter: (claim) => ({
        ...claim,
        daaSignature: claim.daaSignature.with(63, claim.daaSignature[63]! ^ 1),
      }),
    };
    for (const each of [attempt, spoilt]) await expect(provision(each)).rejects.toMatchObject(refused);
    expect(await own.last()).toMatchObject({ result: 'fabric.provisions-too-often', proven: false });
    expect(admitted).toBe(3);
    await provision(at(own, await batch.chip()));
    ms = 10_000;
    await provision(attempt);
    await expect(provision(attempt)).rejects.toMatchObject(refused);
    await own.close();
  });

  test('is refused, too, if it comes with many handshakes at once', async () => {
    const own = await openTestServer({ chipRate: { burst: 3, periodMs: 3_600_000 } });
    const attempt = at(own, await own.batch.chip());
    const results = await Promise.allSettled(Array.from({ length: 30 }, () => provision(attempt)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    await own.close();
  });

  test('has nothing used up by somebody who cannot prove to be it', async () => {
    const own = await openTestServer({ chipRate: { burst: 1, periodMs: 3_600_000 } });
    const { batch } = own;
    const attempt = at(own, await batch.chip());
    const forged: Attempt = {
      ...attempt,
      alter: (claim) => ({
        ...claim,
        daaSignature: claim.daaSignature.with(63, claim.daaSignature[63]! ^ 1),
      }),
    };
    for (let i = 0; i < 2; i++) await expect(provision(forged)).rejects.toMatchObject(refused);
    expect(await own.last()).toMatchObject({ result: 'xtt.bad-group-signature' });
    await provision(attempt);
    await own.close();
  });
});

test('[H-A6] a source that sends nonsense costs so many rows and lines, and all of it is counted', async () => {
  const own = await openTestServer();
  const { server, registry, log } = own;
  for (let i = 0; i < 300; i++) {
    const socket = await dialed(server.port);
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.resume();
    socket.end('GET / HTTP/1.1\r\n\r\n');
    await ended;
  }
  await idle(server);
  const rows = await allOf((page) => registry.handshakes(page));
  expect(rows.map(({ result }) => result)).toEqual(Array(100).fill('xtt.bad-header'));
  expect(log).toHaveLength(1);
  let counted = 0;
  const write = registry.refused;
  registry.refused = (handshake, unlisted = 0) => {
    counted += 1 + unlisted;
    return write(handshake, unlisted);
  };
  await server.close(0);
  expect(counted).toBe(200);
  expect(log).toHaveLength(2);
  await own.close();
});
