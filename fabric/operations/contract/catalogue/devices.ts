import type { Entry } from './entry.ts';

/** Devices, their handshakes, and CAs whose machines are devices. */
export const DEVICES: Readonly<Record<string, Entry>> = {
  'device-list': {
    permission: 'devices.read',
    method: 'GET',
    path: '/devices',
    summary: 'Devices, oldest first',
  },
  'device-show': {
    permission: 'devices.read',
    method: 'GET',
    path: '/devices/{address}',
    summary: 'One device with its newest handshakes',
  },
  'device-standing': {
    permission: 'devices.standing',
    method: 'POST',
    path: '/devices/{address}/standing',
    summary: 'Evicts, bans or unbans a device',
  },
  'device-name': {
    permission: 'devices.name',
    method: 'POST',
    path: '/devices/{address}/name',
    summary: 'Names a device, or notes something of it',
  },
  'device-retire': {
    permission: 'devices.replace',
    method: 'POST',
    path: '/devices/{address}/retire',
    summary: 'Refuses a device for ever; nobody gets its address again',
    fresh: true,
  },
  'device-replace': {
    permission: 'devices.replace',
    method: 'POST',
    path: '/devices/{address}/replace',
    summary: 'Gives the address of a device to the chip of another one',
    fresh: true,
  },
  'device-register': {
    permission: 'pki.write',
    method: 'POST',
    path: '/networks/{network}/devices',
    summary: 'Registers the public key of a machine, which is a device of the network by that',
    fresh: true,
  },
  'handshake-list': {
    permission: 'handshakes.read',
    method: 'GET',
    path: '/handshakes',
    summary: 'Handshakes, newest first',
  },
  'handshake-hours': {
    permission: 'handshakes.read',
    method: 'GET',
    path: '/handshakes/hours',
    summary: 'Handshakes by hour',
  },
  'handshake-countries': {
    permission: 'handshakes.read',
    method: 'GET',
    path: '/handshakes/countries',
    summary: 'Handshakes and devices by country',
  },
  'handshake-places': {
    permission: 'handshakes.read',
    method: 'GET',
    path: '/handshakes/places',
    summary:
      'Where most devices are, by the cities of their newest handshakes; empty without a database of cities',
  },
  'handshake-counts': {
    permission: 'handshakes.read',
    method: 'GET',
    path: '/handshakes/counts',
    summary: 'Handshakes that are counted only, by result',
  },
  'pki-list': {
    permission: 'pki.read',
    method: 'GET',
    path: '/cas',
    summary: 'CAs of owners, whose certificates admit devices, oldest first',
  },
  'pki-preview': {
    permission: 'pki.write',
    method: 'POST',
    path: '/cas/preview',
    summary: 'What the certificates of a CA are, before it is added',
  },
  'pki-add': {
    permission: 'pki.write',
    method: 'POST',
    path: '/cas',
    summary: 'Adds a CA, whose certificates admit devices to networks',
    fresh: true,
  },
  'pki-remove': {
    permission: 'pki.write',
    method: 'DELETE',
    path: '/cas/{id}',
    summary: 'Removes a CA: its devices are cut, and come in no more',
    fresh: true,
  },
  'pki-import': {
    permission: 'pki.write',
    method: 'POST',
    path: '/cas/{id}/devices',
    summary: 'Lists devices of a CA: which certificate has which address',
    fresh: true,
  },
  'pki-crl': {
    permission: 'pki.revoke',
    method: 'POST',
    path: '/cas/{id}/crl',
    summary: 'Takes a list of revoked certificates of a CA',
  },
  'pki-crl-from': {
    permission: 'pki.write',
    method: 'POST',
    path: '/cas/{id}/crl-from',
    summary: 'From where the list of revoked certificates of a CA is fetched',
    fresh: true,
  },
  'pki-revoke': {
    permission: 'pki.revoke',
    method: 'POST',
    path: '/cas/{id}/revocations',
    summary: 'Revokes a certificate by its serial number',
  },
};
