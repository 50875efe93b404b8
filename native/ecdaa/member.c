// What a member does with its secret key in software (ecdaa.md §5, §7).
#include "ecdaa.h"
#include "fp256bn/secret.h"

// 1 … n−1. Whether it is that is public, the scalar is not.
static bool decode_secret(scalar *r, const uint8_t *bytes) {
  bool valid = scalar_decode(r, bytes) & !scalar_is_zero(r);
  now_public(&valid, sizeof valid);
  return valid;
}

bool ecdaa_public_point(uint8_t *point, const uint8_t *secret) {
  scalar sk;
  g1_affine affine;
  g1_projective product;
  bool done = decode_secret(&sk, secret);
  if (done) {
    secret_multiply_generator(&product, &sk);
    done = secret_normalise(&affine, &product, 1);
    g1_encode(point, &affine);
  }
  explicit_bzero(&sk, sizeof sk);
  explicit_bzero(&product, sizeof product);  // how a product is projected tells of its scalar
  secret_wipe_stack();
  return done;
}

bool ecdaa_respond(uint8_t *response, const uint8_t *secret, const uint8_t *committed, const uint8_t *challenge) {
  scalar sk, k, c, s;
  bool done = decode_secret(&sk, secret) && decode_secret(&k, committed) && scalar_decode(&c, challenge);
  if (done) {
    scalar_mul(&s, &c, &sk);
    scalar_add(&s, &s, &k);
    scalar_encode(response, &s);
  }
  explicit_bzero(&sk, sizeof sk);
  explicit_bzero(&k, sizeof k);
  secret_wipe_stack();
  return done;
}

// What a signature is made from: sk, the draws l, k, n_s, and kl.
struct secrets { scalar sk, l, k, nonce, kl; };

static bool read_secrets(struct secrets *r, const uint8_t *secret, const uint8_t *draws) {
  scalar_from_draw(&r->l, draws);
  scalar_from_draw(&r->k, draws + DRAW_LENGTH);
  scalar_from_draw(&r->nonce, draws + 2 * DRAW_LENGTH);
  scalar_mul(&r->kl, &r->k, &r->l);
  bool drawn = !scalar_is_zero(&r->l) & !scalar_is_zero(&r->k) & !scalar_is_zero(&r->nonce);
  now_public(&drawn, sizeof drawn);
  return decode_secret(&r->sk, secret) && drawn;
}

// The points of a signature; the last two only with a basename.
enum { R, S, T, W, E, OWN, L, K, POINTS };

// R … W = l·(A, B, C, D), E = k·S = kl·B, L = k·P2, K = sk·P2; and sk·B, which must be D for a credential of this secret.
static bool multiply_points(g1_affine *points, const struct secrets *secrets, const uint8_t *credential,
                            const g1_affine *basename_point) {
  g1_affine given[4];
  struct secret_product each[POINTS] = {
      [E] = {&given[S], &secrets->kl}, [OWN] = {&given[S], &secrets->sk},
      [L] = {basename_point, &secrets->k}, [K] = {basename_point, &secrets->sk}};
  g1_projective products[POINTS];
  size_t count = basename_point ? POINTS : L;
  for (int i = R; i <= W; i++) {
    if (!g1_decode(&given[i], credential + i * G1_LENGTH)) return false;
    each[i] = (struct secret_product){&given[i], &secrets->l};
  }
  secret_multiply_each(products, each, count);
  bool finite = secret_normalise(points, products, count);
  explicit_bzero(products, sizeof products);
  bool own = fp_equal(&points[OWN].x, &given[W].x) & fp_equal(&points[OWN].y, &given[W].y);
  now_public(&own, sizeof own);
  return finite && own;
}

static void prove(uint8_t *signature, const struct secrets *secrets, const g1_affine *points,
                  const struct ecdaa_statement *about) {
  uint8_t commitment[G1_LENGTH], linked[G1_LENGTH];
  struct ecdaa_statement statement = *about;
  g1_encode(commitment, &points[E]);
  statement.commitment = commitment;
  statement.base = signature + 2 * SCALAR_LENGTH + S * G1_LENGTH;
  statement.public_point = signature + 2 * SCALAR_LENGTH + W * G1_LENGTH;
  if (about->basename_length > 0) {
    g1_encode(linked, &points[L]);
    statement.linked_commitment = linked;
    statement.pseudonym = signature + SIGNATURE_LENGTH;
  }
  scalar c, s;
  scalar_encode(signature + SIGNATURE_LENGTH - SCALAR_LENGTH, &secrets->nonce);
  ecdaa_challenge(&c, signature + SIGNATURE_LENGTH - SCALAR_LENGTH, &statement);
  scalar_mul(&s, &c, &secrets->sk);
  scalar_add(&s, &s, &secrets->k);
  scalar_encode(signature, &c);
  scalar_encode(signature + SCALAR_LENGTH, &s);
}

bool ecdaa_sign(uint8_t *signature, const uint8_t *secret, const uint8_t *credential, const uint8_t *message,
                size_t message_length, const uint8_t *basename, size_t basename_length, const uint8_t *draws) {
  bool linked = basename_length > 0;
  uint8_t encoded_basename_point[G1_LENGTH];
  struct secrets secrets;
  g1_affine basename_point, points[POINTS];
  bool done = (!linked || ecdaa_hash_to_g1(&basename_point, basename, basename_length)) &&
              read_secrets(&secrets, secret, draws) &&
              multiply_points(points, &secrets, credential, linked ? &basename_point : NULL);
  if (done) {
    for (int i = R; i <= W; i++) g1_encode(signature + 2 * SCALAR_LENGTH + i * G1_LENGTH, &points[i]);
    if (linked) {
      g1_encode(signature + SIGNATURE_LENGTH, &points[K]);
      g1_encode(encoded_basename_point, &basename_point);
    }
    prove(signature, &secrets, points,
          &(struct ecdaa_statement){.basename_point = encoded_basename_point,
                                    .basename = basename,
                                    .basename_length = basename_length,
                                    .message = message,
                                    .message_length = message_length});
  }
  explicit_bzero(&secrets, sizeof secrets);
  explicit_bzero(points, sizeof points);
  secret_wipe_stack();
  return done;
}
