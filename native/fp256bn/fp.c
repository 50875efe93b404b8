#include "fp.h"
#include <pthread.h>
#if defined(__x86_64__) && !defined(FP256BN_PORTABLE)
#include <cpuid.h>
#endif

bool fp_has_adx = false, fp_has_lanes = false;

static enum arithmetic best(void) {
#if defined(__x86_64__) && !defined(FP256BN_PORTABLE)
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_BMI2) || !(b & bit_ADX)) return ARITHMETIC_PORTABLE;
  // Unlike the bare bits of cpuid these ask, too, whether the kernel saves the registers.
  __builtin_cpu_init();
  bool lanes = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512ifma");
  return lanes ? ARITHMETIC_LANES : ARITHMETIC_ADX;
#else
  return ARITHMETIC_PORTABLE;
#endif
}

bool fp_choose(enum arithmetic wanted) {
  if (wanted > best()) return false;
  fp_has_adx = wanted >= ARITHMETIC_ADX;
  fp_has_lanes = wanted >= ARITHMETIC_LANES;
  return true;
}

static void choose_best(void) { fp_choose(best()); }

void fp_choose_best(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, choose_best);
}

// The running sum of a product: a fifth limb, and a sixth for a moment, as orders have all their 256 bits (fp.h).
#define SUM_LIMBS 6

#if defined(__aarch64__) && !defined(FP256BN_PORTABLE)
// t += x·y. The upper limb of a product is at most 2^64 − 2: it takes the carry of the lower ones.
static inline void add_row(uint64_t t[SUM_LIMBS], const uint64_t x[4], uint64_t y) {
  uint64_t l0, l1, l2, l3;
  __asm__(
      "mul %[l0], %[x0], %[y]\n\t"
      "mul %[l1], %[x1], %[y]\n\t"
      "mul %[l2], %[x2], %[y]\n\t"
      "mul %[l3], %[x3], %[y]\n\t"
      "adds %[t0], %[t0], %[l0]\n\t"
      "adcs %[t1], %[t1], %[l1]\n\t"
      "adcs %[t2], %[t2], %[l2]\n\t"
      "adcs %[t3], %[t3], %[l3]\n\t"
      "umulh %[l3], %[x3], %[y]\n\t"
      "umulh %[l0], %[x0], %[y]\n\t"
      "umulh %[l1], %[x1], %[y]\n\t"
      "umulh %[l2], %[x2], %[y]\n\t"
      "adc %[l3], %[l3], xzr\n\t"
      "adds %[t1], %[t1], %[l0]\n\t"
      "adcs %[t2], %[t2], %[l1]\n\t"
      "adcs %[t3], %[t3], %[l2]\n\t"
      "adcs %[t4], %[t4], %[l3]\n\t"
      "adc %[t5], %[t5], xzr\n\t"
      : [t0] "+&r"(t[0]), [t1] "+&r"(t[1]), [t2] "+&r"(t[2]), [t3] "+&r"(t[3]), [t4] "+&r"(t[4]), [t5] "+&r"(t[5]),
        [l0] "=&r"(l0), [l1] "=&r"(l1), [l2] "=&r"(l2), [l3] "=&r"(l3)
      : [x0] "r"(x[0]), [x1] "r"(x[1]), [x2] "r"(x[2]), [x3] "r"(x[3]), [y] "r"(y)
      : "cc");
}

// t = (t + m·order)/2^64 with m such that this is exact. The lowest limb of the sum is zero: it has a carry unless t[0] is zero, too.
static inline void reduce_row(uint64_t t[SUM_LIMBS], const uint64_t order[4], uint64_t inverse) {
  uint64_t m = t[0] * inverse, l0, l1, l2, l3;
  __asm__(
      "mul %[l1], %[p1], %[m]\n\t"
      "mul %[l2], %[p2], %[m]\n\t"
      "mul %[l3], %[p3], %[m]\n\t"
      "cmp %[t0], #1\n\t"
      "adcs %[t1], %[t1], %[l1]\n\t"
      "adcs %[t2], %[t2], %[l2]\n\t"
      "adcs %[t3], %[t3], %[l3]\n\t"
      "umulh %[l3], %[p3], %[m]\n\t"
      "umulh %[l0], %[p0], %[m]\n\t"
      "umulh %[l1], %[p1], %[m]\n\t"
      "umulh %[l2], %[p2], %[m]\n\t"
      "adc %[l3], %[l3], xzr\n\t"
      "adds %[t1], %[t1], %[l0]\n\t"
      "adcs %[t2], %[t2], %[l1]\n\t"
      "adcs %[t3], %[t3], %[l2]\n\t"
      "adcs %[t4], %[t4], %[l3]\n\t"
      "adc %[t5], %[t5], xzr\n\t"
      : [t1] "+&r"(t[1]), [t2] "+&r"(t[2]), [t3] "+&r"(t[3]), [t4] "+&r"(t[4]), [t5] "+&r"(t[5]), [l0] "=&r"(l0),
        [l1] "=&r"(l1), [l2] "=&r"(l2), [l3] "=&r"(l3)
      : [t0] "r"(t[0]), [p0] "r"(order[0]), [p1] "r"(order[1]), [p2] "r"(order[2]), [p3] "r"(order[3]), [m] "r"(m)
      : "cc");
#pragma GCC unroll 5
  for (int i = 0; i < SUM_LIMBS - 1; i++) t[i] = t[i + 1];
  t[SUM_LIMBS - 1] = 0;
}
#else
// t += x·y
static inline void add_row(uint64_t t[SUM_LIMBS], const uint64_t x[4], uint64_t y) {
  uint64_t carry = 0, over = 0;
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) t[i] = multiply_carry(x[i], y, t[i], &carry);
  t[4] = add_carry(t[4], carry, &over);
  t[5] += over;
}

