import { describe, expect, test } from 'vitest';
import { eventsIn, FEW_LINES } from '../../lines.ts';
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
      await own.close();
      expect(log.length).toBeLessThan(FEW_LINES);
      expect(eventsIn(log)).toBe(202 + 1);
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
  let counted = 0;
  const { refused: write } = registry;
  registry.refused = (handshake, unlisted = 0) => {
    counted += unlisted;
    return write(handshake, unlisted);
  };
  for (let i = 0; i < 300; i++) {
    const socket = await dialed(server.port);
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.resume();
    socket.end('GET / HTTP/1.1\r\n\r\n');
    await ended;
  }
  await idle(server);
  await server.close(0);
  const rows = await allOf((page) => registry.handshakes(page));
  expect(new Set(rows.map(({ result }) => result))).toEqual(new Set(['xtt.bad-header']));
  expect(rows.length).toBeLessThan(300);
  expect(rows.length + counted).toBe(300);
  expect(log.length).toBeLessThan(FEW_LINES);
  expect(eventsIn(log)).toBe(300);
  await own.close();
});
