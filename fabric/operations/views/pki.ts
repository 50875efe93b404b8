import { ADMITS } from '../../registry/pki.ts';
import {
  CHANGED,
  count,
  hex,
  hexOf,
  ipv6,
  listOf,
  named,
  number,
  orNull,
  prefix,
  rowsOf,
  type Shown,
  shown,
  time,
  whether,
  wordOf,
  words,
} from '../contract/output.ts';

const ID = number('By this number the CA is known; it is never given again.');

export const AnchorView = named('Ca', 'A CA of an owner, whose certificates admit devices.', {
  id: ID,
  name: words('What people call it.', 'plant CA'),
  owner: words('The name of the owner whose it is.', 'default'),
  fingerprint: hexOf(32, 'SHA-256 of its certificate.'),
  subject: words('Its subject as RFC 2253 writes it.', 'CN=Plant CA,O=Example'),
  notAfter: time('When its certificate ends.'),
  admits: wordOf(
    ADMITS,
    'Whom it admits: devices that are listed, or whoever it gave an address in its networks.',
  ),
  networks: listOf(prefix('A network.'), 'The networks for whose addresses it may vouch.'),
  groups: listOf(
    shown({
      network: prefix('The network.'),
      gid: hexOf(32, 'The id of the group that its devices in this network are.'),
      devices: count('How many have come.'),
      connected: count('How many of them have a tunnel.'),
    }),
    'Its devices in each of these networks.',
  ),
  listed: count('How many devices are listed.'),
  devices: count('How many devices have come with its certificates.'),
  revoked: count('How many certificates are revoked.'),
  lists: listOf(
    shown({
      issued: time('When it was issued.'),
      next: orNull(time('By when its issuer means to issue the next one; null: it does not say.')),
    }),
    'The lists of revoked certificates that count now, one of each issuer.',
  ),
  crl: orNull(
    shown(
      {
        from: words('The address.', 'http://crl.example.org/ca.crl'),
        due: time('When it is fetched next.'),
        fetched: orNull(time('When it was fetched last, newer or not; null: it was not yet.')),
        error: orNull(words('Why it could not be fetched the last time; null: it could.')),
      },
      'From where its list of revoked certificates is fetched; null: it is uploaded.',
    ),
  ),
  issueDays: orNull(
    count('For how many days it issues certificates; null: it issues none, its key is not the fabric’s.'),
  ),
  enrols: orNull(
    prefix(
      'In which of its networks machines with its certificates get one of the fabric without a code; null: in none.',
    ),
  ),
  created: time('When it was added.'),
});
export type AnchorView = Shown<typeof AnchorView>;

export const AnchorPreview = named('CaPreview', 'What the certificates of a CA are, before it is added.', {
  certificates: listOf(
    shown({
      fingerprint: hexOf(32, 'SHA-256 of the certificate.'),
      subject: words('Its subject as RFC 2253 writes it.', 'CN=Plant CA,O=Example'),
      root: whether('Whether it is issued by itself.'),
      key: words('Its kind of key.', 'P-256', 'RSA, 3072 bits'),
      notBefore: time('When its certificate begins.'),
      notAfter: time('When its certificate ends.'),
      warnings: listOf(words('A sentence.'), 'What may be other than was meant; it is taken all the same.'),
    }),
    'That of the CA first, then its intermediates.',
  ),
});
export type AnchorPreview = Shown<typeof AnchorPreview>;

export const AnchorsView = rowsOf(AnchorView);
export type AnchorsView = Shown<typeof AnchorsView>;

export const RemovedAnchorView = shown({ id: ID, name: words('The name that it had.') });
export type RemovedAnchorView = Shown<typeof RemovedAnchorView>;

export const ListedView = shown({ id: ID, devices: count('How many devices were listed.') });
export type ListedView = Shown<typeof ListedView>;

export const RegisteredView = named('RegisteredKey', 'A device whose key its owner has registered.', {
  address: ipv6('The address of the device.'),
  network: prefix('Its network.'),
  key: hexOf(65, 'Its public key: an uncompressed point of P-256.'),
  created: time('When the address was registered for the first time.'),
  registered: time('When this key was registered for it.'),
});
export type RegisteredView = Shown<typeof RegisteredView>;

export const RevocationView = shown({ id: ID, changed: CHANGED });
export type RevocationView = Shown<typeof RevocationView>;

const SERIAL = hex('A serial number.');

export const LineageView = shown({
  id: ID,
  changed: CHANGED,
  revoked: listOf(SERIAL, 'Further certificates of its lineage, which were revoked with it.'),
  valid: listOf(SERIAL, 'Those of its lineage that are still valid.'),
});
export type LineageView = Shown<typeof LineageView>;

export const IssuingCaView = shown({
  ca: AnchorView,
  certificate: words('Its certificate, PEM.', '-----BEGIN CERTIFICATE-----\n…'),
});
export type IssuingCaView = Shown<typeof IssuingCaView>;

export const IssuedView = named('IssuedCertificate', 'A certificate that the fabric has issued.', {
  serial: hex('Its serial number.'),
  parent: orNull(
    hex(
      'The serial number of the one that it renews; null: it was got by a code, or by the certificate of a maker.',
    ),
  ),
  ca: ID,
  owner: words('The name of the owner whose it is.', 'default'),
  address: ipv6('The address that it is for.'),
  code: orNull(
    number(
      'The number of the code by which it was got; null: it is a renewal if it has a parent, else it was got by the certificate of a maker.',
    ),
  ),
  spki: hexOf(32, 'SHA-256 of its public key (SubjectPublicKeyInfo).'),
  created: time('When it was issued.'),
  notAfter: time('When it ends.'),
  revoked: orNull(
    shown({ at: time('When it was revoked.'), reason: words('Why.', 'stolen from the depot') }),
  ),
});
export type IssuedView = Shown<typeof IssuedView>;

export const CODE_STATES = ['open', 'used', 'withdrawn', 'expired'] as const;

const CODE = {
  id: number('By this number the code is known.'),
  network: prefix('In which network the machine gets an address.'),
  name: orNull(words('What the machine will be called; null: nothing.', 'pump-1')),
  address: orNull(ipv6('Which address it gets; null: one that is free.')),
  expires: time('Until when it may be used.'),
};

export const CodeView = named('EnrolmentCode', 'A code for which one machine gets its first certificate.', {
  ...CODE,
  owner: words('The name of the owner whose it is.', 'default'),
  createdBy: words('Who made it.', 'Anna (person 1)'),
  created: time('When it was made.'),
  state: wordOf(CODE_STATES, 'Whether it may be used, and if not, why.'),
  used: orNull(time('When it was used; null: it was not.')),
  serial: orNull(hex('The serial number of the certificate that it was used for.')),
});
export type CodeView = Shown<typeof CodeView>;

export const NewCodesView = shown({
  codes: listOf(
    shown({ ...CODE, code: words('Its text; nobody can read it again.', 'xxxx-xxxx-xxxx-xxxx') }),
  ),
});
export type NewCodesView = Shown<typeof NewCodesView>;

export const WithdrawnCodeView = shown({ id: CODE.id, changed: CHANGED });
export type WithdrawnCodeView = Shown<typeof WithdrawnCodeView>;
