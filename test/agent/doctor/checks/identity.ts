import {
  absent,
  busy,
  capabilities,
  config,
  ENROLLED,
  file,
  healthy,
  map,
  PKI,
  refused,
  running,
  SEALED,
  SOFTWARE,
  state,
  type Table,
} from './place.ts';

/** The checks of the TPM and of what the device proves itself with. */
export const IDENTITY: Table = {
  'tpm-device': [
    [{}, 'ok', /tpmrm0/],
    [{ config: SOFTWARE }, 'skipped', /files/],
    [{ config: PKI }, 'skipped', /files/],
    [{ config: ENROLLED }, 'skipped', /files/],
    [{ config: config('[identity]\nmode = "pki"\nkey-in = "tpm"') }, 'ok', /tpmrm0/],
    [
      {
        config: ENROLLED,
        state: async () => ({
          ...state,
          certificate: { subject: '', address: '', notBefore: '', notAfter: '', key: 'tpm' },
        }),
      },
      'ok',
      /tpmrm0/,
    ],
    [{ config: config('[tpm]\ntcti = "swtpm:port=1"') }, 'skipped', /not a device file/],
    [{ deviceFile: async () => undefined, tpmDevices: async () => [] }, 'failed', /found: no TPM/],
    [
      { deviceFile: async () => undefined, tpmDevices: async () => ['/dev/tpm1', '/dev/tpmrm1'] },
      'failed',
      /tpmrm1/,
    ],
    [
      { deviceFile: async () => undefined, tpmDevices: async () => ['/dev/tpmrm1', '/dev/tpmrm2'] },
      'failed',
      /tpmrm1, \/dev\/tpmrm2 do/,
    ],
    [{ deviceFile: async () => ({ ...file, character: false }) }, 'failed', /not a device/],
    [
      { deviceFile: async () => ({ ...file, usable: false }) },
      'failed',
      /\(tss:tss, mode 0660\).*by enf \(groups enf, dialout\)/,
    ],
    [{ config: config('[tpm]\ntcti = "device:/dev/tpm0"') }, 'warning', /no resource manager/],
  ],
  'tpm-capabilities': [
    [{}, 'ok', /IBM/],
    [{ config: SOFTWARE }, 'skipped', /files/],
    [{ capabilities: absent }, 'failed', /tpm\.absent/],
    [
      { capabilities: async () => ({ ...capabilities, bnP256: false }) },
      'failed',
      /\(IBM, firmware [\d.]+\) lacks the curve BN_P256/,
    ],
    [
      {
        capabilities: async () => ({ ...capabilities, ecdaa: false }),
        inspection: async () => ({ parents: [], maps: [SEALED] }),
      },
      'ok',
      /IBM, firmware [\d.]+, without the algorithm ECDAA; .*resident: no/,
    ],
    [
      {
        capabilities: async () => ({ ...capabilities, ecdaa: false }),
        inspection: async () => ({
          parents: [],
          maps: [{ ...SEALED, daaKey: { ...SEALED.daaKey, fault: 'no point' } }],
        }),
      },
      'failed',
      /tpm\.no-ecdaa|lacks the algorithm ECDAA/,
    ],
    [{ capabilities: busy }, 'skipped', /running agent uses/],
    [{ capabilities: busy, status: async () => undefined }, 'failed', /tpm\.busy/],
  ],
  'tpm-lockout': [
    [{}, 'ok', /0 of 32/],
    [{ config: SOFTWARE }, 'skipped', /files/],
    [
      { capabilities: async () => ({ ...capabilities, lockout: { counter: 3, limit: 32, seconds: 7200 } }) },
      'warning',
      /3 of 32/,
    ],
    [{ capabilities: async () => ({ ...capabilities, lockedOut: true }) }, 'failed', /locked out.*7200 s/],
    [{ capabilities: absent }, 'skipped', /see tpm-capabilities/],
    [{ capabilities: busy }, 'skipped', /running agent/],
  ],
  'nv-objects': [
    [{}, 'ok', /platform/],
    [{ inspection: async () => ({ parents: [], maps: [SEALED] }) }, 'ok', /^sealed secret of the group key/],
    [{ config: SOFTWARE }, 'skipped', /files/],
    [
      { inspection: async () => ({ parents: [], maps: [{ ...map, objects: [] }] }) },
      'failed',
      /no gpk, credential/,
    ],
    [
      { inspection: async () => ({ parents: [], maps: [{ hierarchy: 'owner', objects: map.objects }] }) },
      'failed',
      /owner: no the group key/,
    ],
    [
      {
        inspection: async () => ({
          parents: [],
          maps: [{ ...map, daaKey: { handle: 1, fault: 'it lacks a thing' } }],
        }),
      },
      'failed',
      /it lacks a thing/,
    ],
    [
      {
        inspection: async () => ({
          parents: [],
          maps: [{ ...map, objects: map.objects.filter(({ name }) => name !== 'tlsRoot') }],
        }),
      },
      'warning',
      /no TLS root/,
    ],
    [{ inspection: absent }, 'failed', /tpm\.absent/],
    [{ capabilities: absent }, 'skipped', /see tpm-capabilities/],
  ],
  credential: [
    [{}, 'ok', /verified/],
    [{ config: SOFTWARE, membership: async () => true }, 'ok', /verified/],
    [{ membership: async () => false }, 'failed', /do not belong together/],
    [{ config: PKI, membership: refused }, 'ok', /CN=pump for fdfd::1, until 2030-03-01/],
    [{ config: PKI, wallMs: () => Date.parse('2030-02-20') }, 'warning', /until 2030-03-01/],
    [{ config: PKI, wallMs: () => Date.parse('2030-03-01') }, 'failed', /has expired/],
    [{ config: ENROLLED }, 'ok', /its key in a file/],
    [
      { config: PKI, certificate: async () => ({ ...(await healthy.certificate()), key: 'token' as const }) },
      'ok',
      /its key in a PKCS#11 token/,
    ],
    [
      {
        config: ENROLLED,
        status: async () => ({ ...running, rotation: { next: '2030-02-01', failure: null } }),
      },
      'ok',
      /renewed 2030-02-01/,
    ],
    [
      {
        config: ENROLLED,
        status: async () => ({
          ...running,
          rotation: { next: '2030-02-01', failure: { code: 'est.refused', message: 'no' } },
        }),
      },
      'warning',
      /the last renewal has failed: no \[est.refused\]/,
    ],
    [{ config: PKI, certificate: refused }, 'failed', /cannot read it/],
    [{ config: SOFTWARE, membership: refused }, 'failed', /cannot read it/],
    [{ membership: absent }, 'failed', /tpm\.absent/],
    [{ capabilities: absent }, 'skipped', /see tpm-capabilities/],
    [{ membership: busy }, 'skipped', /running agent/],
  ],
};
