import type { TSchema } from 'typebox';
import { objectOf, oneOf, optional, text, whole } from '../../operations/contract/input.ts';
import { type Call, unsupported } from './call.ts';
import { getDomain, listDomains, setDomainStatus } from './domains.ts';
import { createEndpoint } from './endpoints.ts';
import { createRule, deleteRule, listRules } from './firewall.ts';
import { createNetwork, getNetwork, listNetworks, updateNetwork } from './networks.ts';
import { acceptInvite, createInvite, deleteInvite, listInvites, listUsers, setUserStatus } from './people.ts';

/** A call of the existing clients. */
export interface CompatRoute {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** With `{…}` for what it names, see `patternsOf`. */
  readonly path: string;
  /** Whoever has no token may call it. */
  readonly open?: true;
  /** Of what is sent; without it nothing of that is looked at. */
  readonly body?: TSchema;
  /** @throws Failure of the operations that it runs, and `compat.…` */
  answer(call: Call): Promise<unknown>;
}

/** A call that the fabric has nothing for. */
const notHere =
  (what: string, instead: string): CompatRoute['answer'] =>
  async () => {
    throw unsupported(what, instead);
  };

const XCR = '/api/xcr/v2';
const ZONES = '/api/xdns/2019-05-27/zones';

const NAME = text(60);
const EMAIL = text(254);
const CIDR = text(64);
const PORT = whole(0, 65_535);
const LONGEST_KEY = 200;

const RATE_LIMITS = notHere(
  'the size of a burst cannot be chosen here, as these calls do',
  'Limit rates with "enf-fabric limit set", or by the API of the fabric (docs/rules.md).',
);
const NO_ZONES = notHere(
  'a zone is of one network here, and not of a domain',
  'Give each network its own: "enf-fabric network zone NETWORK DOMAIN".',
);
const NO_RESETS = notHere(
  'nobody is sent a code for a new password',
  'Sign in by a recovery code, or remove the person and invite it again.',
);

/** Reads and changes of limits: they name bursts, of which the fabric knows one size for each rate. */
const LIMITED: readonly CompatRoute[] = ['domains/{domain}', 'nws/{network}', 'cxns/{address}'].flatMap(
  (of) =>
    (['GET', 'PUT'] as const).map((method) => ({
      method,
      path: `${XCR}/${of}/ep_rate_limits/{which}`,
      answer: RATE_LIMITS,
    })),
);

/** What signs in is elsewhere: it begins a session (sign-in.ts). */
export const SIGN_IN = {
  method: 'POST',
  path: `${XCR}/xauth`,
  body: objectOf({ username: text(254), token: text(256) }),
} as const;

export const COMPAT_ROUTES: readonly CompatRoute[] = [
  {
    method: 'POST',
    path: '/api/xiam/v1/endpoints',
    body: objectOf({
      ecdsa_credential: objectOf({ type: oneOf('ecdsa_p256'), key: text(LONGEST_KEY) }),
      address_request: objectOf({ address: optional(CIDR), network: optional(CIDR) }),
    }),
    answer: createEndpoint,
  },

  { method: 'GET', path: `${XCR}/domains`, answer: listDomains },
  { method: 'GET', path: `${XCR}/domains/{domain}`, answer: getDomain },
  {
    method: 'POST',
    path: `${XCR}/domains`,
    answer: notHere(
      'the fabric has no prefixes of its own to choose a new domain from',
      'Add an owner, and lend it a prefix: "enf-fabric owner add NAME", "enf-fabric owner lend NAME PREFIX".',
    ),
  },
  {
    method: 'PUT',
    path: `${XCR}/domains/{domain}/status`,
    body: oneOf('ACTIVE', 'READY'),
    answer: setDomainStatus,
  },

  { method: 'GET', path: `${XCR}/domains/{domain}/nws`, answer: listNetworks },
  {
    method: 'POST',
    path: `${XCR}/domains/{domain}/nws`,
    body: objectOf({ name: NAME, description: optional(text(500)) }),
    answer: createNetwork,
  },
  { method: 'GET', path: `${XCR}/nws/{network}`, answer: getNetwork },
  {
    method: 'PUT',
    path: `${XCR}/nws/{network}`,
    body: objectOf({ name: optional(NAME), description: optional(text(500)) }),
    answer: updateNetwork,
  },

  ...LIMITED,

  { method: 'GET', path: '/api/xfw/v1/{network}/rule', answer: listRules },
  {
    method: 'POST',
    path: '/api/xfw/v1/{network}/rule',
    body: objectOf({
      priority: whole(-(2 ** 31), 2 ** 31 - 1),
      action: oneOf('ACCEPT', 'DROP'),
      direction: oneOf('INGRESS', 'EGRESS'),
      ip_family: oneOf('IP6'),
      protocol: text(20),
      source_ip: optional(CIDR),
      source_port: optional(PORT),
      dest_ip: optional(CIDR),
      dest_port: optional(PORT),
    }),
    answer: createRule,
  },
  { method: 'DELETE', path: '/api/xfw/v1/{network}/rule/{id}', answer: deleteRule },

  { method: 'GET', path: ZONES, answer: NO_ZONES },
  { method: 'POST', path: ZONES, answer: NO_ZONES },
  { method: 'GET', path: `${ZONES}/{id}`, answer: NO_ZONES },
  { method: 'PUT', path: `${ZONES}/{id}`, answer: NO_ZONES },
  { method: 'DELETE', path: `${ZONES}/{id}`, answer: NO_ZONES },

  { method: 'GET', path: `${XCR}/domains/{domain}/users`, answer: listUsers },
  {
    method: 'PUT',
    path: `${XCR}/users/{id}/status`,
    body: objectOf({ status: oneOf('ACTIVE', 'INACTIVE') }),
    answer: setUserStatus,
  },
  { method: 'GET', path: `${XCR}/users/reset`, open: true, answer: NO_RESETS },
  { method: 'POST', path: `${XCR}/users/reset`, open: true, answer: NO_RESETS },
  { method: 'GET', path: `${XCR}/domains/{domain}/invites`, answer: listInvites },
  {
    method: 'POST',
    path: `${XCR}/domains/{domain}/invites`,
    body: objectOf({
      email: EMAIL,
      full_name: optional(text(254)),
      user_type: oneOf('DOMAIN_USER', 'DOMAIN_ADMIN'),
    }),
    answer: createInvite,
  },
  {
    method: 'POST',
    path: `${XCR}/users/invites`,
    open: true,
    body: objectOf({ email: NAME, code: text(200), name: optional(text(254)), password: text(256) }),
    answer: acceptInvite,
  },
  {
    method: 'PUT',
    path: `${XCR}/invites/{email}`,
    answer: notHere(
      'nobody is sent an invite',
      'Delete the invite and make another one, and give its text on yourself.',
    ),
  },
  { method: 'DELETE', path: `${XCR}/invites/{email}`, answer: deleteInvite },
];
