import { Failure } from '../../protocol/failure.ts';

/** What agents have in their configuration unless it says something else, and heartbeats as one of several nodes asks for; test/sim/simulate.test.ts compares. */
export const AGENT = {
  connectTimeoutMs: 10_000,
  heartbeatPeriodMs: 4_000,
  heartbeatTimeoutMs: 3_000,
  rotateAfterMs: 30 * 86_400_000,
};
/** The next address of a name is tried after so long (os/net/connect.ts). */
export const STAGGER_MS = 250;
/** When the kernel sends a connection's first packet again that was dropped, after the time before. */
export const AGAIN_MS = [1_000, 2_000, 4_000];
/** Round trips of agents, and what their TPMs take for a signature of TLS and for a handshake with the identity server: each uniform between the two. */
export const ROUND_TRIP_MS = [20, 200] as const;
export const SIGNING_MS = [50, 250] as const;
export const PROVING_MS = [500, 1_500] as const;

/** Why an attempt fails, as the agent sees it. */
export const FAILURES = {
  unreachable: new Failure('net.unreachable', 'retry', 'cannot reach the fabric'),
  silent: new Failure('net.timeout', 'retry', 'no answer from the fabric'),
  cut: new Failure('tls.handshake-failed', 'retry', 'TLS handshake failed: closed'),
  late: new Failure('tls.handshake-failed', 'retry', 'TLS handshake failed: not finished in time'),
  closed: new Failure('tunnel.closed', 'retry', 'the router closed the connection'),
  lost: new Failure('tunnel.silent', 'retry', 'the router stopped answering'),
  refused: new Failure('xtt.error-received', 'retry', 'the server answered with an Error'),
};
