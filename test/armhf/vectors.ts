/** Run by an emulated Node.js: what the addon in ENF_ADDON computes, against recorded values. Prints one line of JSON. */
import { primitives } from '../../crypto/primitives.ts';
import type { EcdaaFace } from '../../native/ecdaa/ecdaa.ts';
import { addon } from '../../native/index.ts';
import { fromHex } from '../../protocol/bytes.ts';
import { vectors } from '../protocol/crypto/vectors.ts';

const face = addon() as EcdaaFace;
const nothing = new Uint8Array(0);
const wrong: string[] = [];
for (const [index, { member, signature, message, basename }] of vectors.signatures.entries()) {
  const { sk, credential, issuer } = vectors.members[member]!;
  const [text, base] = [fromHex(message), basename ? fromHex(basename) : nothing];
  const group = face.ecdaaGroup(fromHex(vectors.issuers[issuer]!.gpk), base, nothing, nothing)!;
  const recorded = fromHex(signature);
  const spoilt = recorded.map((byte, i) => (i === 20 ? byte ^ 1 : byte));
  const own = face.ecdaaSign(
    fromHex(sk),
    fromHex(credential.credential),
    text,
    base,
    primitives.random(195),
  )!;
  const verdicts = await face.ecdaaVerify(group, [recorded, own, spoilt], [text, text, text]);
  if ([...verdicts].join() !== '1,1,0') wrong.push(`signature ${index}: ${[...verdicts].join()}`);
}
process.stdout.write(
  `${JSON.stringify({ cpu: process.arch, arithmetic: face.ecdaaArithmetic(), signatures: vectors.signatures.length, wrong })}\n`,
);