// t = (t + m·order)/2^64 with m such that this is exact.
static inline void reduce_row(uint64_t t[SUM_LIMBS], const uint64_t order[4], uint64_t inverse) {
  uint64_t m = t[0] * inverse, carry = 0, over = 0;
  multiply_carry(m, order[0], t[0], &carry);
#pragma GCC unroll 4
  for (int i = 1; i < 4; i++) t[i - 1] = multiply_carry(m, order[i], t[i], &carry);
  t[3] = add_carry(t[4], carry, &over);
  t[4] = t[5] + over;
  t[5] = 0;
}
#endif

void montgomery_multiply(uint64_t *r, const uint64_t *x, const uint64_t *y, const uint64_t *order, uint64_t inverse) {
  uint64_t t[SUM_LIMBS] = {0};
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    add_row(t, x, y[i]);
    reduce_row(t, order, inverse);
  }
  reduce_once(r, t, t[4], order);
}

// One loop for all lengths; `count` is a constant in each copy.
static inline __attribute__((always_inline)) void sum_products(fp *r, const fp *x, const fp *y, size_t count, const fp *addend) {
  uint64_t t[SUM_LIMBS] = {0}, carry = 0;
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
#pragma GCC unroll 6
    for (size_t j = 0; j < count; j++) add_row(t, x[j].limb, y[j].limb[i]);
    reduce_row(t, FIELD_ORDER, FIELD_INVERSE);
  }
  for (int i = 0; addend && i < 4; i++) t[i] = add_carry(t[i], addend->limb[i], &carry);
  const fp *excess = &FIELD_EXCESS[t[4] + carry];
  carry = 0;
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) t[i] = add_carry(t[i], excess->limb[i], &carry);
  reduce_once(r->limb, t, carry, FIELD_ORDER);
}

void fp_dot2_portable(fp *r, const fp *x, const fp *y) { sum_products(r, x, y, 2, NULL); }

void fp_dot3_portable(fp *r, const fp *x, const fp *y) { sum_products(r, x, y, 3, NULL); }

void fp_dot4_add_portable(fp *r, const fp *x, const fp *y, const fp *addend) { sum_products(r, x, y, 4, addend); }

void fp_dot6_portable(fp *r, const fp *x, const fp *y) { sum_products(r, x, y, 6, NULL); }

static unsigned window_of(const uint64_t *exponent, int index) {
  return (unsigned)(exponent[index / 16] >> (index % 16 * 4)) & 15;
}

void fp_power(fp *r, const fp *x, const uint64_t *exponent) {
  fp powers[16] = {FP_ONE};
  for (int i = 1; i < 16; i++) fp_mul(&powers[i], &powers[i - 1], x);
  fp z = powers[window_of(exponent, 63)];
  for (int i = 62; i >= 0; i--) {
    for (int j = 0; j < 4; j++) fp_sqr(&z, &z);
    unsigned window = window_of(exponent, i);
    if (window) fp_mul(&z, &z, &powers[window]);
  }
  *r = z;
}

void fp_invert(fp *r, const fp *x) { fp_power(r, x, P_MINUS_2); }

static uint64_t load_big_endian(const uint8_t *bytes) {
  uint64_t word;
  memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word;
}

bool fp_decode(fp *r, const uint8_t *bytes) {
  fp plain;
  for (int i = 0; i < 4; i++) plain.limb[i] = load_big_endian(bytes + 8 * (3 - i));
  uint64_t borrow = 0;
  for (int i = 0; i < 4; i++) sub_borrow(plain.limb[i], FIELD_ORDER[i], &borrow);
  if (!borrow) return false;
  fp_mul(r, &plain, &FP_R2);
  return true;
}

void fp_encode(uint8_t *bytes, const fp *x) {
  static const fp plain_one = {{1, 0, 0, 0}};
  fp plain;
  fp_mul(&plain, x, &plain_one);
  for (int i = 0; i < 32; i++) bytes[31 - i] = (uint8_t)(plain.limb[i / 8] >> (i % 8 * 8));
}
