import { parseConfig } from '../../../agent/config/config.ts';
import { openKeys } from '../../../agent/identity/keys.ts';
import { type Exchange, provision } from '../../../agent/identity/provision.ts';
import { openStore } from '../../../agent/state/state.ts';
import { drawMemberSecret, memberPoint } from '../../../crypto/member-secret.ts';
import { primitives } from '../../../crypto/primitives.ts';
import { openFolder } from '../../../os/files/folder.ts';
import { wipe } from '../../../protocol/bytes.ts';
import { ERROR_MESSAGE } from '../../../protocol/xtt/message.ts';
import { openTpm, type Tpm } from '../../../tpm/context.ts';
import { PLATFORM_MAP } from '../../../tpm/handles.ts';
import { writeObjects } from '../../../tpm/personalise.ts';
import { createSealedSecret, openSealedSecret } from '../../../tpm/sealed-secret.ts';
import { identityServer } from '../identity-server.ts';

/*
 * A device that is personalised with a sealed secret, and then provisions, well or refused at its signature. It stops in between, with its TPM
 * open or closed: its memory is looked at.
 */

const [, , tcti, state, end] = process.argv as unknown as [string, string, string, string, string];

const stopped = (at: string): Promise<unknown> => {
  process.send!(at);
  return new Promise((resolve) => process.once('message', resolve));
};

const server = await identityServer();
const tpm = await openTpm(tcti);
const maker = { draw: () => drawMemberSecret(primitives), pointOf: memberPoint };
const watched: Tpm = Object.create(tpm, {
  call: {
    async value(...call: Parameters<Tpm['call']>) {
      const answer = await tpm.call(...call);
      // The secret is still needed: it is there once.
      if (call[0] === 'seal') await stopped('sealing');
      return answer;
    },
  },
  ask: { value: tpm.ask.bind(tpm) },
  alive: { get: () => tpm.alive },
  generation: { get: () => tpm.generation },
});
const { publicPoint } = await createSealedSecret(watched, PLATFORM_MAP, maker);
await stopped('sealed');
const { gpk, credential, signature } = server.issue(publicPoint);
await writeObjects(tpm, PLATFORM_MAP, {
  ...{ gpk, credential, credentialSignature: signature, basename: server.basename },
  ...{ xttRoot: server.rootCertificate, tlsRoot: 'a PEM text' },
});
const opened = await openSealedSecret(tpm, PLATFORM_MAP.daaKey);
await stopped('unsealed');
wipe(opened);
await tpm.close();
await stopped('closed');

function connect(): Exchange {
  const honest = server.connect();
  let messages = 0;
  return {
    ...honest,
    receive: async () => (messages++ > 0 && end === 'refused' ? ERROR_MESSAGE : honest.receive()),
  };
}

const keys = await openKeys(parseConfig(`[remote]\nhosts = ["a"]\n[tpm]\ntcti = "${tcti}"\n`, 'x'));
const done = await provision({
  ...{
    keys,
    store: await openStore(await openFolder(state)),
    suite: 1,
    requestedIdentity: new Uint8Array(16),
  },
  connect: async () => connect(),
  links: () => [],
  nowMs: () => 0,
}).catch((error: { readonly code: string }) => error.code);
await stopped(typeof done === 'string' ? done : 'provisioned');
process.disconnect();
process.exit();
