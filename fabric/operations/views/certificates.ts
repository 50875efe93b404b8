import {
  count,
  hexOf,
  listOf,
  named,
  number,
  orNull,
  type Shown,
  shown,
  time,
  whether,
  wordOf,
  words,
} from '../contract/output.ts';

/** A certificate of the fabric. */
export const CertificateView = named('Certificate', 'A certificate of the fabric.', {
  name: wordOf(['xtt-root', 'tls-root', 'xtt-server', 'router'], 'Which one it is.'),
  root: number("Which of the fabric's roots it is, or is signed by."),
  inForce: whether('Are devices told to trust that root?'),
  ends: orNull(
    time(
      'When it ends; null: XTT certificates have no time, and a certificate that ends in 9999 does not end.',
    ),
  ),
  fingerprint: hexOf(32, 'SHA-256 of the certificate.'),
  key: wordOf(['here', 'elsewhere'], 'Where the private key is; of a root it may be kept elsewhere.'),
});
export type CertificateView = Shown<typeof CertificateView>;

/** The fabric's certificates, and who knows of its roots. */
export const CertificatesView = shown({
  version: number('How often the roots were changed; 1: never.'),
  certificates: listOf(CertificateView),
  devices: orNull(
    shown(
      {
        newest: count('Those that know of the newest roots.'),
        older: count('Agents that do not yet.'),
        c: count('C devices, which never will.'),
      },
      'Devices with a tunnel: how many know of the newest roots. Null: no fabric is serving.',
    ),
  ),
});
export type CertificatesView = Shown<typeof CertificatesView>;

/** What was done, or what has to be signed elsewhere first. */
export const RotationView = named('Rotation', 'What was done, or what has to be signed elsewhere first.', {
  version: orNull(number('How often the roots were changed; null: there is a request.')),
  certificates: listOf(CertificateView),
  requests: listOf(
    words('A request of signing, for "enf-fabric root sign".'),
    'One for each root that has to sign.',
  ),
  effect: words('Whether the running fabric has acted on it, as a phrase.', 'in force'),
});
export type RotationView = Shown<typeof RotationView>;

export const DroppedKeysView = shown({ number: number('The root whose keys were taken out.') });
export type DroppedKeysView = Shown<typeof DroppedKeysView>;
