import { parseConfig } from '../../../agent/config/config.ts';
import { openKeys } from '../../../agent/identity/keys.ts';
import { type Exchange, provision } from '../../../agent/identity/provision.ts';
import { openStore } from '../../../agent/state/state.ts';
import { drawMemberSecret, memberPoint } from '../../../crypto/member-secret.ts';
import { primitives } from '../../../crypto/primitives.ts';
import { openFolder } from '../../../os/files/folder.ts';
import { ERROR_MESSAGE } from '../../../protocol/xtt/message.ts';
import { openTpm } from '../../../tpm/context.ts';
import { PLATFORM_MAP } from '../../../tpm/handles.ts';
import { writeObjects } from '../../../tpm/personalise.ts';
import { createSealedSecret } from '../../../tpm/sealed-secret.ts';
import { identityServer } from '../identity-server.ts';

/*
 * A device that is personalised with a sealed secret, and then provisions, well or refused at its signature. It stops after each, with its TPM
 * still open after the second: its memory is looked at.
 */

const [, , tcti, state, end] = process.argv as unknown as [string, string, string, string, string];

const stopped = (at: string): Promise<unknown> => {
  process.send!(at);
  return new Promise((resolve) => process.once('message', resolve));
};

const server = await identityServer();
const tpm = await openTpm(tcti);
const maker = { draw: () => drawMemberSecret(primitives), pointOf: memberPoint };
const { publicPoint } = await createSealedSecret(tpm, PLATFORM_MAP, maker);
const { gpk, credential, signature } = server.issue(publicPoint);
await writeObjects(tpm, PLATFORM_MAP, {
  ...{ gpk, credential, credentialSignature: signature, basename: server.basename },
  ...{ xttRoot: server.rootCertificate, tlsRoot: 'a PEM text' },
});
await stopped('personalised');
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
