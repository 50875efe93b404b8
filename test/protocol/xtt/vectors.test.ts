import { describe, expect, it } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import { ascii, concat, fromHex, toHex } from '../../../protocol/bytes.ts';
import { publicKeyOf } from '../../../protocol/crypto/ecdsa.ts';
import { SUITE_NAMES, suite as suiteOf } from '../../../protocol/crypto/suite.ts';
import { encodeEcPrivateKey } from '../../../protocol/identity/key-file.ts';
import { parseEcPrivateKey } from '../../../protocol/identity/key-pair.ts';
import {
  makeRootCertificate,
  makeServerCertificate,
  parseRootCertificate,
  parseServerCertificate,
  verifyServerCertificate,
} from '../../../protocol/xtt/certificate.ts';
import * as client from '../../../protocol/xtt/client.ts';
import {
  decodeAssigned,
  decodeIdentityClaim,
  decodeServerAttest,
  encodeAssigned,
  encodeIdentityClaim,
  encodeServerAttest,
} from '../../../protocol/xtt/message.ts';
import { deriveKeys } from '../../../protocol/xtt/schedule.ts';
import * as server from '../../../protocol/xtt/server.ts';
import { type HandshakeVector, recordingPrimitives, signWithNonce, suiteVectors } from './vectors.ts';

const handshakes = suiteVectors.flatMap((vectors) =>
  vectors.handshakes.map((handshake) => ({ name: handshake.name, vectors, handshake })),
);

/** Runs the client on the recorded inputs and replies. */
function runClient(p = primitives, vectors: (typeof handshakes)[0]['vectors'], h: HandshakeVector) {
  const entropy = { dhSecret: fromHex(h.client_inputs.dh_secret), nonce: fromHex(h.client_inputs.nonce) };
  const opened = client.hello(p, vectors.suite_spec, entropy);
  const reply = fromHex(h.messages.server_init_and_attest);
  const attesting = client.attest(opened.next, reply, [fromHex(vectors.common.root_cert)]);
  const { longterm_private: secret, longterm_signature_k_random: nonce } = h.client_inputs;
  // A TPM does not tell its nonce; then the recorded signature stands in for the TPM.
  const longtermSignature =
    secret && nonce
      ? signWithNonce(fromHex(secret), fromHex(nonce), attesting.longtermMessage)
      : fromHex(h.longterm_signature);
  const claimed = client.identify(attesting, {
    longtermPublicKey: secret ? publicKeyOf(fromHex(secret)) : fromHex(h.longterm_public),
    longtermSignature,
    gid: fromHex(vectors.common.gid),
    requestedIdentity: fromHex(h.requested_id),
    daaSignature: fromHex(h.daa.signature),
  });
  const identity = client.finish(claimed.next, fromHex(h.messages.identity_server_finished));
  return { opened, attesting, longtermSignature, claimed, identity, entropy };
}

/** Runs the server on the recorded inputs and messages. */
function runServer(p = primitives, vectors: (typeof handshakes)[0]['vectors'], h: HandshakeVector) {
  const state = {
    dhSecret: fromHex(h.server_inputs.dh_secret),
    cookie: fromHex(h.server_inputs.cookie),
  };
  const config = { certificate: fromHex(vectors.common.server_cert) };
  const greeting = server.greet(p, config, fromHex(h.messages.client_init), state);
  const signature = signWithNonce(
    fromHex(vectors.common.server_keypair.private),
    fromHex(h.server_inputs.signature_k_random),
    greeting.serverMessage,
  );
  const answered = server.answer(greeting, signature);
  const claim = server.openClaim(answered.next, fromHex(h.messages.identity_client_attest));
  const finished = server.assign(claim, fromHex(h.assigned_id));
  return { greeting, signature, answered, claim, finished, state };
}

