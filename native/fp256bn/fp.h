// The base field. Every function here takes the same time for all values of its operands, except where it says otherwise,
// and every result may be one of the operands.
#pragma once
#include "constants.h"
#include "limb.h"
#include <string.h>

// How to multiply, chosen when the addon is loaded: with mulx, adcx and adox if the processor has them, in C otherwise. With
// AVX-512 IFMA besides, public values are handled in eight lanes (lanes.h).
extern bool fp_has_adx, fp_has_lanes;
enum arithmetic { ARITHMETIC_PORTABLE, ARITHMETIC_ADX, ARITHMETIC_LANES };
// False if the processor or the build lacks it. Not while another thread computes.
bool fp_choose(enum arithmetic wanted);
// Chooses the best there is, once.
void fp_choose_best(void);

// x·y/2^256 mod `order`, below it; x < 2^256, y < order. `inverse` is -1/order mod 2^64.
void montgomery_multiply(uint64_t *r, const uint64_t *x, const uint64_t *y, const uint64_t *order, uint64_t inverse);

void fp_mul_adx(fp *r, const fp *x, const fp *y);
void fp_sqr_adx(fp *r, const fp *x);

static inline void fp_mul(fp *r, const fp *x, const fp *y) {
  if (__builtin_expect(fp_has_adx, true)) fp_mul_adx(r, x, y);
  else montgomery_multiply(r->limb, x->limb, y->limb, FIELD_ORDER, FIELD_INVERSE);
}

static inline void fp_sqr(fp *r, const fp *x) {
  if (__builtin_expect(fp_has_adx, true)) fp_sqr_adx(r, x);
  else montgomery_multiply(r->limb, x->limb, x->limb, FIELD_ORDER, FIELD_INVERSE);
}

// All ones if `bit` is 1, zero if it is 0. The barrier keeps compilers from turning masks back into branches.
static inline uint64_t mask_of(uint64_t bit) {
  __asm__("" : "+r"(bit));
  return -bit;
}

// r = carry·2^256 + x reduced once: the value must be below twice the order.
#if defined(__aarch64__) && !defined(FP256BN_PORTABLE)
static inline void reduce_once(uint64_t *r, const uint64_t *x, uint64_t carry, const uint64_t *order) {
  uint64_t a, b, c, d;
  __asm__(
      "subs %[a], %[x0], %[p0]\n\t"
      "sbcs %[b], %[x1], %[p1]\n\t"
      "sbcs %[c], %[x2], %[p2]\n\t"
      "sbcs %[d], %[x3], %[p3]\n\t"
      "sbcs xzr, %[carry], xzr\n\t"
      "csel %[a], %[a], %[x0], cs\n\t"
      "csel %[b], %[b], %[x1], cs\n\t"
      "csel %[c], %[c], %[x2], cs\n\t"
      "csel %[d], %[d], %[x3], cs\n\t"
      : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
      : [x0] "r"(x[0]), [x1] "r"(x[1]), [x2] "r"(x[2]), [x3] "r"(x[3]), [carry] "r"(carry), [p0] "r"(order[0]),
        [p1] "r"(order[1]), [p2] "r"(order[2]), [p3] "r"(order[3])
      : "cc");
  r[0] = a;
  r[1] = b;
  r[2] = c;
  r[3] = d;
}
#else
static inline void reduce_once(uint64_t *r, const uint64_t *x, uint64_t carry, const uint64_t *order) {
  uint64_t borrow = 0, reduced[4];
  for (int i = 0; i < 4; i++) reduced[i] = sub_borrow(x[i], order[i], &borrow);
  sub_borrow(carry, 0, &borrow);
  uint64_t keep = mask_of(borrow);
  for (int i = 0; i < 4; i++) r[i] = (x[i] & keep) | (reduced[i] & ~keep);
}
#endif

