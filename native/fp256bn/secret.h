// Multiplication of G1 points with secret scalars: the same instructions and the same addresses for every scalar (ecdaa.md §6,
// §7 as the issuer and the member compute them). Complete formulas, tables read as a whole, inversion by Fermat. The points
// that come in and go out may be public.
#pragma once
#include "g1.h"

// A value computed from secrets that may be known from here on. Only valgrind's check (test/native/ct) makes code of it.
#ifdef CT_CHECK
#include <valgrind/memcheck.h>
#define now_public(address, length) VALGRIND_MAKE_MEM_DEFINED(address, length)
#else
#define now_public(address, length) ((void)(address), (void)(length))
#endif

// Also for equal and opposite points and infinity.
void secret_add(g1_projective *r, const g1_projective *p, const g1_projective *q);
// k·G1 without a doubling.
void secret_multiply_generator(g1_projective *r, const scalar *k);

// k·P; no point is the generator. Where two products are of the same point in memory they share some of the work.
struct secret_product {
  const g1_affine *point;
  const scalar *k;
};
#define MAX_PRODUCTS 8
// Up to MAX_PRODUCTS products: in eight lanes at once if the processor has them.
void secret_multiply_each(g1_projective *r, const struct secret_product *each, size_t count);
// Overwrites what functions that have returned left on this thread's stack: intermediate points, from which a scalar follows.
// The last call of whoever has multiplied with secrets.
void secret_wipe_stack(void);
// Up to MAX_PRODUCTS points become affine with one inversion. False if one is infinity, which is then public.
bool secret_normalise(g1_affine *r, const g1_projective *p, size_t count);
