import { type Config, parseConfig } from '../../../../agent/config/config.ts';
import type { Probes } from '../../../../agent/doctor/probes.ts';
import type { Outcome } from '../../../../cli/check.ts';
import { Failure } from '../../../../protocol/failure.ts';
import { fakeProbes, HEALTHY_CONFIG } from '../../probes.ts';

/** Each check: what is different from a healthy machine, its outcome, and its message. */
export type Table = Readonly<Record<string, readonly (readonly [Partial<Probes>, Outcome, RegExp])[]>>;

export const config = (more: string, base = HEALTHY_CONFIG): Config =>
  parseConfig(`${base}\n${more}`, 'test');
export const NAMED = config('[dns]\nzone = "plant.internal"');
export const HOSTS = '[remote]\nhosts = ["fabric.example", "other.example"]';
export const PKI = config('[identity]\nmode = "pki"\ncertificate = "/c"\nkey = "/k"');
export const ENROLLED = config('[identity]\nmode = "pki"');
export const SOFTWARE = config('[identity]\nmode = "software"\ncredential-dir = "/c"');
export const PROXIED = config('proxy = "http://192.0.2.9:3128"', HOSTS);
export const NAMED_PROXY = config('proxy = "http://proxy.example:3128"', HOSTS);
export const loginWanted = async (): Promise<never> => {
  throw new Failure('net.proxy-login', 'operator', 'it wants a password', { action: 'Give it.' });
};
export const unreachable = async (): Promise<never> => {
  throw new Failure('net.unreachable', 'retry', 'cannot reach it');
};
export const refused = async (): Promise<never> => {
  throw new Failure('os.not-readable', 'operator', 'cannot read it', { action: 'Read it.' });
};
export const busy = async (): Promise<never> => {
  throw new Failure('tpm.busy', 'retry', 'another program holds it');
};
export const absent = async (): Promise<never> => {
  throw new Failure('tpm.absent', 'retry', 'no TPM', { action: 'Switch it on.' });
};
export const healthy = fakeProbes();
export const capabilities = await healthy.capabilities();
export const inspection = await healthy.inspection();
export const state = await healthy.state();
export const file = { character: true, mode: 0o660, owner: 'tss', group: 'tss', usable: true };
export const answer = { connectMs: 1, handshakeMs: 2 };
export const map = inspection.maps[0]!;
export const SEALED = { ...map, daaKey: { handle: 1, sealed: true as const, point: new Uint8Array(65) } };

export const GATEWAY = config('[delegation]\ninterface = "eth1"');
export const DELEGATED = { prefix: 'fd00:9::/64', lan: 'eth1', failure: null };
export const running = (await healthy.status())!;
export const trouble = {
  ...{ code: '', message: 'the interface enf0 was renamed to other0', action: 'Find the program.' },
  ...{ since: '', attempts: 1, nextTry: null },
};
