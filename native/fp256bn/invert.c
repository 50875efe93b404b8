// Inversion of public numbers by division steps in their variable-time form. A quarter of the time of a power.
#include "fp.h"

#if defined(__SIZEOF_INT128__) && !defined(FP256BN_NARROW)
#include "numbers/divsteps.h"

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

static bool is_zero_62(const struct signed62 *x) {
  return !(x->digit[0] | x->digit[1] | x->digit[2] | x->digit[3] | x->digit[4]);
}

void fp_invert_public(fp *r, const fp *x) {
  const struct modulus p = {split_62(FIELD_ORDER), -FIELD_INVERSE};
  struct signed62 d = {{0}}, e = {{1}}, f = p.value, g = split_62(x->limb);
  struct steps t;
  for (int64_t eta = -1; !is_zero_62(&g);) {
    eta = take_steps(&t, eta, (uint64_t)f.digit[0] | (uint64_t)f.digit[1] << 62, (uint64_t)g.digit[0] | (uint64_t)g.digit[1] << 62);
    apply_steps_mod(&d, &e, &t, &p);
    apply_steps(&f, &g, &t);
  }
  settle_inverse(&d, &f, &p);
  fp inverse;
  join_62(inverse.limb, &d);
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
