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

void montgomery_multiply(uint64_t *r, const uint64_t *x, const uint64_t *y, const uint64_t *order, uint64_t inverse) {
  // The order has all its 256 bits, so the running sum needs a fifth limb and for a moment a sixth.
  uint64_t t[4] = {0, 0, 0, 0}, top = 0;
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    uint64_t carry = 0, sixth = 0;
    t[0] = multiply_carry(x[0], y[i], t[0], &carry);
    t[1] = multiply_carry(x[1], y[i], t[1], &carry);
    t[2] = multiply_carry(x[2], y[i], t[2], &carry);
    t[3] = multiply_carry(x[3], y[i], t[3], &carry);
    top = add_carry(top, carry, &sixth);

    uint64_t m = t[0] * inverse, last = 0;
    carry = 0;
    multiply_carry(m, order[0], t[0], &carry);
    t[0] = multiply_carry(m, order[1], t[1], &carry);
    t[1] = multiply_carry(m, order[2], t[2], &carry);
    t[2] = multiply_carry(m, order[3], t[3], &carry);
    t[3] = add_carry(top, carry, &last);
    top = sixth + last;
  }
  reduce_once(r, t, top, order);
}

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
