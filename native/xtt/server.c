#include "server.h"
#include <openssl/crypto.h>
#include <string.h>

// A cookie: what stands in clear, and is nonce and AAD of the rest, and what is sealed: ClientInit from its suite on, shared secret, expiry.
enum {
  OPENING = IV,
  KEPT_FROM = 4,
  KEPT = CLIENT_INIT - KEPT_FROM,
  STATE_SHARED = KEPT,
  STATE_EXPIRY = STATE_SHARED + SHARE,
  STATE = STATE_EXPIRY + 4,
};
_Static_assert(OPENING + STATE + TAG == COOKIE, "a cookie is full");
_Static_assert(SERVER_INIT_CLEAR + CERTIFICATE + P256_SIGNATURE + TAG == SERVER_INIT, "ServerInitAndAttest");
_Static_assert(CLIENT_ATTEST_CLEAR + CLAIM + TAG == CLIENT_ATTEST, "Identity_ClientAttest");
_Static_assert(FINISHED_CLEAR + IDENTITY + P256_POINT + TAG == FINISHED, "Identity_ServerFinished");

static void put_u32(uint8_t *at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get_u32(const uint8_t *at) { return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]; }

static unsigned suite_at(const uint8_t *message) { return (unsigned)message[4] << 8 | message[5]; }

static bool all_zero(const uint8_t *bytes, size_t length) {
  uint8_t any = 0;
  for (size_t i = 0; i < length; i++) any |= bytes[i];
  return any == 0;
}

// What both sides hash and derive before the server has signed.
struct greeting {
  uint8_t clear[SERVER_INIT_CLEAR];
  uint8_t inner[HASH];
  struct handshake_keys keys;
};

static bool greet(struct algorithms *algorithms, const struct cookie_key *key, const uint8_t *client_init, const uint8_t *cookie,
                  const uint8_t *shared, struct greeting *out) {
  const unsigned suite = suite_at(client_init);
  uint8_t key_hash[HASH];
  memcpy(out->clear, (const uint8_t[]){0x02, SERVER_INIT >> 8, SERVER_INIT & 0xff, 0x01, 0, (uint8_t)suite}, SERVER_INIT_SHARE);
  memcpy(out->clear + SERVER_INIT_SHARE, key->share, SHARE);
  memcpy(out->clear + SERVER_INIT_COOKIE, cookie, COOKIE);
  return suite_hash(algorithms, suite, (const struct span[]){{client_init, CLIENT_INIT}, {out->clear, SERVER_INIT_COOKIE}}, 2, out->inner) &&
         suite_hash(algorithms, suite, (const struct span[]){{out->inner, HASH}, {cookie, COOKIE}}, 2, key_hash) &&
         suite_keys(algorithms, suite, shared, key_hash, &out->keys);
}

static const struct credential *credential_for(const struct credentials *credentials, const uint8_t *client_init) {
  for (size_t i = 0; i < credentials->count; i++)
    if (memcmp(credentials->each[i].hint, client_init + CLIENT_INIT_NONCE, HINT) == 0) return &credentials->each[i];
  return &credentials->each[0];
}

// The server's signature over all that it sent before it.
static bool sign_greeting(struct algorithms *algorithms, const struct credential *with, const uint8_t *client_init,
                          const struct greeting *greeting, uint8_t signature[P256_SIGNATURE]) {
  const struct span said[] = {{client_init, CLIENT_INIT}, {greeting->clear, SERVER_INIT_CLEAR}, {with->certificate, CERTIFICATE}};
  uint8_t message[HASH];
  return suite_hash(algorithms, suite_at(client_init), said, 3, message) && p256_sign(with->signer, message, sizeof message, signature);
}

static bool seal_greeting(struct algorithms *algorithms, const struct credential *with, const uint8_t *client_init,
                          const struct greeting *greeting, uint8_t out[SERVER_INIT]) {
  uint8_t text[CERTIFICATE + P256_SIGNATURE];
  memcpy(text, with->certificate, CERTIFICATE);
  memcpy(out, greeting->clear, SERVER_INIT_CLEAR);
  return sign_greeting(algorithms, with, client_init, greeting, text + CERTIFICATE) &&
         suite_seal(algorithms, suite_at(client_init), &greeting->keys.server, 0, (struct span){out, SERVER_INIT_CLEAR},
                    (struct span){text, sizeof text}, out + SERVER_INIT_CLEAR);
}

