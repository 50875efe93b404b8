import { primitives } from '../../crypto/primitives.ts';
import { createFolder, requireEmpty } from '../../os/files/create.ts';
import { toHex, wipe } from '../../protocol/bytes.ts';
import { generateMemberSecret, softwareDaaKey } from '../../protocol/crypto/member.ts';
import type { Trust } from '../../protocol/identity/trust.ts';
import { type Marks, recordDevice, recordIssued } from '../batch/record.ts';
import type { Row } from '../batch/row.ts';
import type { Group } from '../group/group.ts';
import { admitMember } from '../group/join.ts';
import { memberName } from '../group/names.ts';

/** The files of a credential folder, named as the C programs name them. */
export const CREDENTIAL_FILE = {
  gpk: 'daa_gpk.bin',
  credential: 'daa_cred.bin',
  credentialSignature: 'daa_cred_sig.bin',
  secretKey: 'daa_secretkey.bin',
  basename: 'basename.bin',
  xttRoot: 'root_cert.bin',
  tlsRoot: 'tls_root.pem',
} as const;

/**
 * Creates a device of the group whose key is stored in files, for machines without a TPM: a new folder with
 * everything that the agent reads. Unlike a key in a TPM, this key can be copied. The journal knows of the credential before a file does.
 * @throws Failure `os.exists` if the folder has content, those of `recordIssued` and of `admitMember`
 */
export async function personaliseSoftware(request: {
  group: Group;
  issuerSecret: Uint8Array;
  trust: Trust;
  marks?: Marks;
  folder: string;
  progress: (step: string) => void;
}): Promise<Row> {
  const { group, issuerSecret, trust, folder, progress } = request;
  const secret = generateMemberSecret(primitives);
  try {
    const key = softwareDaaKey(primitives, secret);
    progress('member key created');
    await requireEmpty(folder);
    const { credential, signature, pseudonym } = await admitMember(group, issuerSecret, key);
    const facts = {
      ...request.marks,
      member: memberName(key.publicPoint),
      pseudonym: toHex(pseudonym),
      tpm: 'software',
      resident: false,
    };
    await recordIssued(group, facts);
    progress('credential issued and checked');
    await createFolder(folder, [
      { name: CREDENTIAL_FILE.secretKey, content: secret },
      { name: CREDENTIAL_FILE.gpk, content: group.gpk, mode: 0o644 },
      { name: CREDENTIAL_FILE.credential, content: credential, mode: 0o644 },
      { name: CREDENTIAL_FILE.credentialSignature, content: signature, mode: 0o644 },
      { name: CREDENTIAL_FILE.basename, content: group.basename, mode: 0o644 },
      { name: CREDENTIAL_FILE.xttRoot, content: trust.xttRoot, mode: 0o644 },
      { name: CREDENTIAL_FILE.tlsRoot, content: trust.tlsRoot, mode: 0o644 },
    ]);
    progress('files written');
    const { row } = await recordDevice(group, facts);
    return row;
  } finally {
    wipe(secret, issuerSecret);
  }
}
