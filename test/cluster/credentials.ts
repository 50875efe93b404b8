import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { primitives } from '../../crypto/primitives.ts';
import { CREDENTIAL_FILE } from '../../factory/device/software.ts';
import type { EcdaaFace } from '../../native/ecdaa/ecdaa.ts';
import { addon } from '../../native/index.ts';
import { generateIssuer, groupPublicKey } from '../../protocol/crypto/issuer.ts';
import { generateMemberSecret } from '../../protocol/crypto/member.ts';
import type { Trust } from '../../protocol/identity/trust.ts';
import { encodeLabel } from '../../protocol/label.ts';

/** A batch whose devices have their keys in files, as `enf-factory device personalise --software` makes them, a hundred times as fast. */
export interface Batch {
  /** The text of its label. */
  readonly label: string;
  /** Writes the credential of one more device into a new folder. */
  personalise(folder: string): void;
}

const CREDENTIAL_LENGTH = 260;
/** Random bytes of a scalar. */
const DRAW = 65;

export function makeBatch(name: string, trust: Trust): Batch {
  const { secret: issuer, publicKey } = generateIssuer(primitives);
  const gpk = groupPublicKey(publicKey);
  const basename = new TextEncoder().encode(name);
  const native = addon() as EcdaaFace;
  return {
    label: encodeLabel({ gpk, basename, name }),
    personalise(folder) {
      const secret = generateMemberSecret(primitives);
      const issued = native.ecdaaIssue(
        issuer,
        native.ecdaaPublicPoint(secret)!,
        primitives.random(2 * DRAW),
      )!;
      mkdirSync(folder, { mode: 0o700 });
      const files = {
        [CREDENTIAL_FILE.secretKey]: secret,
        [CREDENTIAL_FILE.gpk]: gpk,
        [CREDENTIAL_FILE.credential]: issued.subarray(0, CREDENTIAL_LENGTH),
        [CREDENTIAL_FILE.credentialSignature]: issued.subarray(CREDENTIAL_LENGTH),
        [CREDENTIAL_FILE.basename]: basename,
        [CREDENTIAL_FILE.xttRoot]: trust.xttRoot,
        [CREDENTIAL_FILE.tlsRoot]: trust.tlsRoot,
      };
      for (const [file, content] of Object.entries(files))
        writeFileSync(join(folder, file), content, { mode: 0o600 });
    },
  };
}