static bool make_cookie(struct algorithms *algorithms, const struct cookie_key *key, struct ticket ticket, const uint8_t *client_init,
                        const uint8_t *shared, uint8_t cookie[COOKIE]) {
  uint8_t state[STATE];
  put_u32(cookie, ticket.id);
  put_u32(cookie + 4, ticket.serial);
  put_u32(cookie + 8, ticket.salt);
  memcpy(state, client_init + KEPT_FROM, KEPT);
  memcpy(state + STATE_SHARED, shared, SHARE);
  put_u32(state + STATE_EXPIRY, ticket.expiry);
  bool done = cookie_seal(algorithms, key->seal, cookie, (struct span){state, sizeof state}, cookie + OPENING);
  OPENSSL_cleanse(state, sizeof state);
  return done;
}

static bool answer_one(struct algorithms *algorithms, const struct cookie_key *key, const struct credentials *credentials, struct ticket ticket,
                       const uint8_t client_init[CLIENT_INIT], const uint8_t shared[SHARE], uint8_t out[SERVER_INIT]) {
  uint8_t cookie[COOKIE];
  struct greeting greeting;
  bool done = make_cookie(algorithms, key, ticket, client_init, shared, cookie) &&
              greet(algorithms, key, client_init, cookie, shared, &greeting) &&
              seal_greeting(algorithms, credential_for(credentials, client_init), client_init, &greeting, out);
  OPENSSL_cleanse(&greeting, sizeof greeting);
  return done;
}

bool server_answer(struct algorithms *algorithms, struct cookie_key *key, const struct credentials *credentials, const uint8_t *tickets,
                   const uint8_t (*client_inits)[CLIENT_INIT], size_t count, uint8_t (*out)[SERVER_INIT]) {
  uint8_t shares[X25519_TOGETHER][SHARE], shared[X25519_TOGETHER][SHARE];
  bool done = true;
  for (size_t from = 0; from < count && done; from += X25519_TOGETHER) {
    const size_t together = count - from < X25519_TOGETHER ? count - from : X25519_TOGETHER;
    for (size_t i = 0; i < together; i++) memcpy(shares[i], client_inits[from + i] + CLIENT_INIT_SHARE, SHARE);
    done = x25519_exchange_together(&key->exchange, (const uint8_t (*)[SHARE])shares, together, shared);
    for (size_t i = 0; i < together && done; i++) {
      struct ticket ticket;
      memcpy(&ticket, tickets + (from + i) * sizeof ticket, sizeof ticket);
      if (all_zero(shared[i], SHARE)) memset(out[from + i], 0, SERVER_INIT);
      else done = answer_one(algorithms, key, credentials, ticket, client_inits[from + i], shared[i], out[from + i]);
    }
  }
  OPENSSL_cleanse(shared, sizeof shared);
  return done;
}

// Marks the cookie with this number as spent; false if it was before.
static bool spend(struct spent spent, uint32_t serial) {
  const size_t at = serial >> 3;
  const uint8_t bit = (uint8_t)(1u << (serial & 7));
  if (at >= spent.length || (spent.bits[at] & bit) != 0) return false;
  spent.bits[at] |= bit;
  return true;
}

static enum outcome redeem(struct algorithms *algorithms, const struct cookie_key *key, double age, struct spent spent,
                           const uint8_t *cookie, uint8_t state[STATE]) {
  switch (cookie_open(algorithms, key->seal, cookie, (struct span){cookie + OPENING, STATE + TAG}, state)) {
    case BROKEN: return NO_MEMORY;
    case NOT_AUTHENTIC: return BAD_COOKIE;
    case OPENED: break;
  }
  if (!(age < get_u32(state + STATE_EXPIRY))) return EXPIRED_COOKIE;
  return spend(spent, get_u32(cookie + 4)) ? DONE : SPENT_COOKIE;
}

