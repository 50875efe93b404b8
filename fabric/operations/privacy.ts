import { KEPT_ADDRESSES, type KeptAddresses, type PrivacySetting } from '../registry/privacy.ts';
import { badInput, oneOf, optional, whole } from './contract/input.ts';
import { type Changed, isoTime, operation, type ReadContext, wholeOf } from './contract/operation.ts';
import type { PrivacyView } from './views/privacy.ts';

/** Ten years. */
const MOST_DAYS = 3_660;

/** What is kept of where devices come from. */
export const showPrivacy = operation<Record<never, never>, PrivacyView, ReadContext>(
  'privacy-show',
  {},
  async ({ registry }) => privacyView(await registry.privacy()),
);

/** Chooses what is kept, from then on and of what is there (`days` 0: handshakes stay). What is forgotten does not come back. */
export const changePrivacy = operation<
  { addresses?: KeptAddresses | undefined; days?: number | undefined },
  Changed<PrivacyView>
>(
  'privacy-change',
  { addresses: optional(oneOf(...KEPT_ADDRESSES)), days: optional(whole(0, MOST_DAYS)) },
  async (context, input) => {
    const { running, actor } = context;
    const registry = wholeOf(context);
    if (input.addresses === undefined && input.days === undefined)
      throw badInput('addresses', 'or days has to be given');
    await registry.setPrivacy(actor, input);
    return { view: privacyView(await registry.privacy()), effect: await running.notify() };
  },
);

const privacyView = ({ addresses, days, changed }: PrivacySetting): PrivacyView => ({
  addresses,
  days: days ?? null,
  changed: changed === undefined ? null : { by: changed.by, at: isoTime(changed.at) },
});
