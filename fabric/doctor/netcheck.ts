import { primitives } from '../../crypto/primitives.ts';
import { dial } from '../../os/net/dial.ts';
import { readMessage, writeAll } from '../../os/net/message-stream.ts';
import { type TlsAnswer, tryTls } from '../../os/net/probe.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { toPem } from '../../protocol/identity/roots.ts';
import type { Trust } from '../../protocol/identity/trust.ts';
import { ALPN_CONTROL } from '../../protocol/tunnel/wire.ts';
import { abandon, attest, hello } from '../../protocol/xtt/client.ts';
import { hintedNonce } from '../../protocol/xtt/root-hint.ts';

/** What answers at one port of one address, seen from here. */
export interface PortView {
  readonly port: number;
  readonly purpose: 'identity' | 'tunnel';
  /** True if it is this fabric's. */
  readonly ok: boolean;
  /** In words. */
  readonly answer: string;
}

export interface AddressView {
  readonly address: string;
  readonly ports: readonly PortView[];
}

export interface NetcheckView {
  readonly host: string;
  readonly addresses: readonly AddressView[];
  /** Every address serves both ports. */
  readonly ok: boolean;
}

export interface NetcheckOptions {
  readonly host: string;
  readonly identityPort: number;
  readonly tunnelPort: number;
  readonly trust: Trust;
  readonly lookup: (host: string) => Promise<readonly string[]>;
}

const PATIENCE_MS = 5_000;
const MOST_ADDRESSES = 16;

/**
 * What a device meets that is given this name: each of its addresses, and at both ports whether the fabric of the trust bundle answers. It
 * begins a handshake at each and leaves it in order, which the fabric counts as that (`net.abandoned`). @throws Failure `net.no-such-host`
 */
export async function netcheck({
  host,
  identityPort,
  tunnelPort,
  trust,
  lookup,
}: NetcheckOptions): Promise<NetcheckView> {
  const found = await lookup(host).catch(() => []);
  if (found.length === 0) throw noSuchHost(host);
  const addresses = await Promise.all(
    found.slice(0, MOST_ADDRESSES).map(async (address) => ({
      address,
      ports: [
        await identityAt(address, identityPort, trust.xttRoot),
        await tunnelAt(address, tunnelPort, trust.tlsRoot),
      ],
    })),
  );
  return { host, addresses, ok: addresses.every(({ ports }) => ports.every(({ ok }) => ok)) };
}

async function identityAt(address: string, port: number, root: Uint8Array): Promise<PortView> {
  const what = { port, purpose: 'identity' } as const;
  try {
    const socket = await dial({ hosts: [address], port, mark: 0, timeoutMs: PATIENCE_MS });
    try {
      const entropy = { dhSecret: primitives.random(32), nonce: hintedNonce(primitives, root) };
      const { send, next } = hello(primitives, 1, entropy);
      await writeAll(socket, send, PATIENCE_MS);
      abandon(attest(next, await readMessage(socket, PATIENCE_MS), [root]));
      return { ...what, ok: true, answer: 'the identity server of this fabric' };
    } finally {
      socket.destroy();
    }
  } catch (error) {
    if (!isFailure(error)) throw error;
    return { ...what, ok: false, answer: `${error.message} [${error.code}]` };
  }
}

const ANSWERS: Readonly<Record<TlsAnswer['verdict'], string>> = {
  trusted: 'a router of this fabric',
  dated: 'a router of this fabric, whose certificate is not valid by the clock of this machine',
  misnamed: 'another server',
  foreign: 'another server',
  broken: 'no TLS',
};

async function tunnelAt(address: string, port: number, root: string | Uint8Array): Promise<PortView> {
  const what = { port, purpose: 'tunnel' } as const;
  const ca = typeof root === 'string' ? root : toPem(root);
  const asked = { address, port, mark: 0, timeoutMs: PATIENCE_MS, ca, alpn: ALPN_CONTROL };
  try {
    const small = await tryTls({ ...asked, large: false });
    const { verdict, reason, issuer } = small;
    if (verdict !== 'trusted') {
      const why = [reason, issuer === undefined ? undefined : `signed by ${issuer}`]
        .filter(Boolean)
        .join(', ');
      return { ...what, ok: false, answer: `${ANSWERS[verdict]} (${why})` };
    }
    const large = await tryTls({ ...asked, large: true });
    const lost = large.verdict === 'broken';
    return {
      ...what,
      ok: !lost,
      answer: lost ? `${ANSWERS.trusted}, but packets of full size are lost on the way` : ANSWERS.trusted,
    };
  } catch (error) {
    if (!isFailure(error)) throw error;
    return { ...what, ok: false, answer: `${error.message} [${error.code}]` };
  }
}

/** The view for people. */
export function netcheckText({ host, addresses, ok }: NetcheckView): string {
  const lines = addresses.flatMap(({ address, ports }) => [
    address,
    ...ports.map(
      ({ purpose, port, ok: fine, answer }) =>
        `  ${fine ? 'ok    ' : 'failed'}  ${purpose.padEnd(8)} port ${port}: ${answer}`,
    ),
  ]);
  const conclusion = ok
    ? `Devices with ${host} in remote.hosts get in from here.`
    : `Not every address of ${host} serves devices: see firewall, load balancer and NAT in front of the fabric, and what the name says.`;
  return [...lines, conclusion].join('\n');
}

const noSuchHost = (host: string): Failure =>
  new Failure('net.no-such-host', 'retry', `${host} has no address`, {
    action: 'Check the name, and the resolver of this machine.',
  });