describe.each(handshakes)('recorded handshake $name', ({ vectors, handshake: h }) => {
  it('comes out of our client byte for byte', () => {
    const run = runClient(primitives, vectors, h);
    expect(toHex(run.opened.send)).toBe(h.messages.client_init);
    expect(toHex(run.attesting.longtermMessage)).toBe(h.hashes.client_longterm_sig_hash);
    expect(toHex(run.attesting.daaMessage)).toBe(h.hashes.client_daa_sig_hash);
    expect(toHex(run.attesting.daaMessage)).toBe(h.daa.message);
    expect(toHex(run.longtermSignature)).toBe(h.longterm_signature);
    expect(toHex(run.claimed.send)).toBe(h.messages.identity_client_attest);
    expect(toHex(run.identity)).toBe(h.assigned_id);
    expect(toHex(concat(run.opened.send, run.claimed.send))).toBe(h.tcp.client_to_server);
  });

  it('comes out of our server byte for byte', () => {
    const run = runServer(primitives, vectors, h);
    expect(toHex(run.greeting.serverMessage)).toBe(h.hashes.server_sig_hash);
    expect(toHex(run.signature)).toBe(h.server_signature);
    expect(toHex(run.answered.send)).toBe(h.messages.server_init_and_attest);
    expect(toHex(run.answered.next.longtermMessage)).toBe(h.hashes.client_longterm_sig_hash);
    expect(toHex(run.claim.daaMessage)).toBe(h.hashes.client_daa_sig_hash);
    expect(toHex(run.claim.gid)).toBe(vectors.common.gid);
    expect(toHex(run.claim.requestedIdentity)).toBe(h.requested_id);
    expect(toHex(run.claim.longtermPublicKey)).toBe(h.longterm_public);
    expect(toHex(run.claim.daaSignature)).toBe(h.daa.signature);
    expect(toHex(run.claim.pseudonym)).toBe(h.daa.pseudonym);
    expect(toHex(run.finished)).toBe(h.messages.identity_server_finished);
    expect(toHex(concat(run.answered.send, run.finished))).toBe(h.tcp.server_to_client);
  });

  it.each([
    ['client', runClient],
    ['server', runServer],
  ] as const)('hashes, derives and numbers as recorded on the side of the %s', (_side, run) => {
    const { p, recording } = recordingPrimitives();
    run(p, vectors, h);
    for (const name of [
      'inner_hash',
      'handshake_key_hash',
      'server_sig_hash',
      'client_longterm_sig_hash',
      'client_daa_sig_hash',
    ]) {
      const entry = { input: h.hashes[`${name}_input`], output: h.hashes[name] };
      expect(recording.hashed, name).toContainEqual(entry);
    }
    expect(recording.hashed).toHaveLength(5);
    expect(recording.shared).toEqual([h.secrets.dh_shared]);
    const { server_handshake_send_key: serverKey, client_handshake_send_key: clientKey } = h.secrets;
    expect(recording.keys).toEqual([serverKey, clientKey, serverKey]);
    expect(recording.nonces).toEqual([
      h.aead_nonces.server_init_and_attest,
      h.aead_nonces.identity_client_attest,
      h.aead_nonces.identity_server_finished,
    ]);
  });

  it('derives the recorded secrets', () => {
    const suite = suiteOf(primitives, vectors.suite_spec);
    const { secrets } = h;
    expect(toHex(suite.share(fromHex(h.client_inputs.dh_secret)))).toBe(h.client_inputs.dh_public);
    expect(toHex(suite.share(fromHex(h.server_inputs.dh_secret)))).toBe(h.server_inputs.dh_public);
    const zeroKey = fromHex(secrets.handshake_secret_prf_key);
    expect(toHex(suite.prf(64, zeroKey, fromHex(secrets.dh_shared)))).toBe(secrets.handshake_secret);
    const keys = deriveKeys(
      suite,
      fromHex(h.client_inputs.dh_secret),
      fromHex(h.server_inputs.dh_public),
      fromHex(h.hashes.handshake_key_hash!),
    );
    expect(toHex(keys.client.key)).toBe(secrets.client_handshake_send_key);
    expect(toHex(keys.client.iv)).toBe(secrets.client_handshake_send_iv);
    expect(toHex(keys.server.key)).toBe(secrets.server_handshake_send_key);
    expect(toHex(keys.server.iv)).toBe(secrets.server_handshake_send_iv);
  });

  it('has the recorded plaintexts', () => {
    const attest = fromHex(h.messages.server_init_and_attest_plain).subarray(168);
    const certificate = fromHex(vectors.common.server_cert);
    const serverAttest = { certificate, signature: fromHex(h.server_signature) };
    expect(encodeServerAttest(serverAttest)).toEqual(attest);
    expect(decodeServerAttest(attest)).toEqual(serverAttest);

    const claim = fromHex(h.messages.identity_client_attest_plain).subarray(136);
    const fields = {
      longtermPublicKey: fromHex(h.longterm_public),
      gid: fromHex(vectors.common.gid),
      requestedIdentity: fromHex(h.requested_id),
      longtermSignature: fromHex(h.longterm_signature),
      daaSignature: fromHex(h.daa.signature),
    };
    expect(encodeIdentityClaim(fields)).toEqual(claim);
    expect(decodeIdentityClaim(claim)).toEqual(fields);

    const finished = fromHex(h.messages.identity_server_finished_plain).subarray(6);
    const assigned = {
      identity: fromHex(h.assigned_id),
      longtermPublicKey: fromHex(h.longterm_public),
    };
    expect(encodeAssigned(assigned)).toEqual(finished);
    expect(decodeAssigned(finished)).toEqual(assigned);
  });

  it('leaves no ephemeral secret behind', () => {
    const atClient = runClient(primitives, vectors, h);
    const atServer = runServer(primitives, vectors, h);
    for (const { client, server } of [atClient.attesting.keys, atServer.greeting.keys]) {
      for (const secret of [client.key, client.iv, server.key, server.iv])
        expect(secret).toEqual(secret.map(() => 0));
    }
    expect(atClient.entropy.dhSecret).toEqual(new Uint8Array(32));
    expect(atServer.state.dhSecret).toEqual(new Uint8Array(32));
  });
});

