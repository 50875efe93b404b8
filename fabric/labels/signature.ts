import { isLabelOf, makerFingerprint } from '../../crypto/maker-key.ts';
import { Failure } from '../../protocol/failure.ts';
import type { Label } from '../../protocol/label.ts';

/** What is known of a label's signature; `maker`: what the key is known by that has made it, 32 bytes. */
export type LabelSignature =
  | { readonly kind: 'none' | 'wrong' | 'not-checked' }
  | { readonly kind: 'good'; readonly maker: Uint8Array };

/** By the key that was given (PEM), whose it has to be. @throws Failure `factory.bad-maker-key` */
export function signatureBy(label: Label, makerKey: string): LabelSignature {
  const isOf = isLabelOf(makerKey, label);
  if (isOf === undefined) return { kind: 'none' };
  return isOf ? { kind: 'good', maker: makerFingerprint(makerKey) } : { kind: 'wrong' };
}

/** By keys of makers of whom there is something already. Somebody else's is not wrong: that maker is not known. */
export function signatureByKnown(label: Label, makerKeys: readonly string[]): LabelSignature {
  if (label.signature === undefined) return { kind: 'none' };
  const signer = makerKeys.find((each) => isLabelOf(each, label));
  return signer === undefined ? { kind: 'not-checked' } : { kind: 'good', maker: makerFingerprint(signer) };
}

/** A label has to be signed by the maker with this key (PEM). @throws Failure `label.other-maker`, `factory.bad-maker-key` */
export function requireSigned(label: Label, makerKey: string): void {
  const { kind } = signatureBy(label, makerKey);
  if (kind === 'good') return;
  const why = kind === 'none' ? 'has no signature' : 'is not signed with the key of the maker that was given';
  throw new Failure('label.other-maker', 'operator', `the label ${why}`, {
    action:
      'Ask the maker for the label of this batch and for maker.pub; somebody else may have made this label.',
  });
}
