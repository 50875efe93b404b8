import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { codeHash } from '../../../fabric/access/codes.ts';
import { scopeOf } from '../../../fabric/access/scope.ts';
import { estAuthority } from '../../../fabric/est/authority.ts';
import type { Authority, ShownProof } from '../../../fabric/est/messages.ts';
import { openRegistry } from '../../../fabric/open-registry.ts';
import type { Context } from '../../../fabric/operations/contract/operation.ts';
import { addCodes, createCa } from '../../../fabric/operations/pki/issuing.ts';
import { foundAuthority } from '../../../fabric/pki/found.ts';
import { openAuthority } from '../../../fabric/pki/keeper.ts';
import type { RegistryOptions } from '../../../fabric/registry/registry.ts';
import { formatPrefix, type Prefix, parsePrefix } from '../../../protocol/ipv6.ts';
import { scratch, type WholeRegistry, wholeOf } from '../place.ts';
import { requestOf, type WantedRequest } from '../requests.ts';

export const PLANT = parsePrefix('fd00:1::/64');
export const DEPOT = parsePrefix('fd00:2::/64');
export const FOREIGN = parsePrefix('fd00:9::/64');
export const MINUTE_MS = 60_000;
export const DAY_MS = 86_400_000;

/** A fabric that can issue, with a clock of its own. */
export interface Place {
  readonly data: string;
  registry: WholeRegistry;
  authority: Authority;
  /** Of whoever runs the fabric, for the first owner. */
  readonly on: Context;
  /** Of an owner beside it, with the network `FOREIGN`. */
  readonly other: Context;
  /** Makes a CA; returns its number. */
  ca(networks?: readonly Prefix[], on?: Context): Promise<number>;
  code(
    more?: { name?: string; address?: string; hours?: number; network?: Prefix },
    on?: Context,
  ): Promise<{ readonly code: Uint8Array }>;
  /** The certificate that somebody gets. */
  enrol(proof: ShownProof, wanted?: WantedRequest, anchor?: number): Promise<Uint8Array>;
  pass(ms: number): void;
  /** Closes the registry and opens it again, as after a crash. */
  again(): Promise<void>;
}

/** `opened`: opens another registry than the one in the data folder. */
export async function place(opened?: (options: RegistryOptions) => WholeRegistry): Promise<Place> {
  const data = join(scratch(), 'fabric');
  await foundAuthority(data, 'test');
  let clock = Date.now();
  const now = (): number => clock;
  const options = { now, locate: () => 'CH' };
  const open = async (): Promise<WholeRegistry> =>
    opened?.(options) ?? wholeOf(await openRegistry(join(data, 'registry.db'), options));
  const keeper = await openAuthority(data);
  let registry = await open();
  onTestFinished(() => registry.close());
  const owner = await registry.addOwner('test', 'umbra');
  await registry.lendPrefix('test', 'umbra', FOREIGN);
  const common = {
    ...{ actor: 'test', now, keys: async () => keeper },
    running: { notify: async () => 'in force', presence: async () => undefined },
  };
  const here: Place = {
    data,
    registry,
    authority: estAuthority(registry, data, now),
    get on() {
      return { ...common, registry, whole: registry };
    },
    get other() {
      return { ...common, registry: registry.of(scopeOf(owner.id, false)) };
    },
    async ca(networks = [PLANT], on = here.on) {
      const input = { name: 'plant devices', networks: networks.map(formatPrefix) };
      return (await createCa.run(on, input)).view.ca.id;
    },
    async code({ network = PLANT, ...more } = {}, on = here.on) {
      const { codes } = await addCodes.run(on, { network: formatPrefix(network), ...more });
      return { code: codeHash(codes[0]!.code)! };
    },
    async enrol(proof, wanted = {}, anchor) {
      const request = requestOf(wanted);
      const asked = { kind: 'certificate', proof, request, source: '192.0.2.7' } as const;
      const [certificate] = await here.authority({ ...asked, ...(anchor !== undefined && { anchor }) });
      return certificate!;
    },
    pass(ms) {
      clock += ms;
    },
    async again() {
      await registry.close();
      registry = await open();
      here.registry = registry;
      here.authority = estAuthority(registry, data, now);
    },
  };
  await here.on.registry.addNetwork('test', PLANT, 'plant');
  await here.on.registry.addNetwork('test', DEPOT, 'depot');
  await here.other.registry.addNetwork('test', FOREIGN, 'theirs');
  return here;
}
