import { Failure } from '../protocol/failure.ts';
import { ALGORITHM, ATTRIBUTE, CURVE, type EccPublic, parsePublic, uncompressed } from './structures.ts';

const REQUIRED = [
  ['fixedTPM', ATTRIBUTE.fixedTpm],
  ['fixedParent', ATTRIBUTE.fixedParent],
  ['sensitiveDataOrigin', ATTRIBUTE.sensitiveDataOrigin],
  ['sign', ATTRIBUTE.sign],
] as const;

const FORBIDDEN = [
  ['restricted', ATTRIBUTE.restricted],
  ['decrypt', ATTRIBUTE.decrypt],
] as const;

const COORDINATE = 32;

/**
 * Checks that a TPMT_PUBLIC is an ECDAA key on BN_P256 that was made inside this TPM and cannot leave it, and returns
 * its point (65 bytes). That the point is on the curve shows when the key signs.
 * @throws Failure `tpm.bad-public-area` with everything that is wrong
 */
export function checkPublicArea(publicArea: Uint8Array): Uint8Array {
  const { type, ecc } = parsePublic(publicArea);
  if (ecc === undefined) throw badPublicArea([`type 0x${type.toString(16)}, ECC expected`]);
  const wrong = [...attributeFaults(ecc.attributes), ...parameterFaults(ecc)];
  if (wrong.length > 0) throw badPublicArea(wrong);
  return uncompressed(ecc.x, ecc.y);
}

function attributeFaults(attributes: number): string[] {
  return [
    ...REQUIRED.filter(([, bit]) => (attributes & bit) === 0).map(([name]) => `not ${name}`),
    ...FORBIDDEN.filter(([, bit]) => (attributes & bit) !== 0).map(([name]) => `${name} set`),
  ];
}

function parameterFaults(key: EccPublic): string[] {
  const { scheme } = key;
  const faults: string[] = [];
  if (key.nameAlgorithm !== ALGORITHM.sha256) faults.push('name algorithm not SHA-256');
  if (key.curve !== CURVE.bnP256) faults.push(`curve 0x${key.curve.toString(16)}, BN_P256 expected`);
  if (scheme?.algorithm !== ALGORITHM.ecdaa || scheme.hash !== ALGORITHM.sha256)
    faults.push('scheme not ECDAA with SHA-256');
  if (key.symmetric !== undefined) faults.push('a symmetric algorithm');
  if (key.x.length !== COORDINATE || key.y.length !== COORDINATE) faults.push('coordinates not of 32 bytes');
  return faults;
}

function badPublicArea(wrong: readonly string[]): Failure {
  return new Failure('tpm.bad-public-area', 'operator', `not a usable ECDAA key: ${wrong.join(', ')}`, {
    action: 'Personalise a TPM that holds no other key at this handle.',
  });
}
