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
static inline void reduce_once(uint64_t *r, const uint64_t *x, uint64_t carry, const uint64_t *order) {
  uint64_t borrow = 0, reduced[4];
  for (int i = 0; i < 4; i++) reduced[i] = sub_borrow(x[i], order[i], &borrow);
  sub_borrow(carry, 0, &borrow);
  uint64_t keep = mask_of(borrow);
  for (int i = 0; i < 4; i++) r[i] = (x[i] & keep) | (reduced[i] & ~keep);
}

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
// 32 bytes, big-endian, below p: false otherwise. Time depends on the bytes.
bool fp_decode(fp *r, const uint8_t *bytes);
void fp_encode(uint8_t *bytes, const fp *x);