// What the client signed as it was answered with these credentials: both hashes are over less than the draft means (protocol/xtt/schedule.ts).
static bool client_messages(struct algorithms *algorithms, const struct credential *with, const uint8_t *client_init,
                            const struct greeting *greeting, const uint8_t *attest, uint8_t longterm[HASH], uint8_t daa[HASH]) {
  enum { BEFORE = HASH + 1 + CERTIFICATE + P256_SIGNATURE, LONGTERM = 314, DAA = 378 };
  const unsigned suite = suite_at(client_init);
  uint8_t signature[P256_SIGNATURE];
  if (!sign_greeting(algorithms, with, client_init, greeting, signature)) return false;
  struct span said[] = {{greeting->inner, HASH},
                        {attest + CLIENT_ATTEST_COOKIE, 1},
                        {with->certificate, CERTIFICATE},
                        {signature, P256_SIGNATURE},
                        {attest, LONGTERM - BEFORE}};
  if (!suite_hash(algorithms, suite, said, 5, longterm)) return false;
  said[4].length = DAA - BEFORE;
  return suite_hash(algorithms, suite, said, 5, daa);
}

static enum outcome check_claim(struct algorithms *algorithms, const struct credentials *credentials, const uint8_t *client_init,
                                const struct greeting *greeting, const uint8_t *attest, struct claim *claim) {
  uint8_t message[HASH];
  if (!client_messages(algorithms, credential_for(credentials, client_init), client_init, greeting, attest, message, claim->daa_message))
    return NO_MEMORY;
  return p256_verifies(claim->text + CLAIM_LONGTERM_KEY, message, sizeof message, claim->text + CLAIM_LONGTERM_SIGNATURE)
             ? DONE
             : BAD_LONGTERM_SIGNATURE;
}

static enum outcome open_claim(struct algorithms *algorithms, const struct credentials *credentials, const struct credentials *former,
                               const uint8_t *client_init, const struct greeting *greeting, const uint8_t *attest, struct claim *claim) {
  const unsigned suite = suite_at(client_init);
  if (suite_at(attest) != suite) return OTHER_SUITE;
  switch (suite_open(algorithms, suite, &greeting->keys.client, 0, (struct span){attest, CLIENT_ATTEST_CLEAR},
                     (struct span){attest + CLIENT_ATTEST_CLEAR, CLAIM + TAG}, claim->text)) {
    case BROKEN: return NO_MEMORY;
    case NOT_AUTHENTIC: return CLAIM_NOT_AUTHENTIC;
    case OPENED: break;
  }
  claim->server = greeting->keys.server;
  enum outcome outcome = check_claim(algorithms, credentials, client_init, greeting, attest, claim);
  // The keys of the handshake do not depend on the certificate, but what the client signs does.
  if (outcome != BAD_LONGTERM_SIGNATURE || former == NULL) return outcome;
  return check_claim(algorithms, former, client_init, greeting, attest, claim);
}

enum outcome server_open(struct algorithms *algorithms, struct cookie_key *key, const struct credentials *credentials,
                         const struct credentials *former, double age, struct spent spent, const uint8_t attest[CLIENT_ATTEST],
                         struct claim *out, unsigned *suite) {
  const uint8_t *cookie = attest + CLIENT_ATTEST_COOKIE;
  uint8_t state[STATE], client_init[CLIENT_INIT] = {0x01, CLIENT_INIT >> 8, CLIENT_INIT & 0xff, 0x01};
  struct greeting greeting;
  enum outcome outcome = redeem(algorithms, key, age, spent, cookie, state);
  if (outcome == DONE) {
    memcpy(client_init + KEPT_FROM, state, KEPT);
    *suite = suite_at(client_init);
    outcome = greet(algorithms, key, client_init, cookie, state + STATE_SHARED, &greeting)
                  ? open_claim(algorithms, credentials, former, client_init, &greeting, attest, out)
                  : NO_MEMORY;
    OPENSSL_cleanse(&greeting, sizeof greeting);
  }
  OPENSSL_cleanse(state, sizeof state);
  if (outcome != DONE) OPENSSL_cleanse(out, sizeof *out);
  return outcome;
}

bool server_finish(struct algorithms *algorithms, unsigned suite, const struct claim *claim, const uint8_t identity[IDENTITY],
                   uint8_t out[FINISHED]) {
  uint8_t text[IDENTITY + P256_POINT];
  memcpy(out, (const uint8_t[]){0x13, FINISHED >> 8, FINISHED & 0xff, 0x01, 0, (uint8_t)suite}, FINISHED_CLEAR);
  memcpy(text, identity, IDENTITY);
  memcpy(text + IDENTITY, claim->text + CLAIM_LONGTERM_KEY, P256_POINT);
  return suite_seal(algorithms, suite, &claim->server, 1, (struct span){out, FINISHED_CLEAR}, (struct span){text, sizeof text},
                    out + FINISHED_CLEAR);
}