#if defined(__x86_64__) && !defined(FP256BN_PORTABLE)
// In C these two cost as much as half a multiplication: compilers do not keep a carry in its flag.
static inline void fp_add(fp *r, const fp *x, const fp *y) {
  uint64_t a = x->limb[0], b = x->limb[1], c = x->limb[2], d = x->limb[3], carry, s0, s1, s2, s3;
  __asm__(
      "xorl %k[carry], %k[carry]\n\t"
      "addq 0(%[y]), %[a]\n\t"
      "adcq 8(%[y]), %[b]\n\t"
      "adcq 16(%[y]), %[c]\n\t"
      "adcq 24(%[y]), %[d]\n\t"
      "adcq $0, %[carry]\n\t"
      "movq %[a], %[s0]\n\t"
      "movq %[b], %[s1]\n\t"
      "movq %[c], %[s2]\n\t"
      "movq %[d], %[s3]\n\t"
      "subq 0+%[p], %[a]\n\t"
      "sbbq 8+%[p], %[b]\n\t"
      "sbbq 16+%[p], %[c]\n\t"
      "sbbq 24+%[p], %[d]\n\t"
      "sbbq $0, %[carry]\n\t"
      "cmovcq %[s0], %[a]\n\t"
      "cmovcq %[s1], %[b]\n\t"
      "cmovcq %[s2], %[c]\n\t"
      "cmovcq %[s3], %[d]\n\t"
      : [a] "+&r"(a), [b] "+&r"(b), [c] "+&r"(c), [d] "+&r"(d), [carry] "=&r"(carry), [s0] "=&r"(s0), [s1] "=&r"(s1),
        [s2] "=&r"(s2), [s3] "=&r"(s3)
      : [y] "r"(y), "m"(*y), [p] "m"(*(const fp *)FIELD_ORDER)
      : "cc");
  *r = (fp){{a, b, c, d}};
}

static inline void fp_sub(fp *r, const fp *x, const fp *y) {
  uint64_t a = x->limb[0], b = x->limb[1], c = x->limb[2], d = x->limb[3], m0, m1, m2, m3;
  __asm__(
      "subq 0(%[y]), %[a]\n\t"
      "sbbq 8(%[y]), %[b]\n\t"
      "sbbq 16(%[y]), %[c]\n\t"
      "sbbq 24(%[y]), %[d]\n\t"
      "sbbq %[m0], %[m0]\n\t"
      "movq %[m0], %[m1]\n\t"
      "movq %[m0], %[m2]\n\t"
      "movq %[m0], %[m3]\n\t"
      "andq 0+%[p], %[m0]\n\t"
      "andq 8+%[p], %[m1]\n\t"
      "andq 16+%[p], %[m2]\n\t"
      "andq 24+%[p], %[m3]\n\t"
      "addq %[m0], %[a]\n\t"
      "adcq %[m1], %[b]\n\t"
      "adcq %[m2], %[c]\n\t"
      "adcq %[m3], %[d]\n\t"
      : [a] "+&r"(a), [b] "+&r"(b), [c] "+&r"(c), [d] "+&r"(d), [m0] "=&r"(m0), [m1] "=&r"(m1), [m2] "=&r"(m2),
        [m3] "=&r"(m3)
      : [y] "r"(y), "m"(*y), [p] "m"(*(const fp *)FIELD_ORDER)
      : "cc");
  *r = (fp){{a, b, c, d}};
}

// x/2: p is odd, so one of x and x + p is even.
static inline void fp_half(fp *r, const fp *x) {
  uint64_t a = x->limb[0], b = x->limb[1], c = x->limb[2], d = x->limb[3], m0, m1, m2, m3;
  __asm__(
      "movq %[a], %[m0]\n\t"
      "andl $1, %k[m0]\n\t"
      "negq %[m0]\n\t"
      "movq %[m0], %[m1]\n\t"
      "movq %[m0], %[m2]\n\t"
      "movq %[m0], %[m3]\n\t"
      "andq 0+%[p], %[m0]\n\t"
      "andq 8+%[p], %[m1]\n\t"
      "andq 16+%[p], %[m2]\n\t"
      "andq 24+%[p], %[m3]\n\t"
      "addq %[m0], %[a]\n\t"
      "adcq %[m1], %[b]\n\t"
      "adcq %[m2], %[c]\n\t"
      "adcq %[m3], %[d]\n\t"
      "rcrq %[d]\n\t"
      "rcrq %[c]\n\t"
      "rcrq %[b]\n\t"
      "rcrq %[a]\n\t"
      : [a] "+&r"(a), [b] "+&r"(b), [c] "+&r"(c), [d] "+&r"(d), [m0] "=&r"(m0), [m1] "=&r"(m1), [m2] "=&r"(m2),
        [m3] "=&r"(m3)
      : [p] "m"(*(const fp *)FIELD_ORDER)
      : "cc");
  *r = (fp){{a, b, c, d}};
}
#elif defined(__aarch64__) && !defined(FP256BN_PORTABLE)
// In C these three cost as much as half a multiplication: compilers do not keep a carry in its flag.
static inline void fp_add(fp *r, const fp *x, const fp *y) {
  uint64_t sum[4] = {x->limb[0], x->limb[1], x->limb[2], x->limb[3]}, carry;
  __asm__(
      "adds %[a], %[a], %[y0]\n\t"
      "adcs %[b], %[b], %[y1]\n\t"
      "adcs %[c], %[c], %[y2]\n\t"
      "adcs %[d], %[d], %[y3]\n\t"
      "adc %[carry], xzr, xzr\n\t"
      : [a] "+&r"(sum[0]), [b] "+&r"(sum[1]), [c] "+&r"(sum[2]), [d] "+&r"(sum[3]), [carry] "=&r"(carry)
      : [y0] "r"(y->limb[0]), [y1] "r"(y->limb[1]), [y2] "r"(y->limb[2]), [y3] "r"(y->limb[3])
      : "cc");
  reduce_once(r->limb, sum, carry, FIELD_ORDER);
}

