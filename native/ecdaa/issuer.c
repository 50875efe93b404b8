// The issuer's credentials (ecdaa.md §6).
#include "ecdaa.h"
#include "fp256bn/secret.h"

// x, y of the issuer, l, r of this credential, and what they make.
struct secrets { scalar x, y, l, r, ly, xl, xly; };

static bool read_secrets(struct secrets *s, const uint8_t *issuer, const uint8_t *draws) {
  bool valid = scalar_decode(&s->x, issuer) & scalar_decode(&s->y, issuer + SCALAR_LENGTH);
  scalar_from_draw(&s->l, draws);
  scalar_from_draw(&s->r, draws + DRAW_LENGTH);
  valid &= !scalar_is_zero(&s->x) & !scalar_is_zero(&s->y) & !scalar_is_zero(&s->l) & !scalar_is_zero(&s->r);
  scalar_mul(&s->ly, &s->l, &s->y);
  scalar_mul(&s->xl, &s->l, &s->x);
  scalar_mul(&s->xly, &s->ly, &s->x);
  now_public(&valid, sizeof valid);
  return valid;
}

enum { A, B, C, D, U, V, POINTS };

// A = l·G1, B = ly·G1, D = ly·Q, C = x·(A + D) = xl·G1 + xly·Q; U = r·G1 and V = r·Q for the proof.
static bool multiply_points(g1_affine *points, const struct secrets *s, const g1_affine *member_point) {
  const struct secret_product each[POINTS + 1] = {
      [A] = {NULL, &s->l}, [B] = {NULL, &s->ly}, [C] = {NULL, &s->xl}, [U] = {NULL, &s->r},
      [D] = {member_point, &s->ly}, [V] = {member_point, &s->r}, [POINTS] = {member_point, &s->xly}};
  g1_projective products[POINTS + 1];
  secret_multiply_each(products, each, POINTS + 1);
  secret_add(&products[C], &products[C], &products[POINTS]);
  bool finite = secret_normalise(points, products, POINTS);
  explicit_bzero(products, sizeof products);
  return finite;
}

// c = Hash(U ‖ V ‖ G1 ‖ B ‖ Q ‖ D), s = r + c·ly
static void prove(uint8_t *signature, const struct secrets *secrets, const g1_affine *points, const uint8_t *member_point) {
  uint8_t hashed[6 * G1_LENGTH];
  g1_affine generator;
  g1_generator(&generator);
  g1_encode(hashed, &points[U]);
  g1_encode(hashed + G1_LENGTH, &points[V]);
  g1_encode(hashed + 2 * G1_LENGTH, &generator);
  g1_encode(hashed + 3 * G1_LENGTH, &points[B]);
  memcpy(hashed + 4 * G1_LENGTH, member_point, G1_LENGTH);
  g1_encode(hashed + 5 * G1_LENGTH, &points[D]);
  scalar c, s;
  ecdaa_hash_points(&c, hashed, 6);
  scalar_mul(&s, &c, &secrets->ly);
  scalar_add(&s, &s, &secrets->r);
  scalar_encode(signature, &c);
  scalar_encode(signature + SCALAR_LENGTH, &s);
}

bool ecdaa_issue(uint8_t *credential, const uint8_t *issuer, const uint8_t *member_point, const uint8_t *draws) {
  struct secrets secrets;
  g1_affine member, points[POINTS];
  bool done = g1_decode(&member, member_point) && read_secrets(&secrets, issuer, draws) &&
              multiply_points(points, &secrets, &member);
  if (done) {
    for (int i = A; i <= D; i++) g1_encode(credential + i * G1_LENGTH, &points[i]);
    prove(credential + CREDENTIAL_LENGTH, &secrets, points, member_point);
  }
  explicit_bzero(&secrets, sizeof secrets);
  explicit_bzero(points, sizeof points);
  secret_wipe_stack();
  return done;
}
