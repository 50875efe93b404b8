import { KEPT_ADDRESSES, PRIVACY_CHOOSERS } from '../../registry/privacy.ts';
import { count, named, orNull, type Shown, shown, time, wordOf, words } from '../contract/output.ts';

/** What is kept of where devices come from. */
export const PrivacyView = named('Privacy', 'What is kept of where devices come from.', {
  addresses: wordOf(KEPT_ADDRESSES, 'All of an address, its network (/24 or /48), or nothing.'),
  days: orNull(count('After so many days handshakes are counted only; null: they stay.')),
  chosen: orNull(
    shown(
      {
        of: wordOf(PRIVACY_CHOOSERS, 'The owner, or the host for owners who have not chosen.'),
        by: orNull(words('Who; null where an owner asks for what the host has chosen.')),
        at: time('When.'),
      },
      'Who has chosen that; null: nobody.',
    ),
  ),
});
export type PrivacyView = Shown<typeof PrivacyView>;