static inline void fp_sub(fp *r, const fp *x, const fp *y) {
  uint64_t a = x->limb[0], b = x->limb[1], c = x->limb[2], d = x->limb[3], mask, m;
  __asm__(
      "subs %[a], %[a], %[y0]\n\t"
      "sbcs %[b], %[b], %[y1]\n\t"
      "sbcs %[c], %[c], %[y2]\n\t"
      "sbcs %[d], %[d], %[y3]\n\t"
      "csetm %[mask], cc\n\t"
      "and %[m], %[mask], %[p0]\n\t"
      "adds %[a], %[a], %[m]\n\t"
      "and %[m], %[mask], %[p1]\n\t"
      "adcs %[b], %[b], %[m]\n\t"
      "and %[m], %[mask], %[p2]\n\t"
      "adcs %[c], %[c], %[m]\n\t"
      "and %[m], %[mask], %[p3]\n\t"
      "adc %[d], %[d], %[m]\n\t"
      : [a] "+&r"(a), [b] "+&r"(b), [c] "+&r"(c), [d] "+&r"(d), [mask] "=&r"(mask), [m] "=&r"(m)
      : [y0] "r"(y->limb[0]), [y1] "r"(y->limb[1]), [y2] "r"(y->limb[2]), [y3] "r"(y->limb[3]), [p0] "r"(FIELD_ORDER[0]),
        [p1] "r"(FIELD_ORDER[1]), [p2] "r"(FIELD_ORDER[2]), [p3] "r"(FIELD_ORDER[3])
      : "cc");
  *r = (fp){{a, b, c, d}};
}

// x/2: p is odd, so one of x and x + p is even.
static inline void fp_half(fp *r, const fp *x) {
  uint64_t a = x->limb[0], b = x->limb[1], c = x->limb[2], d = x->limb[3], mask, m;
  __asm__(
      "sbfx %[mask], %[a], #0, #1\n\t"
      "and %[m], %[mask], %[p0]\n\t"
      "adds %[a], %[a], %[m]\n\t"
      "and %[m], %[mask], %[p1]\n\t"
      "adcs %[b], %[b], %[m]\n\t"
      "and %[m], %[mask], %[p2]\n\t"
      "adcs %[c], %[c], %[m]\n\t"
      "and %[m], %[mask], %[p3]\n\t"
      "adcs %[d], %[d], %[m]\n\t"
      "adc %[m], xzr, xzr\n\t"
      "extr %[a], %[b], %[a], #1\n\t"
      "extr %[b], %[c], %[b], #1\n\t"
      "extr %[c], %[d], %[c], #1\n\t"
      "extr %[d], %[m], %[d], #1\n\t"
      : [a] "+&r"(a), [b] "+&r"(b), [c] "+&r"(c), [d] "+&r"(d), [mask] "=&r"(mask), [m] "=&r"(m)
      : [p0] "r"(FIELD_ORDER[0]), [p1] "r"(FIELD_ORDER[1]), [p2] "r"(FIELD_ORDER[2]), [p3] "r"(FIELD_ORDER[3])
      : "cc");
  *r = (fp){{a, b, c, d}};
}
#else
static inline void fp_add(fp *r, const fp *x, const fp *y) {
  uint64_t carry = 0, sum[4];
  for (int i = 0; i < 4; i++) sum[i] = add_carry(x->limb[i], y->limb[i], &carry);
  reduce_once(r->limb, sum, carry, FIELD_ORDER);
}

static inline void fp_sub(fp *r, const fp *x, const fp *y) {
  uint64_t borrow = 0, carry = 0, difference[4];
  for (int i = 0; i < 4; i++) difference[i] = sub_borrow(x->limb[i], y->limb[i], &borrow);
  uint64_t add_back = mask_of(borrow);
  for (int i = 0; i < 4; i++) r->limb[i] = add_carry(difference[i], FIELD_ORDER[i] & add_back, &carry);
}

// x/2: p is odd, so one of x and x + p is even.
static inline void fp_half(fp *r, const fp *x) {
  uint64_t carry = 0, even[5], add = mask_of(x->limb[0] & 1);
  for (int i = 0; i < 4; i++) even[i] = add_carry(x->limb[i], FIELD_ORDER[i] & add, &carry);
  even[4] = carry;
  for (int i = 0; i < 4; i++) r->limb[i] = even[i] >> 1 | even[i + 1] << 63;
}
#endif

