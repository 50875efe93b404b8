// The AVX-512 instructions of native/fp256bn/lanes/g1.c in plain C, each without a branch: valgrind does not know the real ones. In
// place of the compiler's header for test/native/ecdaa/constant_time/secrets.c only.
#pragma once
#include <stdint.h>

typedef struct { uint64_t lane[8]; } __m512i;
typedef struct { uint64_t half[2]; } __m128i;
typedef uint8_t __mmask8;

#define INSTRUCTION static inline
// native/fp256bn/lanes/fp.h: nothing special, and not all in one function, which takes compilers minutes.
#define WITH_LANES
#define LANE_FUNCTION static __attribute__((noinline, unused))
#define EACH_LANE for (int i = 0; i < 8; i++)
#define LANEWISE(name, expression)                        \
  INSTRUCTION __m512i name(__m512i x, __m512i y) {        \
    __m512i r;                                            \
    EACH_LANE r.lane[i] = (expression);                   \
    return r;                                             \
  }
LANEWISE(_mm512_add_epi64, x.lane[i] + y.lane[i])
LANEWISE(_mm512_sub_epi64, x.lane[i] - y.lane[i])
LANEWISE(_mm512_and_si512, x.lane[i] & y.lane[i])

#define SHIFT(name, expression)                           \
  INSTRUCTION __m512i name(__m512i x, unsigned bits) {    \
    EACH_LANE x.lane[i] = (uint64_t)(expression);         \
    return x;                                             \
  }
SHIFT(_mm512_slli_epi64, x.lane[i] << bits)
SHIFT(_mm512_srli_epi64, x.lane[i] >> bits)
SHIFT(_mm512_srai_epi64, (int64_t)x.lane[i] >> bits)

#define LOW_52 0xfffffffffffffULL
#define PRODUCT(x, y) ((unsigned __int128)((x) & LOW_52) * ((y) & LOW_52))
INSTRUCTION __m512i _mm512_madd52lo_epu64(__m512i sum, __m512i x, __m512i y) {
  EACH_LANE sum.lane[i] += (uint64_t)PRODUCT(x.lane[i], y.lane[i]) & LOW_52;
  return sum;
}
INSTRUCTION __m512i _mm512_madd52hi_epu64(__m512i sum, __m512i x, __m512i y) {
  EACH_LANE sum.lane[i] += (uint64_t)(PRODUCT(x.lane[i], y.lane[i]) >> 52);
  return sum;
}

INSTRUCTION __m512i _mm512_set1_epi64(long long value) {
  __m512i r;
  EACH_LANE r.lane[i] = (uint64_t)value;
  return r;
}
INSTRUCTION __m512i _mm512_setzero_si512(void) { return _mm512_set1_epi64(0); }

INSTRUCTION uint64_t negative_lane(uint64_t x) { return -(x >> 63); }
INSTRUCTION __m512i _mm512_abs_epi64(__m512i x) {
  EACH_LANE x.lane[i] = (x.lane[i] ^ negative_lane(x.lane[i])) - negative_lane(x.lane[i]);
  return x;
}
INSTRUCTION __m128i _mm_cvtsi64_si128(long long value) { return (__m128i){{(uint64_t)value, 0}}; }
INSTRUCTION __m512i _mm512_cvtepi8_epi64(__m128i bytes) {
  __m512i r;
  EACH_LANE r.lane[i] = (uint64_t)(int64_t)(int8_t)(bytes.half[0] >> 8 * i);
  return r;
}

// Masks: a bit for each lane. The barrier keeps the compiler from making a branch of it.
INSTRUCTION __mmask8 _mm512_movepi64_mask(__m512i x) {
  uint64_t mask = 0;
  EACH_LANE mask |= x.lane[i] >> 63 << i;
  __asm__("" : "+r"(mask));
  return (__mmask8)mask;
}
INSTRUCTION __mmask8 _mm512_cmpeq_epi64_mask(__m512i x, __m512i y) {
  EACH_LANE {
    uint64_t difference = x.lane[i] ^ y.lane[i];
    x.lane[i] = ~(difference | -difference);
  }
  return _mm512_movepi64_mask(x);
}
INSTRUCTION __m512i _mm512_mask_mov_epi64(__m512i x, __mmask8 mask, __m512i y) {
  EACH_LANE {
    uint64_t taken = -(uint64_t)(mask >> i & 1);
    __asm__("" : "+r"(taken));
    x.lane[i] = (x.lane[i] & ~taken) | (y.lane[i] & taken);
  }
  return x;
}
