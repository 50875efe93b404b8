import { KEPT_ADDRESSES, type KeptAddresses, type PrivacySetting } from '../registry/privacy.ts';
import { badInput, oneOf, optional, whole } from './contract/input.ts';
import { type Changed, isoTime, operation, type ReadContext } from './contract/operation.ts';
import type { PrivacyView } from './views/privacy.ts';

/** Ten years. */
const MOST_DAYS = 3_660;

/** What is kept of where the devices of an owner come from. */
export const showPrivacy = operation<Record<never, never>, PrivacyView, ReadContext>(
  'privacy-show',
  {},
  async ({ registry }) => privacyView(await registry.privacy()),
);

/**
 * Chooses what is kept of what is the owner's, from then on and of what is there (`days` 0: handshakes stay); the host chooses for what is nobody's,
 * and for owners who have not chosen. What is forgotten does not come back.
 */
export const changePrivacy = operation<
  { addresses?: KeptAddresses | undefined; days?: number | undefined },
  Changed<PrivacyView>
>(
  'privacy-change',
  { addresses: optional(oneOf(...KEPT_ADDRESSES)), days: optional(whole(0, MOST_DAYS)) },
  async (context, input) => {
    const { registry, running, actor } = context;
    if (input.addresses === undefined && input.days === undefined)
      throw badInput('addresses', 'or days has to be given');
    await registry.setPrivacy(actor, input);
    return { view: privacyView(await registry.privacy()), effect: await running.notify() };
  },
);

const privacyView = ({ addresses, days, chosen }: PrivacySetting): PrivacyView => ({
  addresses,
  days: days ?? null,
  chosen: chosen === undefined ? null : { of: chosen.of, by: chosen.by ?? null, at: isoTime(chosen.at) },
});
