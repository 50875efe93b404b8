// The server's side of a handshake without state between its messages, byte for byte as protocol/xtt does it; no JavaScript.
#pragma once
#include "crypto/p256.h"
#include "crypto/x25519.h"
#include "suite.h"

// A certificate of the server, for clients that trust the root with this hint (protocol/xtt/root-hint.ts).
struct credential {
  uint8_t hint[HINT], certificate[CERTIFICATE];
  struct p256_signer *signer;
};

// At least one; the first is for clients whose hint is none of these.
struct credentials {
  size_t count;
  struct credential each[];
};

// A key of cookies, and the X25519 secret of all handshakes under it (protocol/xtt/cookie.ts).
struct cookie_key {
  uint8_t seal[KEY], share[SHARE];
  struct x25519 exchange;
};

// What a cookie begins with, and when it expires: milliseconds since its key was made.
struct ticket {
  uint32_t id, serial, salt, expiry;
};

enum outcome {
  DONE,
  BAD_COOKIE,
  EXPIRED_COOKIE,
  SPENT_COOKIE,
  CLAIM_NOT_AUTHENTIC,
  BAD_LONGTERM_SIGNATURE,
  OTHER_SUITE,
  NO_MEMORY,
};

// Answers ClientInits, whose suites are known, with a ticket for each, as it is in memory but anywhere; where a share is weak, the answer is zeros. False without memory.
bool server_answer(struct algorithms *algorithms, struct cookie_key *key, const struct credentials *credentials, const uint8_t *tickets,
                   const uint8_t (*client_inits)[CLIENT_INIT], size_t count, uint8_t (*out)[SERVER_INIT]);

// What comes of an Identity_ClientAttest.
struct claim {
  uint8_t text[CLAIM];
  uint8_t daa_message[HASH];  // what the DAA signature in the text has to be over
  struct direction server;    // seals the last message
};

// One bit for each cookie that the key can issue; a set one is spent.
struct spent {
  uint8_t *bits;
  size_t length;
};

// Opens an Identity_ClientAttest at `age` of its cookie's key: cookie, AEAD and longterm signature are checked, in this order, and the cookie is spent
// before the message that it came with is opened. `former`, which may be NULL: the credentials that the client may have been answered with. `suite`: that of
// its ClientInit, if it is OTHER_SUITE.
enum outcome server_open(struct algorithms *algorithms, struct cookie_key *key, const struct credentials *credentials,
                         const struct credentials *former, double age, struct spent spent, const uint8_t attest[CLIENT_ATTEST],
                         struct claim *out, unsigned *suite);

// Identity_ServerFinished. False without memory.
bool server_finish(struct algorithms *algorithms, unsigned suite, const struct claim *claim, const uint8_t identity[IDENTITY],
                   uint8_t out[FINISHED]);
