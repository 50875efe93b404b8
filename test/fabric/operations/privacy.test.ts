import { expect, test } from 'vitest';
import { changePrivacy, showPrivacy } from '../../../fabric/operations/privacy.ts';
import { opened, registryFile, seenBy, type TestContext } from '../place.ts';

const context = (): TestContext => ({
  ...seenBy(opened(registryFile(), { now: () => Date.parse('2026-01-02T03:04:05Z') })),
  running: { notify: async () => 'in force', presence: async () => undefined },
  actor: 'alice',
  now: Date.now,
});

test('[H-E23] what is kept is chosen one by one, and says who has chosen it', async () => {
  const on = context();
  expect(await showPrivacy.run(on, {})).toEqual({ addresses: 'whole', days: null, chosen: null });
  const { view, effect } = await changePrivacy.run(on, { days: 90 });
  expect([view, effect]).toEqual([
    { addresses: 'whole', days: 90, chosen: { of: 'host', by: 'alice', at: '2026-01-02T03:04:05.000Z' } },
    'in force',
  ]);
  expect((await changePrivacy.run(on, { addresses: 'cut' })).view).toMatchObject({
    addresses: 'cut',
    days: 90,
  });
  expect((await changePrivacy.run(on, { days: 0 })).view).toMatchObject({ addresses: 'cut', days: null });
});

test('[H-E23] two choices at the same moment both hold', async () => {
  const on = context();
  await Promise.all([changePrivacy.run(on, { addresses: 'none' }), changePrivacy.run(on, { days: 7 })]);
  expect(await showPrivacy.run(on, {})).toMatchObject({ addresses: 'none', days: 7 });
});

test.each([{}, { addresses: 'half' }, { days: -1 }, { days: 3_661 }, { days: 1.5 }, { other: 1 }])(
  '[H-E23] %j is refused, and changes nothing',
  async (input) => {
    const on = context();
    await expect(changePrivacy.run(on, input as never)).rejects.toMatchObject({ code: 'fabric.bad-input' });
    expect(await showPrivacy.run(on, {})).toMatchObject({ chosen: null });
  },
);
