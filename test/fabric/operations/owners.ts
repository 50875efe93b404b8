import type { CertificateFacts } from '../../../crypto/certificates.ts';
import { scopeOf } from '../../../fabric/access/scope.ts';
import { openJobs } from '../../../fabric/jobs/jobs.ts';
import type { Actor, Presence } from '../../../fabric/operations/contract/operation.ts';
import { type Ground, perform } from '../../../fabric/operations/perform.ts';
import type { Group } from '../../../fabric/registry/records.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { formatIpv6, formatPrefix, parsePrefix } from '../../../protocol/ipv6.ts';
import { basenameText } from '../../../protocol/label.ts';
import { makeBatch } from '../device.ts';
import { opened, registryFile, type WholeRegistry } from '../place.ts';
import { applicant } from '../registry/contract/place.ts';

/** A thing of each kind that somebody can name. */
export interface Named {
  readonly address: string;
  readonly second: string;
  readonly device: string;
  readonly gid: string;
  readonly basename: string;
  readonly group: string;
  readonly prefix: string;
  readonly network: string;
  readonly label: string;
  readonly person: string;
  readonly personId: string;
  readonly invite: string;
  readonly ids: Readonly<
    Record<'alarm' | 'hook' | 'token' | 'job' | 'delivery' | 'rule' | 'ca' | 'code', number>
  >;
}

/** An owner, with one of each. */
export interface Planted extends Named {
  readonly id: number;
  readonly name: string;
  /** Texts that nobody else may ever see. */
  readonly secrets: readonly string[];
}

/** The network of the one who is asked. */
export const OWN_PREFIX = 'fd00:8f80:1000:1::/64';

/** A key that anybody may register: the generator of P-256. */
export const KEY =
  '046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5';

/** The numbers of hours are those of the last day. */
export const NOW = Date.now();

const NOBODYS = makeBatch('nobodys batch');

/** What is of nobody: the same forms, and nothing behind them. */
export const ABSENT: Named = {
  address: 'fd00:8f80:ffff:1:9999:8888:7777:6666',
  second: 'fd00:8f80:ffff:1:9999:8888:7777:5555',
  device: 'nobodys-gateway',
  gid: toHex(NOBODYS.gid),
  basename: basenameText(NOBODYS.basename),
  group: 'nobodys batch',
  prefix: 'fd00:8f80:ffff:1::/64',
  network: 'nobodys plant',
  label: NOBODYS.label,
  person: 'Nobody',
  personId: '909090',
  invite: '9090909090909090',
  ids: {
    alarm: 909_091,
    hook: 909_092,
    token: 909_093,
    job: 909_094,
    delivery: 909_095,
    rule: 909_096,
    ca: 909_097,
    code: 909_098,
  },
};

/** A fabric with two owners beside the first one, all with one of everything. */
export async function plantedFabric(): Promise<{
  readonly on: Ground & { readonly registry: WholeRegistry };
  readonly first: Planted;
  readonly one: Planted;
  readonly other: Planted;
}> {
  const registry = opened(registryFile(), { now: () => NOW, locate: (source) => COUNTRIES[source] });
  const presence = async (): Promise<Presence> => (address) => ({ online: address[15] === 0 });
  const on = {
    registry,
    running: { notify: async () => 'in force', presence },
    jobs: openJobs(() => NOW),
    now: () => NOW,
  };
  const one = await plant(on, { name: 'acme', number: 1, source: '192.0.2.71', person: 'Anna Acme' });
  const other = await plant(on, { name: 'umbra', number: 2, source: '198.51.100.72', person: 'Ulla Umbra' });
  const first = await plant(on, { name: 'north', number: 3, source: '203.0.113.73', person: 'Nora North' });
  return { on, first, one, other };
}

const COUNTRIES: Readonly<Record<string, string>> = {
  '192.0.2.71': 'CH',
  '198.51.100.72': 'NZ',
  '203.0.113.73': 'PE',
};

