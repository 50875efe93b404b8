import type { DeviceFile, FreeSpace, Identity } from '../../os/linux/machine.ts';
import type { LinkNames } from '../../os/linux/resolved.ts';
import type { Lookup } from '../../os/net/lookup.ts';
import type { HttpAnswer, TlsAnswer } from '../../os/net/probe.ts';
import type { Failure } from '../../protocol/failure.ts';
import type { Prefix } from '../../protocol/ipv6.ts';
import type { Inspection } from '../../tpm/inspect.ts';
import type { Capabilities } from '../../tpm/probe.ts';
import type { Config } from '../config/config.ts';
import type { CertificateView } from '../identity/session.ts';
import type { Status } from '../status/status.ts';
import type { StateView } from './state-view.ts';

/** How a packet to an address leaves. */
export interface Route {
  readonly device: string;
  readonly gateway?: string;
  /** MTU of the path as far as the kernel has learnt it. */
  readonly mtu?: number;
}

/** A program that configures interfaces, and whether it manages the tunnel's. */
export interface ForeignManager {
  readonly name: 'systemd-networkd' | 'NetworkManager';
  readonly manages: boolean;
}

/**
 * Everything that checks ask of the machine. Each can be asked any number of times, changes nothing, and comes back in a few
 * seconds; what is expensive is asked once and remembered.
 */
export interface Probes {
  readonly config: Config;
  wallMs(): number;
  /** When the program was built. */
  readonly builtMs: number;
  /** Whether a time server sets the clock; undefined if that is unknown. */
  clockSynchronised(): Promise<boolean | undefined>;
  /** Undefined if nothing is there. */
  deviceFile(path: string): Promise<DeviceFile | undefined>;
  /** User and groups that the checks run as. */
  identity(): Promise<Identity>;
  /** Paths of the kernel's TPM devices. */
  tpmDevices(): Promise<readonly string[]>;
  /** @throws Failure `tpm.…` */
  capabilities(): Promise<Capabilities>;
  /** @throws Failure `tpm.…` */
  inspection(): Promise<Inspection>;
  /** Signs for the group and verifies that. False if the signature is not good. @throws Failure of keys and TPM */
  membership(): Promise<boolean>;
  /** That which the configuration names, if its key can be read, too, or with which the device was enrolled. @throws Failure `pki.…`, `os.…`, `agent.unusable-identity` */
  certificate(): Promise<CertificateView>;
  /** PEM. @throws Failure of keys and TPM, `agent.no-tls-root` */
  tlsRoot(): Promise<string>;
  readonly lookup: Lookup;
  /** Prefixes of the machine's own links. */
  links?(): readonly Prefix[];
  /** Undefined: none. */
  route(address: string): Promise<Route | undefined>;
  /** Milliseconds until connected. @throws Failure `net.…`, `os.not-permitted` */
  connect(address: string, port: number): Promise<number>;
  /** A handshake without a client certificate; `large`: one that does not fit one packet. @throws Failure `net.…` */
  tls(address: string, port: number, large: boolean): Promise<TlsAnswer>;
  /** The HTTP answer from port 80; undefined: none. */
  http(address: string): Promise<HttpAnswer | undefined>;
  /** A file under /proc/sys, trimmed; undefined if it is not there. */
  sysctl(path: string): Promise<string | undefined>;
  /** Why the interface of the tunnel has no IPv6; undefined: it has. */
  ipv6Disabled(): Promise<Failure | undefined>;
  /** What systemd-resolved asks on the interface of the tunnel. @throws Failure `os.no-resolved`, `os.resolved-refused` */
  linkNames(): Promise<LinkNames>;
  foreignManagers(): Promise<readonly ForeignManager[]>;
  /** Of the file system that holds the path, or will. @throws Failure `os.not-readable` */
  freeSpace(path: string): Promise<FreeSpace>;
  /** @throws Failure `os.…`, `state.newer-version` */
  state(): Promise<StateView>;
  /** Of the running agent; undefined if none runs, or it does not answer. */
  status(): Promise<Status | undefined>;
}
