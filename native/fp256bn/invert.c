// Inversion of public numbers by division steps: Bernstein and Yang, "Fast constant-time gcd computation and modular inversion"
// (TCHES 2019, 3), in the variable-time form of Wuille's safegcd implementation guide for libsecp256k1: 62 steps on the lowest limbs of f and g are
// gathered in a matrix, which then is applied to the whole numbers. A quarter of the time of a power.
#include "fp.h"

#if defined(__SIZEOF_INT128__) && !defined(FP256BN_NARROW)

typedef __int128 int128;

// Five digits of 62 bits, least significant first; the last one has the sign. Here always between −2p and 2p.
#define DIGITS 5
#define DIGIT_MASK (UINT64_MAX >> 2)
struct signed62 { int64_t digit[DIGITS]; };

// What 62 steps do to (f, g), times 2^62: |u| + |v| ≤ 2^62 and |q| + |r| ≤ 2^62.
struct steps { int64_t u, v, q, r; };

static struct signed62 split_62(const uint64_t limb[4]) {
  return (struct signed62){{(int64_t)(limb[0] & DIGIT_MASK), (int64_t)((limb[0] >> 62 | limb[1] << 2) & DIGIT_MASK),
                            (int64_t)((limb[1] >> 60 | limb[2] << 4) & DIGIT_MASK),
                            (int64_t)((limb[2] >> 58 | limb[3] << 6) & DIGIT_MASK), (int64_t)(limb[3] >> 56)}};
}

// 62 steps from the lowest 64 bits of f (odd) and g; eta is −delta of the paper. Zeros at the end of g are shifted out at once, and up to
// six (four) further bits are cleared with one multiple of f, as many as steps are left before f and g would be exchanged.
static int64_t take_steps(struct steps *t, int64_t eta, uint64_t f, uint64_t g) {
  uint64_t u = 1, v = 0, q = 0, r = 1;
  for (int left = 62;;) {
    int zeros = __builtin_ctzll(g | UINT64_MAX << left);
    g >>= zeros;
    u <<= zeros;
    v <<= zeros;
    eta -= zeros;
    left -= zeros;
    if (left == 0) break;
    uint64_t multiple;
    if (eta < 0) {
      uint64_t f_before = f, u_before = u, v_before = v;
      eta = -eta;
      f = g;
      g = -f_before;
      u = q;
      q = -u_before;
      v = r;
      r = -v_before;
      int limit = eta + 1 > left ? left : (int)eta + 1;
      // −g/f mod 64: f(f² − 2) is −1/f mod 64.
      multiple = (f * g * (f * f - 2)) & (UINT64_MAX >> (64 - limit)) & 63;
    } else {
      int limit = eta + 1 > left ? left : (int)eta + 1;
      // −g/f mod 16
      uint64_t inverse = f + (((f + 1) & 4) << 1);
      multiple = (-inverse * g) & (UINT64_MAX >> (64 - limit)) & 15;
    }
    g += f * multiple;
    q += u * multiple;
    r += v * multiple;
  }
  *t = (struct steps){(int64_t)u, (int64_t)v, (int64_t)q, (int64_t)r};
  return eta;
}

