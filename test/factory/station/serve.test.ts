import { expect, test } from 'vitest';
import { createGroup } from '../../../factory/group/group.ts';
import { openIdentity } from '../../../factory/station/identity.ts';
import { STEP } from '../../../factory/station/messages.ts';
import { type Serving, type StationEvent, serveBoards } from '../../../factory/station/serve.ts';
import { postPinned } from '../../../os/net/https.ts';
import { encodeUtf8 } from '../../../protocol/utf8.ts';
import { scratch, someTrust } from '../folders.ts';

const path = scratch();

test('who has no token fills no log; a mistake in the station is in it', async () => {
  const identity = await openIdentity(path('identity'));
  const group = await createGroup({ folder: path('group'), name: 'March', basename: encodeUtf8('b') });
  const events: StationEvent[] = [];
  const mistaken = async (): Promise<never> => {
    throw new TypeError('a mistake');
  };
  const served = await serveBoards({
    ...{ identity, group, trust: someTrust(), wantsCertificate: false, boards: 4, now: () => new Date() },
    enrolment: {
      open: 0,
      begin: mistaken,
      join: mistaken,
      prove: mistaken,
      done: mistaken,
      failed: mistaken,
    },
    address: { host: '127.0.0.1', port: 0 },
    emit: (event) => events.push(event),
  } satisfies Serving);
  const post = (step: string, body: string) =>
    postPinned({
      ...{ url: `https://127.0.0.1:${served.port}`, fingerprint: identity.fingerprint, path: step, body },
      ...{ timeoutMs: 5_000, answerBytes: 1_000 },
    });
  for (let i = 0; i < 30; i++) expect((await post(STEP.begin, '{}')).status).toBe(401);
  expect(events).toHaveLength(10);
  const session = '0'.repeat(32);
  const failed = post(STEP.failed, JSON.stringify({ session, code: 'tpm.lost', message: '' }));
  await expect(failed).rejects.toMatchObject({ code: 'net.unreachable' });
  expect(events.at(-1)).toMatchObject({ event: 'error', message: 'TypeError: a mistake' });
  await served.close();
  expect(events.at(-1)).toMatchObject({ event: 'refused', code: 'factory.token-refused', more: 19 });
  expect(events).toHaveLength(12);
});
