// Elements of the fields and points of FP256BN (ecdaa.md §1). Field elements are in Montgomery form x·2^256 mod p, least
// significant limb first, always below p.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct { uint64_t limb[4]; } fp;
// a + b·i with i² = -1.
typedef struct { fp a, b; } fp2;
// c[0] + c[1]·v + c[2]·v² with v³ = 1 + i.
typedef struct { fp2 c[3]; } fp6;
// a + b·w with w² = v.
typedef struct { fp6 a, b; } fp12;

// A point of E(Fp), never infinity.
typedef struct { fp x, y; } g1_affine;
// A point of the twist E'(Fp2), never infinity.
typedef struct { fp2 x, y; } g2_affine;
// A number mod n, least significant limb first, not in Montgomery form.
typedef struct { uint64_t limb[4]; } scalar;

#define SCALAR_LENGTH 32
#define G1_LENGTH 65
#define G2_LENGTH 129
