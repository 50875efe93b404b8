// Multiplication of G1 points with secret scalars: the same instructions and the same addresses for every scalar (ecdaa.md §6,
// §7 as the issuer and the member compute them). Complete formulas, tables read as a whole, inversion by Fermat. The points
// that come in and go out may be public.
#pragma once
#include "fp256bn_g1.h"

// A value computed from secrets that may be known from here on. Only valgrind's check (test/native/ct) makes code of it.
#ifdef CT_CHECK
#include <valgrind/memcheck.h>
#define now_public(address, length) VALGRIND_MAKE_MEM_DEFINED(address, length)
#else
#define now_public(address, length) ((void)(address), (void)(length))
#endif

// x = X/Z, y = Y/Z; infinity is (0 : 1 : 0).
typedef struct { fp x, y, z; } g1_projective;

void secret_from_affine(g1_projective *r, const g1_affine *p);
// Also for equal and opposite points and infinity.
void secret_add(g1_projective *r, const g1_projective *p, const g1_projective *q);
void secret_multiply(g1_projective *r, const g1_projective *p, const scalar *k);
// k·G1, twice as fast.
void secret_multiply_generator(g1_projective *r, const scalar *k);

#define MAX_NORMALISED 8
// Up to MAX_NORMALISED points become affine with one inversion. False if one is infinity, which is then public.
bool secret_normalise(g1_affine *r, const g1_projective *p, size_t count);