async function plant(
  on: Ground & { readonly registry: WholeRegistry },
  { name, number, source, person }: { name: string; number: number; source: string; person: string },
): Promise<Planted> {
  const { registry } = on;
  // The third one is the first of the fabric, under another name.
  const { id } =
    number === 3
      ? await registry.renameOwner('root', 'default', name)
      : await registry.addOwner('root', name);
  const space = `fd00:8f80:${number}000::/48`;
  await registry.lendPrefix('root', name, parsePrefix(space));
  const scope = scopeOf(id, false);
  const own = registry.of(scope);
  const actor: Actor = {
    name: `${person} (person ${number})`,
    role: 'owner',
    scope,
    owner: name,
    via: 'token',
  };
  const prefix = parsePrefix(`fd00:8f80:${number}000:1::/64`);
  await own.addNetwork(actor.name, prefix, `${name} plant`);
  const batch = makeBatch(`${name} batch`);
  const group: Group = await own.addGroup(actor.name, {
    ...batch,
    name: `${name} batch`,
    network: prefix,
    announced: 1,
  });
  const chips = [applicant(group, { source }), applicant(group, { source })];
  const addresses: string[] = [];
  for (const chip of chips) addresses.push(formatIpv6(await registry.admit(chip)));
  const [address, second] = addresses as [string, string];
  const device = `${name}-gateway`;
  const bytes = chips.map((chip) => chip.pseudonym);
  const devices = (await own.devices({ limit: 9 })).rows;
  await own.nameDevice(actor.name, devices[0]!.address, { name: device, note: `${name} behind the door` });
  registry.reported(devices[0]!.address, {
    version: '9.9.9',
    failure: { code: `${name}.failure`, seconds: 1 },
  });
  registry.connected(devices[0]!.address, `${source}:4711`);
  registry.clones(devices[0]!.address, [source, `2001:db8::${number}`]);
  await registry.refused({ source, gid: group.gid, proven: false, result: 'xtt.bad-signature' }, 3);
  await registry.recordFindings(['group.over-announced'], await registry.overAnnounced(), 1);
  const pool = parsePrefix(`fd00:8f80:${number}000:8000::/56`);
  await own.setPool(actor.name, prefix, pool);
  await own.setGrant(actor.name, { kind: 'device', address: devices[0]!.address }, true);
  const { id: rule } = await own.addRule(actor.name, prefix, {
    ...{
      action: 'deny',
      direction: 'out',
      devices: { kind: 'any' },
      other: { kind: 'outside' },
      protocol: 'any',
    },
    note: `${name} stays inside`,
  });
  await own.setRateLimit(actor.name, prefix, { kind: 'any' }, { in: {}, out: { packets: 900 + number } });
  const alarm = (await own.alarms({ limit: 9 }, true)).rows[0]!.id;
  const hook = await own.addHook(actor.name, {
    name: `${name} pager`,
    url: `https://${name}.example`,
    secret: `${name} secret`,
  });
  await own.testHook(actor.name, hook.id);
  const delivery = (await own.deliveries({ limit: 1 }, hook.id)).rows[0]!.id;
  await registry.recordAttempt(delivery, { kind: 'given-up', error: `${name} is down` });
  const hash = new Uint8Array(32).fill(number);
  const token = await own.addToken(actor.name, {
    name: `${name} robot`,
    role: 'owner',
    hash,
    expires: NOW + 1e9,
  });
  await own.addInvite(actor.name, { hash, role: 'owner', expires: NOW + 1e9, login: `${name}@example` });
  const open = hash.with(0, 100 + number);
  await own.addInvite(actor.name, {
    hash: open,
    role: 'operator',
    expires: NOW + 1e9,
    login: `new@${name}.example`,
  });
  const { id: personId } = await registry.acceptInvite(hash, { name: person, password: 'x' });
  const ca = await own.addAnchor(actor.name, {
    ...{ name: `${name} CA`, certificate: new Uint8Array([number]), others: new Uint8Array(0) },
    ...{
      fingerprint: hash,
      subject: `CN=${name} root`,
      notAfter: NOW + 1e9,
      admits: 'listed',
      networks: [prefix],
      issueDays: 90,
    },
  });
  const codes = [hash.with(1, 100 + number), hash.with(2, 100 + number)];
  const expires = NOW + 1e8;
  const [code] = await own.addCodes(
    actor.name,
    codes.map((each) => ({ hash: each, network: prefix, expires })),
  );
  await registry.issue({ proof: { code: codes[1]! }, spki: hash, source }, ({ serial, until }) => ({
    certificate: hash,
    facts: {
      serial,
      spki: hash,
      subject: `CN=${name}`,
      notBefore: 1,
      notAfter: until / 1_000,
    } as CertificateFacts,
  }));
  const job = await perform('device-bulk', actor, on, { change: 'evict', gid: toHex(group.gid) });
  await registry.signedIn(personId, { via: 'password', from: source });
  return {
    ...{ id, name, address, second, device, prefix: formatPrefix(prefix), network: `${name} plant` },
    ...{
      gid: toHex(group.gid),
      basename: basenameText(group.basename),
      group: `${name} batch`,
      label: batch.label,
      person,
      personId: String(personId),
      invite: toHex(open.subarray(0, 8)),
    },
    ids: {
      alarm,
      rule,
      hook: hook.id,
      token: token.id,
      delivery,
      ca: ca.id,
      code: code!.id,
      job: (job!.view as { id: number }).id,
    },
    secrets: [
      ...[
        name,
        space.split('::')[0]!,
        address,
        second,
        toHex(group.gid),
        basenameText(group.basename),
        source,
        person,
      ],
      ...bytes.map(toHex),
      ...chips.map(({ longtermKey }) => toHex(longtermKey)),
      `2001:db8::${number}`,
      JSON.stringify(COUNTRIES[source]),
    ],
  };
}

