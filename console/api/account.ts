import type {
  AccountsView,
  CodesLeftView,
  ElsewhereView,
  Me,
  PasskeysView,
  PasskeyView,
  RecoveryCodesView,
  SignInWaysView,
} from '../../fabric/account/views.ts';
import { send } from './http.ts';

export type { Me, PasskeyView };

/** Signing in, and what a person does for itself. Each throws a Problem. */
export const account = {
  me: () => send<Me>('GET', '/me'),
  signIn: (name: string, password: string) => send<Me>('POST', '/session', { name, password }),
  setUp: (invite: string, name: string, password: string) =>
    send<Me>('POST', '/setup', { invite, name, password }),
  ways: () => send<SignInWaysView>('GET', '/session/ways'),
  signInElsewhere: () => send<ElsewhereView>('POST', '/session/account'),
  confirmElsewhere: () => send<ElsewhereView>('POST', '/session/confirm/account'),
  accounts: () => send<AccountsView>('GET', '/accounts'),
  addAccount: () => send<ElsewhereView>('POST', '/accounts'),
  removeAccount: (issuer: string) => send<object>('POST', '/accounts/remove', { issuer }),
  confirm: (password: string) => send<object>('POST', '/session/confirm', { password }),
  confirmByPasskey: () => byPasskey<object>('/session/confirm/passkey'),
  signOut: () => send<object>('DELETE', '/session'),
  signOutEverywhere: () => send<object>('DELETE', '/sessions'),
  changePassword: (current: string | undefined, password: string) =>
    send<Me>('POST', '/password', { ...(current !== undefined && { current }), password }),
  recoveryCodesLeft: () => send<CodesLeftView>('GET', '/recovery-codes'),
  makeRecoveryCodes: () => send<RecoveryCodesView>('POST', '/recovery-codes'),
  passkeys: () => send<PasskeysView>('GET', '/passkeys'),
  removePasskey: (id: number) => send<object>('DELETE', `/passkeys/${id}`),
  addPasskey: async (name: string) => {
    const options = await send<PublicKeyCredentialCreationOptionsJSON>('POST', '/passkeys/options');
    const made = await navigator.credentials.create({
      publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
    });
    return send<PasskeyView>('POST', '/passkeys', { name, response: answerOf(made) });
  },
  signInByPasskey: () => byPasskey<Me>('/session/passkey'),
};

/** Sends to `path` what the browser's authenticator answers to the options there. */
async function byPasskey<View>(path: string): Promise<View> {
  const options = await send<PublicKeyCredentialRequestOptionsJSON>('POST', `${path}/options`);
  const signed = await navigator.credentials.get({
    publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options),
  });
  return send<View>('POST', path, { response: answerOf(signed) });
}

/** Passkeys need a secure context: TLS, or a name of this machine. */
export const hasPasskeys = (): boolean =>
  globalThis.isSecureContext &&
  typeof globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON === 'function';

/** The fields of an authenticator's answer that the API takes. */
function answerOf(credential: Credential | null): object {
  const { id, rawId, type, response } = (credential as PublicKeyCredential).toJSON() as unknown as {
    id: string;
    rawId: string;
    type: string;
    response: Record<string, string | undefined>;
  };
  const { clientDataJSON, attestationObject, authenticatorData, signature } = response;
  return { id, rawId, type, response: { clientDataJSON, attestationObject, authenticatorData, signature } };
}
