// Inversion modulo an odd number of 256 bits by division steps: Bernstein and Yang, "Fast constant-time gcd computation and modular inversion"
// (TCHES 2019, 3), as Wuille's safegcd implementation guide for libsecp256k1 does it: some sixty steps on the lowest limbs of f and g are gathered in
// a matrix, which then is applied to the whole numbers. How the steps are found, in constant time or not, is the caller's; what is here takes the same time for all
// values. Needs integers of 128 bits.
#pragma once
#include <stdint.h>

typedef __int128 int128;

// Five digits of 62 bits, least significant first; the last one has the sign. Here always between −2p and 2p.
#define DIGITS 5
#define DIGIT_MASK (UINT64_MAX >> 2)
struct signed62 { int64_t digit[DIGITS]; };

// An odd number of 256 bits, and its inverse modulo 2^64.
struct modulus { struct signed62 value; uint64_t inverse; };

// What the steps of one round do to (f, g), times 2^62: |u| + |v| ≤ 2^62 and |q| + |r| ≤ 2^62.
struct steps { int64_t u, v, q, r; };

static inline struct signed62 split_62(const uint64_t limb[4]) {
  return (struct signed62){{(int64_t)(limb[0] & DIGIT_MASK), (int64_t)((limb[0] >> 62 | limb[1] << 2) & DIGIT_MASK),
                            (int64_t)((limb[1] >> 60 | limb[2] << 4) & DIGIT_MASK),
                            (int64_t)((limb[2] >> 58 | limb[3] << 6) & DIGIT_MASK), (int64_t)(limb[3] >> 56)}};
}

// (f, g) = t·(f, g)/2^62: exact.
static inline void apply_steps(struct signed62 *f, struct signed62 *g, const struct steps *t) {
  int128 cf = (int128)t->u * f->digit[0] + (int128)t->v * g->digit[0];
  int128 cg = (int128)t->q * f->digit[0] + (int128)t->r * g->digit[0];
  for (int i = 1; i < DIGITS; i++) {
    cf = (cf >> 62) + (int128)t->u * f->digit[i] + (int128)t->v * g->digit[i];
    cg = (cg >> 62) + (int128)t->q * f->digit[i] + (int128)t->r * g->digit[i];
    f->digit[i - 1] = (int64_t)((uint64_t)cf & DIGIT_MASK);
    g->digit[i - 1] = (int64_t)((uint64_t)cg & DIGIT_MASK);
  }
  f->digit[DIGITS - 1] = (int64_t)(cf >> 62);
  g->digit[DIGITS - 1] = (int64_t)(cg >> 62);
}

// (d, e) = t·(d, e)/2^62 mod p, with multiples of p that make it exact. Both stay between −2p and p.
static inline void apply_steps_mod(struct signed62 *d, struct signed62 *e, const struct steps *t, const struct modulus *p) {
  int64_t d_sign = d->digit[DIGITS - 1] >> 63, e_sign = e->digit[DIGITS - 1] >> 63;
  int64_t md = (t->u & d_sign) + (t->v & e_sign), me = (t->q & d_sign) + (t->r & e_sign);
  int128 cd = (int128)t->u * d->digit[0] + (int128)t->v * e->digit[0];
  int128 ce = (int128)t->q * d->digit[0] + (int128)t->r * e->digit[0];
  md -= (int64_t)((p->inverse * (uint64_t)cd + (uint64_t)md) & DIGIT_MASK);
  me -= (int64_t)((p->inverse * (uint64_t)ce + (uint64_t)me) & DIGIT_MASK);
  cd += (int128)p->value.digit[0] * md;
  ce += (int128)p->value.digit[0] * me;
  for (int i = 1; i < DIGITS; i++) {
    cd = (cd >> 62) + (int128)t->u * d->digit[i] + (int128)t->v * e->digit[i] + (int128)p->value.digit[i] * md;
    ce = (ce >> 62) + (int128)t->q * d->digit[i] + (int128)t->r * e->digit[i] + (int128)p->value.digit[i] * me;
    d->digit[i - 1] = (int64_t)((uint64_t)cd & DIGIT_MASK);
    e->digit[i - 1] = (int64_t)((uint64_t)ce & DIGIT_MASK);
  }
  d->digit[DIGITS - 1] = (int64_t)(cd >> 62);
  e->digit[DIGITS - 1] = (int64_t)(ce >> 62);
}

// Brings the digits but the last one between 0 and 2^62 again.
static inline void carry_digits(struct signed62 *x) {
  for (int i = 0; i < DIGITS - 1; i++) {
    x->digit[i + 1] += x->digit[i] >> 62;
    x->digit[i] &= (int64_t)DIGIT_MASK;
  }
}

static inline void add_if_negative(struct signed62 *x, const struct modulus *p) {
  int64_t mask = x->digit[DIGITS - 1] >> 63;
  for (int i = 0; i < DIGITS; i++) x->digit[i] += p->value.digit[i] & mask;
  carry_digits(x);
}

// The other way from split_62, of digits between 0 and 2^62.
static inline void join_62(uint64_t limb[4], const struct signed62 *x) {
  const uint64_t *digit = (const uint64_t *)x->digit;
  limb[0] = digit[0] | digit[1] << 62;
  limb[1] = digit[1] >> 2 | digit[2] << 60;
  limb[2] = digit[2] >> 4 | digit[3] << 58;
  limb[3] = digit[3] >> 6 | digit[4] << 56;
}

// What d has become when f is ±1: the inverse times the sign of f, between −2p and p. Afterwards it is the inverse, between 0 and p.
static inline void settle_inverse(struct signed62 *d, const struct signed62 *f, const struct modulus *p) {
  add_if_negative(d, p);
  const int64_t sign = f->digit[DIGITS - 1] >> 63;
  for (int i = 0; i < DIGITS; i++) d->digit[i] = (d->digit[i] ^ sign) - sign;
  carry_digits(d);
  add_if_negative(d, p);
}
