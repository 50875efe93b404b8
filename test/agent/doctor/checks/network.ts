import {
  absent,
  answer,
  config,
  loginWanted,
  NAMED,
  NAMED_PROXY,
  PROXIED,
  refused,
  state,
  type Table,
  unreachable,
} from './place.ts';

/** One router behind the records of a service, on a port of its own. */
const BY_SERVICE = {
  config: config('', '[remote]\nhosts = ["_enf._tcp.example.org"]'),
  lookup: async (name: string) => (name.startsWith('_enf.') ? ['1 0 8443 a.example.org.'] : ['192.0.2.7']),
};

/** The checks of the way to the fabric. */
export const NETWORK: Table = {
  dns: [
    [{}, 'ok', /fabric\.example: 2001:db8::1, 192\.0\.2\.1/],
    [{ config: config('', '[remote]\nhosts = ["192.0.2.1", "2001:db8::1"]') }, 'skipped', /literal/],
    [{ config: PROXIED }, 'skipped', /literal/],
    [{ config: NAMED_PROXY, lookup: async () => ['192.0.2.9'] }, 'ok', /^proxy\.example: 192\.0\.2\.9$/],
    [{ config: NAMED_PROXY, lookup: unreachable }, 'failed', /no address for proxy\.example/],
    [{ lookup: unreachable }, 'failed', /no address for fabric\.example/],
    [BY_SERVICE, 'ok', /^a\.example\.org: 192\.0\.2\.7$/],
    [{ ...BY_SERVICE, lookup: unreachable }, 'failed', /no address for _enf\._tcp\.example\.org/],
    [
      { lookup: unreachable, config: config('', '[remote]\nhosts = ["fabric.example", "192.0.2.1"]') },
      'warning',
      /no address for fabric\.example/,
    ],
  ],
  names: [
    [{}, 'skipped', /dns\.zone is empty/],
    [{ config: NAMED }, 'ok', /^fd00:1::1 is asked for names in plant\.internal$/],
    [{ config: NAMED, linkNames: async () => ({ servers: [], domains: [] }) }, 'warning', /nobody is asked/],
    [
      { config: NAMED, linkNames: async () => ({ servers: ['fd00:1::1'], domains: ['~x.example'] }) },
      'warning',
      /nobody is asked/,
    ],
    [{ config: NAMED, linkNames: refused }, 'warning', /cannot read it \[os\.not-readable\]/],
  ],
  route: [
    [{}, 'ok', /via fe80::1 on eth0/],
    [
      { route: async (address) => (address.includes(':') ? undefined : { device: 'eth0' }) },
      'ok',
      /the link on eth0/,
    ],
    [{ route: async () => undefined }, 'failed', /no route/],
    [{ lookup: unreachable }, 'skipped', /no address/],
  ],
  proxy: [
    [{}, 'skipped', /none/],
    [{ config: PROXIED }, 'ok', /http:\/\/192\.0\.2\.9:3128 connects to fabric\.example port 443/],
    [{ config: PROXIED, connect: loginWanted }, 'failed', /net\.proxy-login/],
    [
      { config: PROXIED, connect: async (host) => (host === 'fabric.example' ? loginWanted() : 1) },
      'ok',
      /other\.example/,
    ],
  ],
  ports: [
    [{}, 'ok', /443 and 444/],
    [{ connect: unreachable }, 'failed', /port 443/],
    [BY_SERVICE, 'ok', /^8443 and 444/],
    [{ ...BY_SERVICE, connect: unreachable }, 'failed', /port 8443 of 192\.0\.2\.7/],
    [{ connect: async (_, port) => (port === 443 ? 1 : unreachable()) }, 'warning', /port 444/],
    [
      {
        connect: async (_, port) => (port === 443 ? 1 : unreachable()),
        state: async () => ({ ...state, address: undefined }),
      },
      'failed',
      /port 444/,
    ],
    [{ connect: async (address) => (address.includes(':') ? unreachable() : 1) }, 'ok', /443/],
    [{ lookup: unreachable }, 'skipped', /no address/],
  ],
  tls: [
    [{}, 'ok', /is a router of this fabric/],
    [{ tls: unreachable }, 'skipped', /no router/],
    [{ tls: refused }, 'failed', /cannot read it/],
    [{ tls: absent }, 'skipped', /root is in the TPM/],
    [{ tls: async () => ({ ...answer, verdict: 'dated', reason: 'CERT_HAS_EXPIRED' }) }, 'failed', /EXPIRED/],
    [{ tls: async () => ({ ...answer, verdict: 'foreign', issuer: 'Hotel CA' }) }, 'failed', /Hotel CA/],
    [{ tls: async () => ({ ...answer, verdict: 'broken', reason: 'EOF' }) }, 'failed', /no handshake.*EOF/],
    [
      {
        tls: async (address) => ({
          ...answer,
          verdict: address.includes(':') ? ('broken' as const) : ('trusted' as const),
        }),
      },
      'ok',
      /192\.0\.2\.1 is a router of this fabric/,
    ],
  ],
  'captive-portal': [
    [{}, 'ok', /nothing intercepts/],
    [{ lookup: unreachable }, 'skipped', /no address/],
    [{ tls: async () => ({ ...answer, verdict: 'foreign', issuer: 'Hotel CA' }) }, 'failed', /Hotel CA/],
    [{ http: async () => ({ status: 511 }) }, 'failed', /511/],
    [{ config: PROXIED, lookup: unreachable, http: async () => ({ status: 511 }) }, 'ok', /TLS/],
    [{ http: async () => ({ status: 302, redirectsTo: 'login.hotel' }) }, 'warning', /login\.hotel/],
    [{ http: async () => ({ status: 301, redirectsTo: 'fabric.example' }) }, 'ok', /nothing/],
    [{ tls: refused, http: async () => ({ status: 200 }) }, 'ok', /nothing/],
  ],
  'path-mtu': [
    [{}, 'ok', /full-size packets reach/],
    [{ route: async () => ({ device: 'eth0', mtu: 1300 }) }, 'ok', /path MTU 1300/],
    [
      { tls: async (_, __, large) => ({ ...answer, verdict: large ? 'broken' : 'trusted' }) },
      'failed',
      /full-size ones do not/,
    ],
    [
      { tls: async (_, __, large) => (large ? unreachable() : { ...answer, verdict: 'foreign' as const }) },
      'failed',
      /full-size ones do not/,
    ],
    [{ tls: unreachable }, 'skipped', /no router/],
    [{ tls: async () => ({ ...answer, verdict: 'broken' }) }, 'skipped', /no router/],
  ],
};