// (f, g) = t·(f, g)/2^62: exact.
static void apply_steps(struct signed62 *f, struct signed62 *g, const struct steps *t) {
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
static void apply_steps_mod(struct signed62 *d, struct signed62 *e, const struct steps *t, const struct signed62 *p) {
  int64_t d_sign = d->digit[DIGITS - 1] >> 63, e_sign = e->digit[DIGITS - 1] >> 63;
  int64_t md = (t->u & d_sign) + (t->v & e_sign), me = (t->q & d_sign) + (t->r & e_sign);
  int128 cd = (int128)t->u * d->digit[0] + (int128)t->v * e->digit[0];
  int128 ce = (int128)t->q * d->digit[0] + (int128)t->r * e->digit[0];
  md -= (int64_t)((-FIELD_INVERSE * (uint64_t)cd + (uint64_t)md) & DIGIT_MASK);
  me -= (int64_t)((-FIELD_INVERSE * (uint64_t)ce + (uint64_t)me) & DIGIT_MASK);
  cd += (int128)p->digit[0] * md;
  ce += (int128)p->digit[0] * me;
  for (int i = 1; i < DIGITS; i++) {
    cd = (cd >> 62) + (int128)t->u * d->digit[i] + (int128)t->v * e->digit[i] + (int128)p->digit[i] * md;
    ce = (ce >> 62) + (int128)t->q * d->digit[i] + (int128)t->r * e->digit[i] + (int128)p->digit[i] * me;
    d->digit[i - 1] = (int64_t)((uint64_t)cd & DIGIT_MASK);
    e->digit[i - 1] = (int64_t)((uint64_t)ce & DIGIT_MASK);
  }
  d->digit[DIGITS - 1] = (int64_t)(cd >> 62);
  e->digit[DIGITS - 1] = (int64_t)(ce >> 62);
}

// Brings the digits but the last one between 0 and 2^62 again.
static void carry_digits(struct signed62 *x) {
  for (int i = 0; i < DIGITS - 1; i++) {
    x->digit[i + 1] += x->digit[i] >> 62;
    x->digit[i] &= (int64_t)DIGIT_MASK;
  }
}

static void add_if_negative(struct signed62 *x, const struct signed62 *p) {
  int64_t mask = x->digit[DIGITS - 1] >> 63;
  for (int i = 0; i < DIGITS; i++) x->digit[i] += p->digit[i] & mask;
  carry_digits(x);
}

static bool is_zero_62(const struct signed62 *x) {
  return !(x->digit[0] | x->digit[1] | x->digit[2] | x->digit[3] | x->digit[4]);
}

void fp_invert_public(fp *r, const fp *x) {
  const struct signed62 p = split_62(FIELD_ORDER);
  struct signed62 d = {{0}}, e = {{1}}, f = p, g = split_62(x->limb);
  struct steps t;
  for (int64_t eta = -1; !is_zero_62(&g);) {
    eta = take_steps(&t, eta, (uint64_t)f.digit[0] | (uint64_t)f.digit[1] << 62, (uint64_t)g.digit[0] | (uint64_t)g.digit[1] << 62);
    apply_steps_mod(&d, &e, &t, &p);
    apply_steps(&f, &g, &t);
  }
  // f is ±1, and d·x = f: −2p < d < p, so once p is added before the sign is taken, and once after.
  add_if_negative(&d, &p);
  if (f.digit[DIGITS - 1] < 0) {
    for (int i = 0; i < DIGITS; i++) d.digit[i] = -d.digit[i];
    carry_digits(&d);
  }
  add_if_negative(&d, &p);
  const uint64_t *digit = (const uint64_t *)d.digit;
  fp inverse = {{digit[0] | digit[1] << 62, digit[1] >> 2 | digit[2] << 60, digit[2] >> 4 | digit[3] << 58,
                 digit[3] >> 6 | digit[4] << 56}};
  // The inverse of x·2^256 lacks 2^512.
  fp_mul(&inverse, &inverse, &FP_R2);
  fp_mul(r, &inverse, &FP_R2);
}

#else

void fp_invert_public(fp *r, const fp *x) { fp_invert(r, x); }

#endif

void fp_invert_each(fp *values, fp *products, size_t count) {
  if (count == 0) return;
  products[0] = values[0];
  for (size_t i = 1; i < count; i++) fp_mul(&products[i], &products[i - 1], &values[i]);
  fp inverse, next;
  fp_invert_public(&inverse, &products[count - 1]);
  for (size_t i = count; --i > 0;) {
    fp_mul(&next, &inverse, &values[i]);
    fp_mul(&values[i], &inverse, &products[i - 1]);
    inverse = next;
  }
  values[0] = inverse;
}