/** All that is of an owner, as the host sees it, without what goes on by itself. */
export async function stateOf(registry: WholeRegistry, owner: number): Promise<unknown> {
  const own = registry.of(scopeOf(owner, false));
  const page = { limit: 200 };
  return {
    networks: await own.networks(page),
    groups: await own.groups(page),
    rules: await Promise.all((await own.networks(page)).rows.map(({ prefix }) => own.rules(prefix, page))),
    limits: await Promise.all(
      (await own.networks(page)).rows.map(({ prefix }) => own.rateLimits(prefix, page)),
    ),
    delegations: await Promise.all(
      (await own.networks(page)).rows.map(({ prefix }) => own.delegations(prefix, page)),
    ),
    devices: (await own.devices(page)).rows.map(({ name, note, standing, gid, pseudonym }) => ({
      ...{ name, note, standing, gid, pseudonym },
    })),
    alarms: await own.alarms(page, true),
    hooks: await own.hooks(),
    cas: await own.anchors(),
    codes: await own.codes(page),
    issued: await own.issued(page),
    tokens: await own.tokens(page),
    people: await own.people(page),
    invites: await own.invites(page),
    audit: (await own.audit(page)).rows.filter(({ actor }) => actor !== 'fabric'),
  };
}

/** A text with the kinds of names in place of the names, whosever they are, and of the input: what remains is what an answer itself says. */
export function unnamed(text: string, input: Record<string, unknown>, ...all: readonly Named[]): string {
  const names = all.flatMap(({ ids, personId, label: _, ...texts }) => [
    ['number', personId] as [string, string],
    ...Object.entries(texts).filter((each): each is [string, string] => typeof each[1] === 'string'),
    ...Object.values(ids).map((id): [string, string] => ['number', String(id)]),
  ]);
  const given = Object.entries(input).filter(
    (each): each is [string, string] => typeof each[1] === 'string' && each[1].length > 5,
  );
  const longest = [...names, ...given].sort(([, one], [, other]) => other.length - one.length);
  return longest.reduce(
    (left, [field, value]) =>
      left.replaceAll(
        new RegExp(`(?<![0-9a-z])${value.replaceAll(/[^0-9A-Za-z ]/g, '\\$&')}(?![0-9a-z])`, 'g'),
        `<${field}>`,
      ),
    text,
  );
}
