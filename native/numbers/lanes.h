// Eight numbers at once with AVX-512 IFMA. Only where the compiler is one for x86-64; functions that touch lanes say so to it (WITH_LANES).
#pragma once
#include <immintrin.h>
#include <stdint.h>

// Limbs belong into registers, at every level of optimisation.
#define UNROLL _Pragma("GCC unroll 10")
// The constant-time checks have their own (test/native/ecdaa/constant_time/lanes): they run without the instructions.
#ifndef WITH_LANES
#define WITH_LANES __attribute__((target("avx512f,avx512dq,avx512ifma")))
#define LANE_FUNCTION static inline __attribute__((always_inline)) WITH_LANES
#endif

LANE_FUNCTION __m512i all_lanes(uint64_t value) { return _mm512_set1_epi64((long long)value); }
