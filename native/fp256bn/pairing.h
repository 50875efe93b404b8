// The optimal (R-ate) pairing with the lines of its G2 points computed once: a group's points never change.
#pragma once
#include "fp12.h"
#include "g1.h"
#include "g2.h"

// The lines y = slope·x − offset of a Miller loop over one G2 point, about 11 KB.
struct pairing_line { fp2 slope, offset; };
struct pairing_lines {
  struct pairing_line line[ATE_LINES];
  // The same for eight lanes, where the processor has them.
  struct lanes_lines *lanes;
};

// `q` must have passed g2_decode (or be the generator). False if out of memory.
bool pairing_prepare(struct pairing_lines *r, const g2_affine *q);
void pairing_forget(struct pairing_lines *lines);

// A G1 point as lines need it: divided by y, a line has a coefficient 1.
struct evaluation { fp minus_x_over_y, one_over_y; };

#define MAX_PAIRS 4
// True if the product of e(P, Q) over up to MAX_PAIRS pairs is 1; false also if a P is infinity. One final exponentiation in all.
bool pairing_product_is_one(const g1_jacobian *p, const struct pairing_lines *const *q, size_t count);