describe.each(suiteVectors)('recorded keys and certificates of $suite', (vectors) => {
  const { common } = vectors;

  it('names the suite as the reference does', () => {
    expect(SUITE_NAMES[vectors.suite_spec]).toBe(vectors.suite);
    expect(suiteOf(primitives, vectors.suite_spec).name).toBe(vectors.suite);
  });

  it('reproduces the root certificate', () => {
    const certificate = fromHex(common.root_cert);
    const { id, publicKey } = parseRootCertificate(certificate);
    expect(toHex(publicKey)).toBe(common.root_keypair.public);
    expect(makeRootCertificate(id, publicKey)).toEqual(certificate);
  });

  it('reproduces the server certificate, apart from the nonce of its signature', async () => {
    const certificate = fromHex(common.server_cert);
    const fields = parseServerCertificate(certificate);
    expect(fields.reserved).toEqual(ascii('XAPTUMSERVER000199991231'));
    expect(toHex(fields.publicKey)).toBe(common.server_keypair.public);
    const { rootId, publicKey, signature } = fields;
    const replay = async (message: Uint8Array): Promise<Uint8Array> => {
      expect(message).toEqual(certificate.subarray(0, 105));
      return signature;
    };
    expect(await makeServerCertificate({ rootId, publicKey }, replay)).toEqual(certificate);
    expect(verifyServerCertificate(primitives, certificate, [fromHex(common.root_cert)])).toEqual(publicKey);
  });

  it.each(['root_keypair', 'server_keypair'] as const)('reproduces the key file of %s', (which) => {
    const pair = common[which];
    expect(toHex(encodeEcPrivateKey(fromHex(pair.private), fromHex(pair.public)))).toBe(pair.asn1_der);
    const { secret, publicKey } = parseEcPrivateKey(fromHex(pair.asn1_der));
    expect([toHex(secret), toHex(publicKey)]).toEqual([pair.private, pair.public]);
    expect(publicKeyOf(secret)).toEqual(publicKey);
  });

  it('computes the group id', () => {
    expect(toHex(primitives.sha256(fromHex(common.gpk), fromHex(common.basename)))).toBe(common.gid);
  });
});