static inline void fp_double(fp *r, const fp *x) { fp_add(r, x, x); }

static inline void fp_neg(fp *r, const fp *x) {
  static const fp zero = {{0, 0, 0, 0}};
  fp_sub(r, &zero, x);
}

static inline bool fp_is_zero(const fp *x) { return !(x->limb[0] | x->limb[1] | x->limb[2] | x->limb[3]); }

static inline bool fp_equal(const fp *x, const fp *y) {
  return !((x->limb[0] ^ y->limb[0]) | (x->limb[1] ^ y->limb[1]) | (x->limb[2] ^ y->limb[2]) | (x->limb[3] ^ y->limb[3]));
}

// r = x where mask is all ones, unchanged where it is zero.
static inline void fp_select(fp *r, const fp *x, uint64_t mask) {
  for (int i = 0; i < 4; i++) r->limb[i] = (r->limb[i] & ~mask) | (x->limb[i] & mask);
}

// x^exponent; time depends on the exponent alone.
void fp_power(fp *r, const fp *x, const uint64_t *exponent);
// 1/x, and 0 for 0.
void fp_invert(fp *r, const fp *x);
// The same for a public x: its time depends on it (invert.c).
void fp_invert_public(fp *r, const fp *x);
// Replaces each of `count` public values, none of which is zero, by its inverse (Montgomery's trick). `products` has room for `count`.
void fp_invert_each(fp *values, fp *products, size_t count);
// 32 bytes, big-endian, below p: false otherwise. Time depends on the bytes.
bool fp_decode(fp *r, const uint8_t *bytes);
void fp_encode(uint8_t *bytes, const fp *x);

// Sums of products in the base field with one reduction for all of them: x[0]·y[0] + x[1]·y[1] + …, each of the operands below p.
// A coefficient of a product in an extension field is such a sum. All products are computed, none is saved as Karatsuba does, but
// nothing has to be added up before and subtracted afterwards, which costs more than a product (Longa: "Efficient Algorithms for
// Large Prime Characteristic Fields and Their Application to Bilinear Pairings", eprint 2022/367, algorithm 2).
//
// The rows of all products are added up, then one limb is reduced, so that the running sum stays short. With K products, and M
// the number by which p was multiplied in all, M < 2^256, it ends as
//   (Σ x·y + M·p)/2^256 < (K·p² + 2^256·p)/2^256 < (K + 1)·p,
// and before each division by 2^64 it is below (K + 1)·p·(2^64 + 1): a sixth limb that never exceeds K + 1. An addend makes it one
// more p. The limb q above 2^256 counts for FIELD_EXCESS[q] = q·(2^256 − p); that is below 2^213 for q ≤ 7, so that the value is then below
// 2^256 + 2^213 < 2p, and one subtraction brings it below p. Only for public values: q is the place in a table.
void fp_dot2_adx(fp *r, const fp *x, const fp *y);
void fp_dot3_adx(fp *r, const fp *x, const fp *y);
void fp_dot4_add_adx(fp *r, const fp *x, const fp *y, const fp *addend);
void fp_dot6_adx(fp *r, const fp *x, const fp *y);
void fp_dot2_portable(fp *r, const fp *x, const fp *y);
void fp_dot3_portable(fp *r, const fp *x, const fp *y);
void fp_dot4_add_portable(fp *r, const fp *x, const fp *y, const fp *addend);
void fp_dot6_portable(fp *r, const fp *x, const fp *y);

// Operands stand one after the other in memory. The result may be one of them.
static inline void fp_dot2(fp *r, const fp x[2], const fp y[2]) {
  if (__builtin_expect(fp_has_adx, true)) fp_dot2_adx(r, x, y);
  else fp_dot2_portable(r, x, y);
}

static inline void fp_dot3(fp *r, const fp x[3], const fp y[3]) {
  if (__builtin_expect(fp_has_adx, true)) fp_dot3_adx(r, x, y);
  else fp_dot3_portable(r, x, y);
}

// x[0]·y[0] + … + x[3]·y[3] + addend
static inline void fp_dot4_add(fp *r, const fp x[4], const fp y[4], const fp *addend) {
  if (__builtin_expect(fp_has_adx, true)) fp_dot4_add_adx(r, x, y, addend);
  else fp_dot4_add_portable(r, x, y, addend);
}

static inline void fp_dot6(fp *r, const fp x[6], const fp y[6]) {
  if (__builtin_expect(fp_has_adx, true)) fp_dot6_adx(r, x, y);
  else fp_dot6_portable(r, x, y);
}
