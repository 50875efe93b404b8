import Type, { type TSchema } from 'typebox';
import {
  AccountsView,
  CodesLeftView,
  ElsewhereView,
  Me,
  PasskeysView,
  PasskeyView,
  RecoveryCodesView,
  RemovedPasskeyView,
  SignInWaysView,
} from '../account/views.ts';
import { details, shown } from '../operations/contract/output.ts';
import { EVENTS } from '../operations/views/events.ts';

const NOTHING = shown({}, 'Nothing.');

/** What each request of signing in, and of what a person does for itself, answers. */
export const ACCOUNT_ANSWERS: Readonly<Record<string, TSchema>> = {
  setup: Me,
  'sign-in': Me,
  'sign-out': NOTHING,
  'sign-out-everywhere': NOTHING,
  me: Me,
  'passkey-sign-in-options': details(
    'The JSON that `PublicKeyCredential.parseRequestOptionsFromJSON()` takes.',
  ),
  'passkey-sign-in': Me,
  confirm: NOTHING,
  'passkey-confirm-options': details(
    'The JSON that `PublicKeyCredential.parseRequestOptionsFromJSON()` takes.',
  ),
  'passkey-confirm': NOTHING,
  'sign-in-ways': SignInWaysView,
  'account-sign-in': ElsewhereView,
  'account-confirm': ElsewhereView,
  'account-list': AccountsView,
  'account-add': ElsewhereView,
  'account-remove': NOTHING,
  'passkey-list': PasskeysView,
  'passkey-options': details('The JSON that `PublicKeyCredential.parseCreationOptionsFromJSON()` takes.'),
  'passkey-add': PasskeyView,
  'passkey-remove': RemovedPasskeyView,
  events: Type.String({
    description:
      'Events, each with `id`, `event` and `data`, a JSON object; `x-events` describes it by the name of the event. An `id` alone begins a stream; lines that begin with a colon say nothing.',
    examples: ['id: 1767323045679\nevent: device\ndata: {"address":"fd00:8f80:8000:1::17"}\n\n'],
  }),
  'password-change': Me,
  'recovery-codes-left': CodesLeftView,
  'recovery-codes': RecoveryCodesView,
};

/** The data of each event of a stream; what `reset` says is in its name: events are left out, read the lists anew. */
export const STREAM_EVENTS: Readonly<Record<string, TSchema>> = {
  ...EVENTS,
  reset: shown({}, 'Events are left out: read the lists anew.'),
};
