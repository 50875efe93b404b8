import type { Probes } from '../../../../agent/doctor/probes.ts';
import type { Outcome } from '../../../../cli/check.ts';
import { ipv6Disabled } from '../../../../os/linux/ipv6.ts';
import {
  DELEGATED,
  ENROLLED,
  file,
  GATEWAY,
  healthy,
  refused,
  running,
  state,
  type Table,
  trouble,
} from './place.ts';

/** The checks of the machine: its clock, disk, TUN and IPv6, and who else manages its network. */
export const MACHINE: Table = {
  clock: [
    [{}, 'ok', /2030/],
    [{ wallMs: () => 0, state: async () => ({ ...state, lastGoodMs: undefined }) }, 'failed', /1970.*built/],
    [{ wallMs: () => healthy.wallMs() - 3 * 86_400_000 }, 'failed', /last time the tunnel was up/],
    [{ clockSynchronised: async () => false }, 'warning', /time server/],
    [{ clockSynchronised: async () => undefined, state: refused }, 'ok', /2030/],
  ],
  disk: [
    [{}, 'ok', /free/],
    [
      { freeSpace: async () => ({ freeBytes: 5_000_000, freeFiles: 99, readOnly: false }) },
      'warning',
      /4882 KB/,
    ],
    [{ freeSpace: async () => ({ freeBytes: 1_000, freeFiles: 99, readOnly: false }) }, 'failed', /0 KB/],
    [
      { freeSpace: async () => ({ freeBytes: 1e9, freeFiles: 0, readOnly: false }) },
      'failed',
      /no more files/,
    ],
    [
      { freeSpace: async () => ({ freeBytes: 1e9, freeFiles: undefined, readOnly: true }) },
      'failed',
      /read-only/,
    ],
    [{ freeSpace: refused }, 'failed', /cannot read it/],
  ],
  state: [
    [{}, 'ok', /fd00::7/],
    [{ config: ENROLLED }, 'ok', /no identity yet/],
    [
      {
        config: ENROLLED,
        state: async () => ({
          ...state,
          certificate: { subject: '', address: 'fd00::8', notBefore: '', notAfter: '', key: 'file' },
        }),
      },
      'ok',
      /identity fd00::8/,
    ],
    [{ state: async () => ({ ...state, unfinished: true }) }, 'ok', /not finished/],
    [
      { state: async () => ({ ...state, decommissioned: true, address: undefined, keyKind: undefined }) },
      'ok',
      /out of service/,
    ],
    [{ state: async () => ({ ...state, generation: undefined }) }, 'skipped', /no identity/],
    [
      { state: async () => ({ ...state, generation: undefined, bad: ['state-0', 'state-1'] }) },
      'failed',
      /state-1/,
    ],
    [{ state: async () => ({ ...state, bad: ['state-1'] }) }, 'warning', /state-1.*intact copy/],
    [{ state: async () => ({ ...state, quarantined: ['state-0.bad-1'] }) }, 'warning', /bad-1/],
    [{ state: async () => ({ ...state, keyKind: 'software' }) }, 'failed', /mode "software"/],
    [{ state: refused }, 'failed', /cannot read it/],
  ],
  tun: [
    [{}, 'ok', /net\/tun/],
    [{ deviceFile: async () => undefined }, 'failed', /missing/],
    [{ deviceFile: async () => ({ ...file, character: false }) }, 'failed', /not a device/],
    [{ deviceFile: async () => ({ ...file, usable: false }) }, 'failed', /may not be used by enf/],
  ],
  ipv6: [
    [{}, 'ok', /enabled/],
    [{ ipv6Disabled: () => ipv6Disabled('enf0', async () => undefined) }, 'failed', /without IPv6/],
    [{ ipv6Disabled: () => ipv6Disabled('enf0', async () => '1') }, 'failed', /disabled for enf0/],
  ],
  forwarding: [
    [{}, 'ok', /does not forward/],
    [{ sysctl: async () => undefined }, 'skipped', /without IPv6/],
    [{ sysctl: async () => '1' }, 'warning', /eth0 ignores router advertisements/],
    [{ sysctl: async (path) => (path.includes('accept_ra') ? '2' : '1') }, 'ok', /keeps/],
    [{ sysctl: async () => '1', lookup: async () => ['192.0.2.1'] }, 'ok', /keeps/],
  ],
  delegation: [
    [{}, 'skipped', /names no LAN/],
    [{ config: GATEWAY, sysctl: async () => undefined }, 'failed', /no interface eth1/],
    [
      { config: GATEWAY, sysctl: async (path) => (path.includes('/all/') ? '0' : '1') },
      'failed',
      /forwards no IPv6/,
    ],
    [{ config: GATEWAY, sysctl: async () => '1' }, 'ok', /no prefix is delegated/],
    [
      {
        config: GATEWAY,
        sysctl: async () => '1',
        status: async () => ({ ...running, delegation: DELEGATED }),
      },
      'ok',
      /fd00:9::\/64 is announced on eth1/,
    ],
    [
      {
        config: GATEWAY,
        sysctl: async () => '1',
        status: async () => ({
          ...running,
          delegation: {
            ...DELEGATED,
            failure: { code: 'os.no-raw-socket', message: 'not permitted', action: null },
          },
        }),
      },
      'failed',
      /incomplete on eth1: not permitted/,
    ],
  ],
  'foreign-managers': [
    [{}, 'ok', /do not manage enf0/],
    [{ foreignManagers: async () => [] }, 'ok', /no network manager/],
    [
      { foreignManagers: async () => [{ name: 'systemd-networkd', manages: true }] },
      'failed',
      /systemd-networkd manages enf0/,
    ],
    [
      { foreignManagers: async () => [{ name: 'NetworkManager', manages: true }] },
      'failed',
      /NetworkManager/,
    ],
    ...(['os.interface-changed', 'os.tun-lost'] as const).map((code): [Partial<Probes>, Outcome, RegExp] => [
      { status: async () => ({ ...running, trouble: { ...trouble, code } }) },
      'failed',
      /other0/,
    ]),
    [{ status: async () => ({ ...running, trouble: { ...trouble, code: 'net.timeout' } }) }, 'ok', /enf0/],
  ],
};
