import { KEPT_ADDRESSES } from '../../registry/privacy.ts';
import { count, named, orNull, type Shown, shown, time, wordOf, words } from '../contract/output.ts';

/** What is kept of where devices come from. */
export const PrivacyView = named('Privacy', 'What is kept of where devices come from.', {
  addresses: wordOf(KEPT_ADDRESSES, 'All of an address, its network (/24 or /48), or nothing.'),
  days: orNull(count('After so many days handshakes are counted only; null: they stay.')),
  changed: orNull(
    shown({ by: words('Who.'), at: time('When.') }, 'Who has chosen that, and when; null: nobody.'),
  ),
});
export type PrivacyView = Shown<typeof PrivacyView>;
